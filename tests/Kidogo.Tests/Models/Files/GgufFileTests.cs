// What is read from good GGUF files: values, tensors, parts; and the sentences for files that are something else.
using Kidogo.Models.Files;
using static Kidogo.Tests.Models.Files.GgufBuilder;

namespace Kidogo.Tests.Models.Files;

public sealed class GgufFileTests
{
    private const uint I8 = (uint)TensorType.I8;

    [Fact]
    public void Open_SmallFile_HasItsTensorsRowMajorAndInPlace()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("small.gguf", Small().Build()));

        Assert.Equal(3u, file.Version);
        Assert.Equal(["token_embd.weight", "blk.0.attn_q.weight", "ids"], file.Tensors.Select(tensor => tensor.Name));
        StoredTensor embedding = file.Find("token_embd.weight")!;
        Assert.Equal([3L, 2L], embedding.Shape); // the file says [2, 3]: innermost first
        Assert.Equal((3L, 2L, 6L), (embedding.Rows, embedding.Columns, embedding.Elements));
        Assert.Equal("F32", embedding.Format.Name);
        Assert.Equal(Bytes(24), embedding.Data.Read(0, 24).ToArray());
        Assert.Equal(36, file.Find("blk.0.attn_q.weight")!.Data.Length);
        Assert.Null(file.Find("blk.1.attn_q.weight"));
    }

    [Fact]
    public void Format_OfATypeThatIsNoWeight_ThrowsOnlyWhenAskedFor()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("small.gguf", Small().Build()));
        StoredTensor ids = file.Find("ids")!;

        Assert.False(ids.IsWeight);
        Assert.Equal("I32", ids.TypeName);
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => ids.Format);
        Assert.Contains("I32", e.Message, StringComparison.Ordinal);
        Assert.Contains("Q4_0", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Metadata_ValuesOfEachKind_AreReadAndWidened()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("small.gguf", Small().Build()));
        Metadata metadata = file.Metadata;

        Assert.Equal("llama", metadata.GetString("general.architecture"));
        Assert.Equal(2, metadata.GetInt("llama.block_count", 1, 1024));
        Assert.Equal(10000.0, metadata.GetFloat("llama.rope.freq_base", 1, 1e9));
        Assert.Equal(2.0, metadata.GetFloat("llama.block_count", 0, 10)); // integers pass for floats
        Assert.True(metadata.GetBool("tokenizer.ggml.add_bos_token", false));
        Assert.Equal(200, metadata.GetInt("some.u8", 0, 255));
        Assert.Equal(-56, metadata.GetInt("some.i8", -128, 127));
        Assert.True(metadata.TryGetInt("some.i64", out long minusOne));
        Assert.Equal(-1, minusOne);
        Assert.Equal(0.5, metadata.GetFloat("some.f64", 0, 1));
        Assert.True(metadata.TryGetInts("tokenizer.ggml.token_type", out int[] types));
        Assert.Equal([3, 1, 1, -1], types);
        Assert.True(metadata.TryGetFloats("tokenizer.ggml.scores", out float[] scores));
        Assert.Equal([0f, -1.5f, 2f, 3f], scores);
        Assert.True(metadata.TryGetStrings("tokenizer.ggml.tokens", out Utf8Strings tokens));
        Assert.Equal(["<s>", "a", "", "é"], tokens.ToArray());
        Assert.Equal("é"u8.ToArray(), tokens[3].ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => tokens[4].Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => tokens[-1].Length);
    }

    [Fact]
    public void Metadata_KeyThatIsAbsent_GivesTheDefaultOrThrows()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("small.gguf", Small().Build()));

        Assert.Equal(7, file.Metadata.GetInt("absent", 0, 10, whenAbsent: 7));
        Assert.False(file.Metadata.TryGetString("absent", out _));
        Assert.False(file.Metadata.TryGetStrings("absent", out _));
        Assert.Null(file.Metadata.KindOf("absent"));
        Assert.Equal(0, file.Metadata.CountOf("absent"));
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => file.Metadata.GetInt("absent", 0, 10));
        Assert.Contains("\"absent\"", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("llama.block_count", 3, 5)]
    [InlineData("some.i8", 0, 255)]
    [InlineData("general.architecture", 0, 1)]
    [InlineData("llama.rope.freq_base", 0, 1)]
    [InlineData("tokenizer.ggml.tokens", 0, 1)]
    public void GetInt_OutOfRangeOrOfAnotherKind_ThrowsEvenWithADefault(string key, int min, int max)
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("small.gguf", Small().Build()));

        ModelFormatException e = Assert.Throws<ModelFormatException>(() => file.Metadata.GetInt(key, min, max, whenAbsent: min));
        Assert.Contains(key, e.Message, StringComparison.Ordinal);
        Assert.True(e.Offset > 0);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(-1f)]
    public void GetFloat_ThatIsNoNumberInRange_Throws(float value)
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("a.gguf", new GgufBuilder().Add("x", value).Build()));

        Assert.Throws<ModelFormatException>(() => file.Metadata.GetFloat("x", 0, 1e9));
    }

    [Fact]
    public void TryGetInts_OfEachWidth_ReadsThoseThatFit()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("a.gguf", new GgufBuilder()
            .AddArray("u8", 0, 2, [0, 255])
            .AddArray("i8", 1, 2, [0, 255])
            .AddArray("u16", 2, 1, U16(ushort.MaxValue))
            .AddArray("i16", 3, 1, U16(ushort.MaxValue))
            .AddArray("u32", 4, 1, U32(uint.MaxValue))
            .AddArray("u64", 10, 1, U64(ulong.MaxValue))
            .AddArray("i64", 11, 1, U64(ulong.MaxValue))
            .Build()));

        Assert.Equal([0, 255], Ints("u8"));
        Assert.Equal([0, -1], Ints("i8"));
        Assert.Equal([65535], Ints("u16"));
        Assert.Equal([-1], Ints("i16"));
        Assert.Equal([-1], Ints("i64"));
        Assert.Throws<ModelFormatException>(() => Ints("u32"));
        Assert.Throws<ModelFormatException>(() => Ints("u64"));

        int[] Ints(string key)
        {
            Assert.True(file.Metadata.TryGetInts(key, out int[] values));
            return values;
        }
    }

    [Fact]
    public void GetIntPerLayer_SingleValueOrArray_GivesOnePerLayer()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("a.gguf", new GgufBuilder().Add("one", 8u).Add("many", 1, 2, 3).Build()));

        Assert.Equal([8, 8, 8], file.Metadata.GetIntPerLayer("one", 3, 1, 8));
        Assert.Equal([1, 2, 3], file.Metadata.GetIntPerLayer("many", 3, 1, 8));
        Assert.Throws<ModelFormatException>(() => file.Metadata.GetIntPerLayer("many", 4, 1, 8));
        Assert.Throws<ModelFormatException>(() => file.Metadata.GetIntPerLayer("many", 3, 1, 2));
        Assert.Throws<ModelFormatException>(() => file.Metadata.GetIntPerLayer("absent", 3, 1, 2));
    }

    [Fact]
    public void Describe_AnyValue_IsShortAndSafeForATerminal()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("a.gguf", new GgufBuilder()
            .Add("evil", "a\u001b[2Jb\u202Ec").Add("long", new string('x', 1000)).Add("list", "a", "b", "c", "d", "e").Add("ints", 1, -2).Build()));

        Assert.Equal("\"a\\u001B[2Jb\\u202Ec\"", file.Metadata.Describe("evil"));
        Assert.Equal("\"" + new string('x', 80) + "…\"", file.Metadata.Describe("long"));
        Assert.Equal("[\"a\", \"b\", \"c\", \"d\", …] (5 × String)", file.Metadata.Describe("list"));
        Assert.Equal("[1, -2] (2 × Int32)", file.Metadata.Describe("ints"));
    }

    [Fact]
    public void Open_VocabularyOnly_HasNoTensors()
    {
        using TestFolder folder = new();
        using GgufFile file = GgufFile.Open(folder.Write("vocabulary.gguf", new GgufBuilder().Add("tokenizer.ggml.tokens", "a", "b").Build()));

        Assert.Empty(file.Tensors);
        Assert.Equal(2, file.Metadata.CountOf("tokenizer.ggml.tokens"));
    }

    [Fact]
    public void Open_ModelInThreeParts_ReadsAllOfThem()
    {
        using TestFolder folder = new();
        WriteParts(folder);

        using GgufFile file = GgufFile.Open(folder["m-00001-of-00003.gguf"]);

        Assert.Equal(["t0", "t1", "t2"], file.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(12, file.Find("t2")!.Data.Read(0, 1)[0]);
        Assert.Equal(3, file.Parts.Count);
    }

    [Theory]
    [InlineData("m-00002-of-00003.gguf", "m-00001-of-00003.gguf")]
    [InlineData("m-00003-of-00003.gguf", "m-00001-of-00003.gguf")]
    public void Open_PartThatIsNotTheFirst_NamesTheFirst(string opened, string named)
    {
        using TestFolder folder = new();
        WriteParts(folder);

        ModelFormatException e = Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder[opened]));
        Assert.Contains(named, e.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_PartMissing_NamesIt()
    {
        using TestFolder folder = new();
        WriteParts(folder);
        File.Delete(folder["m-00002-of-00003.gguf"]);

        ModelFormatException e = Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder["m-00001-of-00003.gguf"]));
        Assert.Contains("m-00002-of-00003.gguf", e.Message, StringComparison.Ordinal);
        Assert.Contains("missing", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_PartsThatDoNotBelongTogether_Throws()
    {
        using TestFolder folder = new();
        WriteParts(folder);

        File.Copy(folder["m-00003-of-00003.gguf"], folder["m-00002-of-00003.gguf"], overwrite: true);
        Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder["m-00001-of-00003.gguf"])); // its number is another

        folder.Write("m-00002-of-00003.gguf", Part(1, 4, "t1"));
        Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder["m-00001-of-00003.gguf"])); // of another number of parts

        folder.Write("m-00002-of-00003.gguf", Part(1, 3, "t0"));
        Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder["m-00001-of-00003.gguf"])); // a tensor twice

        folder.Write("m-00002-of-00003.gguf", Part(1, 3));
        Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder["m-00001-of-00003.gguf"])); // a tensor too few

        folder.Write("renamed.gguf", Part(0, 3, "t0"));
        Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder["renamed.gguf"]));

        folder.Write("m-00001-of-60000.gguf", Part(0, 60_000, "t0"));
        Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder["m-00001-of-60000.gguf"]));
    }

    [Theory]
    [InlineData("version https://git-lfs.github.com/spec/v1\n", "Git LFS")]
    [InlineData("<!DOCTYPE html><html>", "web page")]
    [InlineData("PK\u0003\u0004abcdefgh", "zip")]
    [InlineData("tjgg0123456789", "GGML")]
    [InlineData("12345678{\"a\":1}", "safetensors")]
    [InlineData("GG", "2 bytes")]
    [InlineData("", "0 bytes")]
    public void Open_FileOfAnotherKind_SaysWhatItMayBe(string content, string expected)
    {
        using TestFolder folder = new();
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder.Write("a.gguf", content)));
        Assert.Contains(expected, e.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_BigEndian_SaysSo()
    {
        using TestFolder folder = new();
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => GgufFile.Open(folder.Write("a.gguf", new GgufBuilder { Version = 0x03000000 }.Build())));
        Assert.Contains("big endian", e.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_NoFileOrAFolder_ThrowsIoException()
    {
        using TestFolder folder = new();
        Assert.ThrowsAny<IOException>(() => GgufFile.Open(folder["absent.gguf"]));
        Assert.ThrowsAny<IOException>(() => GgufFile.Open(folder.Path));
    }

    [Fact]
    public void Strings_OfAFileThatWasOverwritten_ThrowInsteadOfReadingElsewhere()
    {
        using TestFolder folder = new();
        byte[] bytes = new GgufBuilder().Add("s", "abc", "d").Build();
        string path = folder.Write("a.gguf", bytes);
        using GgufFile file = GgufFile.Open(path);
        Assert.True(file.Metadata.TryGetStrings("s", out Utf8Strings strings));
        using (FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.Seek(bytes.Length - 9, SeekOrigin.Begin);
            stream.WriteByte(200); // the last string is one byte long
        }

        Assert.Throws<ModelFormatException>(() => strings[1].Length);
    }

    private static void WriteParts(TestFolder folder)
    {
        for (int i = 0; i < 3; i++)
        {
            folder.Write($"m-{i + 1:D5}-of-00003.gguf", Part(i, 3, $"t{i}"));
        }
    }

    private static byte[] Part(int number, int count, params string[] tensors)
    {
        GgufBuilder builder = new();
        builder.AddRaw("split.no", 2, U16((ushort)number)).AddRaw("split.count", 2, U16((ushort)count)).AddRaw("split.tensors.count", 5, U32(3));
        foreach (string tensor in tensors)
        {
            builder.AddTensor(tensor, I8, [1], [(byte)(10 + number)]);
        }

        return builder.Build();
    }
}
