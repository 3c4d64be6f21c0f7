// Which files of a model's folder are read, in what order, and which are refused.
using System.Text;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Tests.Models.Files;

public sealed class HuggingFaceFolderTests
{
    private const string Index = """{"metadata":{"total_size":16},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}""";

    [Fact]
    public void Open_TokenizerAlone_Opens()
    {
        using TestFolder folder = new();
        folder.Write("tokenizer.json", "{\"version\":\"1.0\"}");

        using HuggingFaceFolder model = HuggingFaceFolder.Open(folder.Path);

        Assert.Null(model.Config);
        Assert.Null(model.TokenizerConfig);
        Assert.Null(model.GenerationConfig);
        Assert.Null(model.ChatTemplate);
        Assert.False(model.HasWeights);
        using MappedFile tokenizer = model.OpenTokenizerJson()!;
        Assert.Equal(17, tokenizer.Length);
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => model.Tensors);
        Assert.Contains("model.safetensors", e.Problem, StringComparison.Ordinal);
        e = Assert.Throws<ModelFormatException>(model.RequireConfig);
        Assert.EndsWith("config.json", e.File, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_SingleWeightFile_HasItsTensors()
    {
        using TestFolder folder = new();
        folder.Write("config.json", """{"hidden_size":2}""");
        folder.Write("model.safetensors", SafetensorsBuilder.Single("w"));

        using HuggingFaceFolder model = HuggingFaceFolder.Open(folder.Path);

        Assert.Equal("w", Assert.Single(model.Tensors).Name);
        Assert.Equal(2, model.Find("w")!.Columns);
        Assert.Null(model.Find("v"));
        Assert.Equal(2, model.RequireConfig().GetInt("hidden_size", 1, 10));
    }

    [Fact]
    public void Open_SeveralWeightFiles_HasTheTensorsOfAll()
    {
        using TestFolder folder = Shards(Index);
        using HuggingFaceFolder model = HuggingFaceFolder.Open(folder.Path);

        Assert.Equal(["a", "b"], model.Tensors.Select(tensor => tensor.Name));
        Assert.EndsWith("model-00002-of-00002.safetensors", model.Find("b")!.Data.File.Path, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"../model-00001-of-00002.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"/etc/passwd"}}""")]
    [InlineData("""{"weight_map":{"a":"sub/model.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"..\\model.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"C:model.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":".hidden.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"a\u0000.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"pytorch_model.bin"}}""")]
    [InlineData("""{"weight_map":{"a":""}}""")]
    [InlineData("""{"weight_map":{"a":1}}""")]
    [InlineData("""{"weight_map":{"a":"absent.safetensors"}}""")]
    [InlineData("""{"weight_map":{"c":"model-00001-of-00002.safetensors"}}""")]
    [InlineData("""{"weight_map":{"a":"model-00001-of-00002.safetensors","a":"model-00001-of-00002.safetensors"}}""")]
    [InlineData("""{"weight_map":{},"weight_map":{}}""")]
    [InlineData("""{"weight_map":{}}""")]
    [InlineData("""{"metadata":{}}""")]
    [InlineData("[]")]
    [InlineData("")]
    public void Tensors_IndexThatIsWrong_Throws(string index)
    {
        using TestFolder folder = Shards(index);
        using HuggingFaceFolder model = HuggingFaceFolder.Open(folder.Path);

        Assert.Throws<ModelFormatException>(() => model.Tensors);
    }

    [Fact]
    public void Tensors_IndexCutAtEveryByte_Throws()
    {
        using FuzzFile file = new(FuzzKind.Index);
        byte[] whole = Encoding.UTF8.GetBytes(Index);
        for (int length = 0; length < whole.Length; length++)
        {
            Assert.False(file.Try(whole[..length]));
        }
    }

    [Fact]
    public void Open_OnlyPickledWeights_AdvisesToConvert()
    {
        using TestFolder folder = new();
        folder.Write("config.json", "{}");
        folder.Write("pytorch_model.bin", "PK");

        ModelFormatException e = Assert.Throws<ModelFormatException>(() => HuggingFaceFolder.Open(folder.Path));
        Assert.Contains("safe_serialization", e.Problem, StringComparison.Ordinal);

        folder.Write("tokenizer.json", "{}"); // now there is something to do with the folder, but the weights stay unread
        using HuggingFaceFolder model = HuggingFaceFolder.Open(folder.Path);
        e = Assert.Throws<ModelFormatException>(() => model.Tensors);
        Assert.Contains("safe_serialization", e.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_NoFolderOrNoModel_Throws()
    {
        using TestFolder folder = new();
        Assert.Throws<DirectoryNotFoundException>(() => HuggingFaceFolder.Open(folder["absent"]));
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => HuggingFaceFolder.Open(folder.Path));
        Assert.Contains("config.json", e.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void ChatTemplate_FromEachPlace_TheFileWins()
    {
        using TestFolder folder = new();
        folder.Write("tokenizer.json", "{}");
        folder.Write("tokenizer_config.json", """{"chat_template":"from config"}""");
        Assert.Equal("from config", Open().ChatTemplate);

        folder.Write("tokenizer_config.json", """{"chat_template":[{"name":"default","template":"d"},{"name":"tool_use","template":"t"}]}""");
        Assert.Equal("d", Open().ChatTemplate);
        Assert.Equal("t", Open().ChatTemplates["tool_use"]);

        folder.Write("chat_template.jinja", "\uFEFFfrom file");
        folder.Write("additional_chat_templates/rag.jinja", "r");
        Assert.Equal("from file", Open().ChatTemplate);
        Assert.Equal("t", Open().ChatTemplates["tool_use"]);
        Assert.Equal("r", Open().ChatTemplates["rag"]);

        folder.Write("tokenizer_config.json", """{"chat_template":[{"name":"default"}]}""");
        Assert.Throws<ModelFormatException>(() => Open().ChatTemplate);

        HuggingFaceFolder Open() => HuggingFaceFolder.Open(folder.Path);
    }

    [Fact]
    public void FindFile_LinkWithinTheFolder_IsFollowedAndOneOutOfItIsNot()
    {
        using TestFolder outside = new();
        outside.Write("secret.json", """{"a":1}""");
        using TestFolder folder = new();
        folder.Write("tokenizer.json", "{}");
        folder.Write("real.json", """{"a":2}""");
        File.CreateSymbolicLink(folder["config.json"], "real.json");
        File.CreateSymbolicLink(folder["generation_config.json"], outside["secret.json"]);
        Directory.CreateSymbolicLink(folder["1_Pooling"], outside.Path);
        File.CreateSymbolicLink(folder["tokenizer_config.json"], "tokenizer_config.json");

        using HuggingFaceFolder model = HuggingFaceFolder.Open(folder.Path);

        Assert.Equal(2, model.RequireConfig().GetInt("a", 0, 9));
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => model.GenerationConfig);
        Assert.Contains("link", e.Problem, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => model.FindFile("1_Pooling/secret.json"));
        try
        {
            Assert.Null(model.TokenizerConfig); // a link to itself is no file
        }
        catch (ModelFormatException)
        {
            // or a circle; both will do
        }
    }

    [Fact]
    public void Open_FolderOfTheHuggingFaceCache_FollowsItsLinksAndNoOthers()
    {
        using TestFolder cache = new();
        cache.Write("models--a--b/blobs/1234", """{"a":3}""");
        cache.Write("models--c--d/blobs/5678", """{"a":4}""");
        cache.Write("models--a--b/snapshots/main/tokenizer.json", "{}");
        string snapshot = cache["models--a--b/snapshots/main"];
        File.CreateSymbolicLink(Path.Combine(snapshot, "config.json"), "../../blobs/1234");
        File.CreateSymbolicLink(Path.Combine(snapshot, "generation_config.json"), "../../../models--c--d/blobs/5678");

        using HuggingFaceFolder model = HuggingFaceFolder.Open(snapshot);
        Assert.Equal(3, model.RequireConfig().GetInt("a", 0, 9));
        Assert.Throws<ModelFormatException>(() => model.GenerationConfig);

        // The folder that the user names may be a link.
        Directory.CreateSymbolicLink(cache["link"], snapshot);
        using HuggingFaceFolder linked = HuggingFaceFolder.Open(cache["link"]);
        Assert.Equal(3, linked.RequireConfig().GetInt("a", 0, 9));
    }

    [Fact]
    public void Config_LongerThanOneMebibyte_Throws()
    {
        using TestFolder folder = new();
        folder.Write("tokenizer.json", "{}");
        folder.Write("config.json", "{" + new string(' ', 1024 * 1024) + "}");
        using HuggingFaceFolder model = HuggingFaceFolder.Open(folder.Path);

        Assert.Throws<ModelFormatException>(() => model.Config);
    }

    private static TestFolder Shards(string index)
    {
        TestFolder folder = new();
        folder.Write("config.json", "{}");
        folder.Write("model.safetensors.index.json", index);
        folder.Write("model-00001-of-00002.safetensors", SafetensorsBuilder.Single("a"));
        folder.Write("model-00002-of-00002.safetensors", SafetensorsBuilder.Single("b"));
        return folder;
    }
}
