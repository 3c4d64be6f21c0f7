// Models on a stick: whole and the same again, and folders that would do harm refused. And what is removed.
using System.Text;
using System.Text.Json.Nodes;
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Catalog;

public sealed class CarryTests
{
    private const long PieceBytes = 30_000;
    private static readonly byte[] s_model = ScriptedHub.Content(100_000, 1);
    private static readonly byte[] s_config = """{"a":1}"""u8.ToArray();

    [Fact]
    public void Exported_AndImported_IsTheSameCache()
    {
        using StoreFolder store = Filled();
        using StoreFolder other = new();
        string stick = Export(store);
        Assert.Equal(6, Directory.GetFiles(Path.Combine(stick, "data")).Length); // four pieces of the weights, and one each of two small files
        CachedModel model = Import(other, stick);
        Assert.Equal("org/name", model.Name);
        Assert.Equal(Tree(store, "refs").Concat(Tree(store, "snapshots")).Concat(Tree(store, "blobs")), Tree(other, "refs").Concat(Tree(other, "snapshots")).Concat(Tree(other, "blobs")));
        Assert.Equal(s_model, File.ReadAllBytes(Path.Combine(model.Path, "model.safetensors")));
        Assert.Equal($"../../blobs/{ScriptedHub.GitHash(s_config)}", new FileInfo(Path.Combine(model.Path, "config.json")).LinkTarget);
        Import(other, stick); // again does no harm
    }

    [Fact]
    public void Export_OverSomethingOrOfADamagedBlob_IsRefused()
    {
        using StoreFolder store = Filled();
        string stick = Export(store);
        Assert.Throws<HubException>(() => Export(store));
        Directory.Delete(stick, recursive: true);
        File.WriteAllBytes(store.Blob(s_model), new byte[s_model.Length]);
        Assert.Contains("damaged", Assert.Throws<HubException>(() => Export(store)).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(stick));
    }

    [Theory]
    [InlineData("repository", "../../evil")]
    [InlineData("repository", "org/na--me")]
    [InlineData("commit", "../x")]
    [InlineData("commit", "a/b")]
    [InlineData("format", "other/1")]
    [InlineData("files.0.path", "../model.safetensors")]
    [InlineData("files.0.path", "/tmp/model.safetensors")]
    [InlineData("files.0.path", "pytorch_model.bin")]
    [InlineData("files.0.path", "run.py")]
    [InlineData("files.0.path", "config.json")]
    [InlineData("files.0.path", "CONFIG.json")]
    [InlineData("files.0.sha256", "../../../../etc/passwd")]
    [InlineData("files.0.etag", "../../x")]
    [InlineData("files.0.bytes", "-1")]
    [InlineData("files.0.bytes", "99999")]
    [InlineData("files.0.bytes", "100001")]
    [InlineData("files.0.bytes", "9000000000000000")]
    [InlineData("files.0.bytes", "1e3")]
    public void List_ThatLies_IsRefused(string field, string value)
    {
        using StoreFolder store = Filled();
        using StoreFolder other = new();
        string stick = Export(store);
        Change(stick, field, value);
        Assert.Throws<HubException>(() => Import(other, stick));
        other.AssertEmpty();
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("{\"format\":\"kidogo-model/1\"}")]
    [InlineData("{\"format\":\"kidogo-model/1\",\"repository\":\"a/b\",\"commit\":\"c\",\"files\":[5,{}]}")]
    public void List_ThatIsNone_IsRefused(string text)
    {
        using StoreFolder other = new();
        string folder = Directory.CreateDirectory(Path.Combine(other.Path, "x.kidogo")).FullName;
        File.WriteAllText(Path.Combine(folder, "manifest.json"), text);
        Assert.Throws<HubException>(() => Import(other, folder));
        File.WriteAllText(Path.Combine(folder, "manifest.json"), new string('[', 100_000));
        Assert.Throws<HubException>(() => Import(other, folder));
    }

    [Fact]
    public void ChangedPiece_IsFoundByItsHash()
    {
        using StoreFolder store = Filled();
        using StoreFolder other = new();
        string stick = Export(store);
        string piece = Path.Combine(stick, "data", $"{ScriptedHub.Sha256(s_model)}.001");
        byte[] bytes = File.ReadAllBytes(piece);
        bytes[5] ^= 1;
        File.WriteAllBytes(piece, bytes);
        Assert.Contains("hash", Assert.Throws<HubException>(() => Import(other, stick)).Message, StringComparison.Ordinal);
        other.AssertEmpty();
        Assert.Empty(Directory.GetFiles(other.At("blobs"), "*.incomplete"));
    }

    [Theory]
    [InlineData("manifest.json")]
    [InlineData("data")]
    [InlineData("piece")]
    public void Links_AreNotFollowed(string what)
    {
        using StoreFolder store = Filled();
        using StoreFolder other = new();
        string stick = Export(store);
        string path = Path.Combine(stick, what == "piece" ? $"data/{ScriptedHub.Sha256(s_model)}.000" : what);
        string aside = Path.Combine(store.Path, "aside");
        if (what == "data")
        {
            Directory.Move(path, aside);
            Directory.CreateSymbolicLink(path, aside);
        }
        else
        {
            File.Move(path, aside);
            File.CreateSymbolicLink(path, aside);
        }

        Assert.Contains("link", Assert.Throws<HubException>(() => Import(other, stick)).Message, StringComparison.Ordinal);
        other.AssertEmpty();
    }

