// Downloads from a hub that behaves: what comes, where it lies, what is chosen, what goes on after an interruption.
using System.Text.Json;
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Catalog;

public sealed class PullTests
{
    private static readonly byte[] s_model = ScriptedHub.Content(200_000, 1);
    private static readonly byte[] s_config = "{}"u8.ToArray();

    [Fact]
    public void Gguf_LiesInTheCacheAsHuggingFaceHasIt()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model), ("model-Q8_0.gguf", ScriptedHub.Content(999, 2)), ("LICENSE", "free"u8.ToArray()), ("README.md", s_config));
        PulledModel pulled = store.Pull();
        Assert.Equal("Q4_K_M", pulled.Model.Format);
        Assert.Equal(s_model, File.ReadAllBytes(pulled.Model.Path));
        Assert.Equal(store.At("snapshots", ScriptedHub.Commit, "model-Q4_K_M.gguf"), pulled.Model.Path);
        Assert.Equal($"../../blobs/{ScriptedHub.Sha256(s_model)}", new FileInfo(pulled.Model.Path).LinkTarget);
        Assert.Equal(ScriptedHub.Commit, File.ReadAllText(store.At("refs", "main")));
        Assert.Equal(["LICENSE", "model-Q4_K_M.gguf"], store.Cache.Files(StoreFolder.Repository, ScriptedHub.Commit));
        Assert.True(File.Exists(Path.Combine(store.Cache.Folder, ".locks", "models--org--name", $"{ScriptedHub.Sha256(s_model)}.lock")));
        Assert.Empty(Directory.GetFiles(store.At("blobs"), "*.incomplete"));
        Assert.Equal(pulled.Model.Path, new ModelLocator(new ModelPlaces { CacheFolder = store.Cache.Folder }).Locate(StoreFolder.Repository));
        using JsonDocument tree = JsonDocument.Parse(File.ReadAllText(store.At("trees", $"{ScriptedHub.Commit}.json")));
        Assert.Equal(1, tree.RootElement.GetProperty("format_version").GetInt32());
        Assert.Equal(ScriptedHub.Sha256(s_model), tree.RootElement.GetProperty("files").GetProperty("model-Q4_K_M.gguf").GetProperty("lfs_sha256").GetString());
    }

    [Fact]
    public void Folder_TakesWhatReadersNeedAndNoPickle()
    {
        using StoreFolder store = new StoreFolder().With(
            ("model.safetensors", s_model), ("config.json", s_config), ("tokenizer.json", s_config), ("pytorch_model.bin", s_model), ("optimizer.pt", s_model), ("train.py", s_config), ("model.fp16.safetensors", s_model));
        PulledModel pulled = store.Pull();
        Assert.Equal(FileChoice.Folder, pulled.Model.Format);
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.json"], store.Cache.Files(StoreFolder.Repository, ScriptedHub.Commit));
        Assert.Equal($"../../blobs/{ScriptedHub.GitHash(s_config)}", new FileInfo(Path.Combine(pulled.Model.Path, "config.json")).LinkTarget);
        Assert.Equal(0, new FileInfo(store.At(".no_exist", ScriptedHub.Commit, "generation_config.json")).Length);
        Assert.False(File.Exists(store.At(".no_exist", ScriptedHub.Commit, "config.json")));
    }

    [Fact]
    public void SecondTime_NothingComes_AndAnotherFormatIsAdded()
    {
        byte[] other = ScriptedHub.Content(5000, 3);
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model), ("model-Q8_0.gguf", other));
        Assert.Equal(s_model.Length, store.Pull().ReceivedBytes);
        Assert.Equal(0, store.Pull().ReceivedBytes);
        PulledModel second = store.Pull("org/name:q8_0");
        Assert.Equal(other.Length, second.ReceivedBytes);
        Assert.Equal("org/name:Q8_0", second.Model.Name);
        ModelLocator locator = new(new ModelPlaces { CacheFolder = store.Cache.Folder });
        Assert.Equal(second.Model.Path, locator.Locate("org/name:q8_0"));
        Assert.Equal(second.Model.Path, locator.Locate($"org/name@{ScriptedHub.Commit[..10]}:Q8_0"));
    }

    [Fact]
    public void LineCutEvery500kB_GoesOnByRange_WithFewBytesMore()
    {
        byte[] content = ScriptedHub.Content(10_000_000, 4);
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", content));
        store.Hub.CutEvery = 500_000;
        long shown = 0;
        PulledModel pulled = store.Pull(change: request => request with
        {
            Progress = (done, total) =>
            {
                Assert.True(done >= shown && done <= total);
                shown = done;
            },
        });
        Assert.Equal(content, File.ReadAllBytes(pulled.Model.Path));
        Assert.Equal(content.Length, shown);
        Assert.InRange(store.Hub.SentBytes, content.Length, (long)(content.Length * 1.03));
        HubRequest[] asked = [.. store.Hub.Requests.Where(request => request.Path.Contains("/resolve/", StringComparison.Ordinal))];
        Assert.Equal(20, asked.Length);
        Assert.All(asked.Skip(1), request => Assert.Equal($"\"{ScriptedHub.Sha256(content)}\"", request.Headers["if-range"]));
    }

    [Fact]
    public void Interruption_KeepsWhatCame_AndShowsNoModel()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model));
        store.Hub.Script = request => request.Path.Contains("/resolve/", StringComparison.Ordinal) ? store.Hub.Usual(request) with { CutAfter = 70_000, Stalls = true } : null;
        using CancellationTokenSource interruption = new();
        Assert.ThrowsAny<OperationCanceledException>(() => store.Pull(
            change: request => request with
            {
                Progress = (done, _) =>
                {
                    if (done >= 70_000)
                    {
                        interruption.Cancel();
                    }
                },
            },
            cancellation: interruption.Token));
        store.AssertEmpty();
        Assert.Equal((1, 70_000), CachedModel.Unfinished(store.Cache, StoreFolder.Repository));
        Assert.Throws<FileNotFoundException>(() => new ModelLocator(new ModelPlaces { CacheFolder = store.Cache.Folder }).Locate(StoreFolder.Repository));
        store.Hub.Script = null;
        Assert.Equal(s_model.Length - 70_000, store.Pull().ReceivedBytes);
    }

    [Fact]
    public void StartOfAnotherContent_IsFoundByTheHash_AndBegunAnew()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model));
        Directory.CreateDirectory(store.At("blobs"));
        File.WriteAllBytes($"{store.Blob(s_model)}.incomplete", new byte[1000]);
        Assert.Equal(s_model, File.ReadAllBytes(store.Pull().Model.Path));
    }

    [Fact]
    public void AnotherProgram_WritesTheSameFile_IsWaitedFor()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model));
        string locks = Directory.CreateDirectory(Path.Combine(store.Cache.Folder, ".locks", "models--org--name")).FullName;
        FileStream other = new(Path.Combine(locks, $"{ScriptedHub.Sha256(s_model)}.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None);
        Directory.CreateDirectory(store.At("blobs"));
        List<string> told = [];
        PulledModel pulled = store.Pull(change: request => request with
        {
            Tell = sentence =>
            {
                told.Add(sentence);
                File.WriteAllBytes(store.Blob(s_model), s_model); // the other program is done
                other.Dispose();
            },
        });
        Assert.Single(told);
        Assert.Equal(0, pulled.ReceivedBytes);
        Assert.Equal(s_model, File.ReadAllBytes(pulled.Model.Path));
    }

    [Fact]
    public void Revision_IsAskedForAndKept()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model));
        store.Pull("org/name@v1.5");
        Assert.Contains(store.Hub.Requests, request => request.Path.StartsWith("/api/models/org/name/revision/v1.5", StringComparison.Ordinal));
        Assert.Equal(ScriptedHub.Commit, File.ReadAllText(store.At("refs", "v1.5")));
        Assert.NotNull(store.Cache.CommitOf(StoreFolder.Repository, "v1.5"));
    }

    [Fact]
    public void ListWithoutHashes_TheHeadersAreAsked()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model));
        store.Hub.ChangeListing = _ => store.Hub.Listing(hasHashes: false);
        Assert.Equal(s_model, File.ReadAllBytes(store.Pull().Model.Path));
        Assert.Contains(store.Hub.Requests, request => request.Method == "HEAD");
    }

    [Fact]
    public void DiskWithoutLinks_HoldsTheFilesThemselves()
    {
        using StoreFolder store = new();
        CacheWriter writer = new(store.Cache, StoreFolder.Repository, hasLinks: false);
        writer.Prepare();
        HubFile[] files = [new("config.json", 2, ScriptedHub.GitHash(s_config)), new("1_Pooling/config.json", 2, ScriptedHub.GitHash(s_config)), new("model.safetensors", s_model.Length, ScriptedHub.Sha256(s_model))];
        File.WriteAllBytes(writer.BlobPath(files[0].Etag!), s_config);
        File.WriteAllBytes(writer.BlobPath(files[2].Etag!), s_model);
        writer.AddToSnapshot(ScriptedHub.Commit, files);
        Assert.All(files, file => Assert.Null(new FileInfo(Path.Combine(store.Cache.SnapshotFolder(StoreFolder.Repository, ScriptedHub.Commit), file.Path)).LinkTarget));
        Assert.All(files, file => Assert.True(writer.Has(ScriptedHub.Commit, file)));
        Assert.Empty(Directory.GetFiles(store.At("blobs")));
    }

    [Fact]
    public void Offline_OpensNothing_AndFindsWhatIsThere()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model));
        HubSettings offline = store.Settings with { IsOffline = true };
        static HttpMessageHandler Watch() => throw new InvalidOperationException("A handler was asked for.");
        Assert.Throws<HubException>(() => store.Pull(settings: offline, handler: Watch));
        Assert.Equal(0, store.Hub.Connections);
        store.Pull();
        int before = store.Hub.Connections;
        Assert.False(store.Pull(settings: offline, handler: Watch).IsConfirmed);
        Assert.Equal(before, store.Hub.Connections);
    }

    [Fact]
    public void HubThatIsGone_TheCopyInTheCacheIsUsed()
    {
        using StoreFolder store = new StoreFolder().With(("model-Q4_K_M.gguf", s_model));
        store.Pull();
        HubSettings settings = store.Settings;
        store.Hub.Script = _ => new HubReply(503, []);
        List<string> told = [];
        Assert.False(store.Pull(settings: settings, change: request => request with { Tell = told.Add }).IsConfirmed);
        Assert.Single(told);
    }

    [Theory]
    [InlineData(null, "Q4_K_M", "a-Q8_0.gguf", "a-Q4_K_M.gguf", "model.safetensors")]
    [InlineData(null, "safetensors", "a-Q8_0.gguf", "model.safetensors")]
    [InlineData(null, "Q5_K_M", "a-Q8_0.gguf", "a-Q5_K_M.gguf", "mmproj-Q4_K_M.gguf")]
    [InlineData("Q4_K", null, "a-Q4_K_M.gguf")]
    [InlineData("fp16", "F16", "a-bf16.gguf", "a.fp16.gguf")]
    [InlineData("bf16", "BF16", "a-bf16.gguf", "a.f16.gguf")]
    [InlineData("ud-q2_k_xl", "UD-Q2_K_XL", "a-UD-Q2_K_XL.gguf", "a-Q2_K.gguf")]
    [InlineData("iq2_xxs", "IQ2_XXS", "sub/a-IQ2_XXS-00002-of-00002.gguf", "sub/a-IQ2_XXS-00001-of-00002.gguf")]
    [InlineData("b-Q4_0.gguf", "Q4_0", "a-Q4_0.gguf", "b-Q4_0.gguf")]
    [InlineData("Q4_0", null, "a-Q4_0.gguf", "b-Q4_0.gguf")]
    [InlineData("q4", "Q4", "Phi-3-mini-4k-instruct-q4.gguf", "Phi-3-mini-4k-instruct-fp16.gguf")]
    [InlineData(null, null, "pytorch_model.bin", "config.json")]
    public void Choice_IsByFormat(string? format, string? expected, params string[] files)
    {
        HubListing listing = new(StoreFolder.Repository, "c", [.. files.Select(file => new HubFile(file, 1, null))]);
        if (expected is null)
        {
            Assert.Throws<HubException>(() => FileChoice.Of(listing, format));
            return;
        }

        FileChoice choice = FileChoice.Of(listing, format);
        Assert.Equal(expected, choice.Format);
        Assert.All(choice.Files, file => Assert.DoesNotContain("mmproj", file.Path, StringComparison.Ordinal));
        Assert.Equal(files.Count(file => file.Contains("-of-", StringComparison.Ordinal)), choice.Files.Count(file => file.Path.Contains("-of-", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("org/name")]
    [InlineData("org/name:Q4_K_M")]
    [InlineData("org/name@main:Q4_K_M")]
    [InlineData("org/name@refs/pr/1")]
    [InlineData("org/name/file-Q4_0.gguf")]
    public void Name_IsReadAndWrittenBack(string text) => Assert.Equal(text, HubName.TryParse(text)!.ToString());

    [Theory]
    [InlineData("../x")]
    [InlineData("/etc/passwd")]
    [InlineData("org/..")]
    [InlineData("org/na..me")]
    [InlineData("a/b/c/d")]
    [InlineData("a--b/c")]
    [InlineData("org/name@../../x")]
    [InlineData("org/name@")]
    [InlineData("org/name:")]
    [InlineData("org/name:../x")]
    [InlineData("org\\name")]
    [InlineData("org/na me")]
    [InlineData("C:/windows")]
    [InlineData("name")]
    public void Name_ThatIsAPathOrNone_IsRefused(string text) => Assert.Null(HubName.TryParse(text));
}