    [Fact]
    public void CommitThatIsThere_IsNotChanged_AndReferencesStay()
    {
        using StoreFolder store = Filled();
        using StoreFolder other = Filled();
        string stick = Export(store);
        File.WriteAllBytes(other.At("blobs", ScriptedHub.GitHash(s_config)), """{"a":2}"""u8.ToArray());
        Assert.Contains("another content", Assert.Throws<HubException>(() => Import(other, stick)).Message, StringComparison.Ordinal);
        using StoreFolder third = new();
        Directory.CreateDirectory(third.At("refs"));
        File.WriteAllText(third.At("refs", "main"), "fedcba9876");
        List<string> told = [];
        third.Import(stick, PieceBytes, told.Add);
        Assert.Single(told);
        Assert.Equal("fedcba9876", File.ReadAllText(third.At("refs", "main")));
    }

    [Fact]
    public void Stick_WithSeveral_AsksWhich()
    {
        using StoreFolder store = Filled();
        Export(store);
        Assert.Contains("name.kidogo", Assert.Throws<HubException>(() => Import(store, store.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Removal_OfAFormat_KeepsTheOther()
    {
        byte[] large = ScriptedHub.Content(7000, 5);
        using StoreFolder store = new StoreFolder().With(("m-Q4_0.gguf", s_model), ("m-Q8_0.gguf", large));
        store.Pull("org/name:Q4_0");
        store.Pull("org/name:Q8_0");
        long freed = CacheRemoval.Remove(store.Cache, HubName.TryParse("org/name:q4_0")!);
        Assert.InRange(freed, s_model.Length, s_model.Length + 1000);
        Assert.False(File.Exists(store.Blob(s_model)));
        Assert.Equal("Q8_0", Assert.Single(CachedModel.All(store.Cache)).Format);
        CacheRemoval.Remove(store.Cache, HubName.TryParse("org/name:Q8_0")!);
        Assert.False(Directory.Exists(store.At()));
    }

    [Fact]
    public void Removal_OfASnapshot_KeepsWhatAnotherNeeds()
    {
        using StoreFolder store = Filled();
        CacheWriter writer = new(store.Cache, StoreFolder.Repository);
        writer.AddToSnapshot("aaaaaaaaaa", [new HubFile("config.json", s_config.Length, ScriptedHub.GitHash(s_config))]);
        writer.SetReference("old", "aaaaaaaaaa");
        CacheRemoval.Remove(store.Cache, HubName.TryParse($"org/name@{ScriptedHub.Commit}")!);
        Assert.False(File.Exists(store.Blob(s_model)));
        Assert.True(File.Exists(store.At("blobs", ScriptedHub.GitHash(s_config))));
        Assert.False(File.Exists(store.At("refs", "main")));
        Assert.True(File.Exists(store.At("refs", "old")));
    }

    [Fact]
    public void Removal_WhileAnotherProgramWrites_IsRefused()
    {
        using StoreFolder store = Filled();
        using (store.Lock("x"))
        {
            Assert.Contains("Another program", Assert.Throws<HubException>(() => CacheRemoval.Remove(store.Cache, HubName.TryParse(StoreFolder.Repository)!)).Message, StringComparison.Ordinal);
        }

        Assert.True(CacheRemoval.Remove(store.Cache, HubName.TryParse(StoreFolder.Repository)!) > s_model.Length);
        Assert.False(Directory.Exists(store.At()));
        Assert.Throws<HubException>(() => CacheRemoval.Remove(store.Cache, HubName.TryParse(StoreFolder.Repository)!));
    }

    [Fact]
    public void LinkedFolder_IsRemovedWithoutWhatItLeadsTo()
    {
        using StoreFolder store = new();
        string elsewhere = Directory.CreateDirectory(Path.Combine(store.Path, "elsewhere", "snapshots", "abcdefg")).FullName;
        File.WriteAllText(Path.Combine(elsewhere, "kept.gguf"), "x");
        Directory.CreateDirectory(store.Cache.Folder);
        Directory.CreateSymbolicLink(store.At(), Path.Combine(store.Path, "elsewhere"));
        CacheRemoval.Remove(store.Cache, HubName.TryParse(StoreFolder.Repository)!);
        Assert.True(File.Exists(Path.Combine(elsewhere, "kept.gguf")));
    }

    private static StoreFolder Filled()
    {
        StoreFolder store = new StoreFolder().With(("model.safetensors", s_model), ("config.json", s_config), ("LICENSE", "free"u8.ToArray()));
        store.Pull();
        return store;
    }

    private static string Export(StoreFolder store)
    {
        string folder = Path.Combine(store.Path, "org--name.kidogo");
        ModelExport.Write(CachedModel.All(store.Cache)[0], folder, pieceBytes: PieceBytes);
        return folder;
    }

    private static CachedModel Import(StoreFolder store, string folder) => store.Import(folder, PieceBytes);

    private static IEnumerable<string> Tree(StoreFolder store, string part) =>
        Directory.GetFiles(store.At(part), "*", SearchOption.AllDirectories).Select(path => $"{Path.GetRelativePath(store.At(), path)} {new FileInfo(path).LinkTarget} {ScriptedHub.Sha256(File.ReadAllBytes(path))}").Order(StringComparer.Ordinal);

    private static void Change(string stick, string field, string value)
    {
        string path = Path.Combine(stick, "manifest.json");
        JsonNode root = JsonNode.Parse(File.ReadAllText(path))!;
        string[] parts = field.Split('.');
        JsonNode holder = parts.Length == 1 ? root : root["files"]!.AsArray().First(file => file!["path"]!.GetValue<string>() == "model.safetensors")!;
        holder[parts[^1]] = parts[^1] == "bytes" ? JsonNode.Parse(value) : value;
        File.WriteAllText(path, root.ToJsonString(), Encoding.UTF8);
    }
}
