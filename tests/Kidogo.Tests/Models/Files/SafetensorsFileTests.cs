// What is read from good safetensors files, and the files that must be refused.
using Kidogo.Models.Files;
using static Kidogo.Tests.Models.Files.SafetensorsBuilder;

namespace Kidogo.Tests.Models.Files;

public sealed class SafetensorsFileTests
{
    private const long MaxAllocatedBytes = 64L * 1024 * 1024;

    private static readonly Dictionary<string, Func<byte[]>> s_bad = new()
    {
        ["empty"] = () => [],
        ["seven bytes"] = () => new byte[7],
        ["a header of no bytes"] = () => new byte[8],
        ["the header's length is 2^64 - 1"] = () => File("{}", 0, ulong.MaxValue),
        ["the header's length is 2^63"] = () => File("{}", 0, 1UL << 63),
        ["a header of 1,000 bytes in a small file"] = () => File("{}", 0, 1000),
        ["a header of more than 100 MB"] = () => File("{}", 0, 100_000_001),
        ["leading white space"] = () => File(" {}", 0),
        ["no object"] = () => File("[]", 0),
        ["something follows"] = () => File("{} 1", 0),
        ["ends too early"] = () => File("{\"a\":", 0),
        ["a comment"] = () => File("{/**/}", 0),
        ["no UTF-8 in a name"] = () => [.. GgufBuilder.U64(59), .. "{\""u8, 0xC0, 0x80, .. "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}    "u8, 1],
        ["half a surrogate pair in a name"] = () => File("""{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1),
        ["metadata that is no string"] = () => File("""{"__metadata__":{"a":1}}""", 0),
        ["metadata that is an object"] = () => File("""{"__metadata__":{"a":{}}}""", 0),
        ["metadata twice"] = () => File("""{"__metadata__":{},"__metadata__":{}}""", 0),
        ["a key of the metadata twice"] = () => File("""{"__metadata__":{"a":"","\u0061":""}}""", 0),
        ["a tensor twice"] = () => File("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""", 2),
        ["a field twice"] = () => File("""{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1),
        ["no dtype"] = () => File("""{"a":{"shape":[1],"data_offsets":[0,1]}}""", 1),
        ["no shape"] = () => File("""{"a":{"dtype":"U8","data_offsets":[0,1]}}""", 1),
        ["no offsets"] = () => File("""{"a":{"dtype":"U8","shape":[1]}}""", 1),
        ["one offset"] = () => Tensor("U8", "[1]", "[0]", 1),
        ["three offsets"] = () => Tensor("U8", "[1]", "[0,1,1]", 1),
        ["an unknown dtype"] = () => Tensor("U9", "[1]", "[0,1]", 1),
        ["a negative offset"] = () => Tensor("U8", "[1]", "[-1,0]", 1),
        ["a negative dimension"] = () => Tensor("U8", "[-1]", "[0,1]", 1),
        ["a number as 1e0"] = () => Tensor("U8", "[1e0]", "[0,1]", 1),
        ["a number as 1.0"] = () => Tensor("U8", "[1.0]", "[0,1]", 1),
        ["a number as text"] = () => Tensor("U8", "[\"1\"]", "[0,1]", 1),
        ["a shape whose product overflows to 2"] = () => Tensor("U8", "[2,18446744073709551614]", "[0,2]", 2),
        ["a shape whose product overflows"] = () => Tensor("U8", "[2,9223372036854775807]", "[0,2]", 2),
        ["a size in bits that overflows"] = () => Tensor("F64", "[2305843009213693952]", "[0,0]", 0),
        ["zero elements hide a product that overflows"] = () => Tensor("U8", "[0,4611686018427387904,4]", "[0,0]", 0),
        ["a shape that does not fit the offsets"] = () => Tensor("F32", "[2]", "[0,4]", 4),
        ["half a byte"] = () => Tensor("F4", "[1]", "[0,1]", 1),
        ["end before begin"] = () => File("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}}""", 1),
        ["a hole at the start"] = () => Tensor("U8", "[1]", "[1,2]", 2),
        ["a hole between"] = () => File("""{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}""", 3),
        ["an overlap"] = () => File("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}""", 3),
        ["bytes behind the last tensor"] = () => Tensor("U8", "[1]", "[0,1]", 2),
        ["too few bytes"] = () => Tensor("U8", "[2]", "[0,2]", 1),
        ["17 dimensions"] = () => Tensor("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]", 1),
        ["deep nesting"] = () => File("{\"a\":" + new string('[', 10_000), 0),
        ["a name of 2 MB"] = () => File("{\"" + new string('a', 2_000_000) + "\":1}", 0),
        ["100,000 tensors in one place"] = () => File("{" + string.Join(",", Enumerable.Range(0, 100_000).Select(i => $$"""{{'"'}}{{i}}":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}""")) + "}", 1),
        ["a 10 MB list as a field that is not known"] = () => File("{\"a\":{\"x\":[" + string.Join(",", Enumerable.Repeat("1", 5_000_000)) + "]}}", 0),
    };

    public static TheoryData<string> BadKinds => new(s_bad.Keys);

    [Theory]
    [MemberData(nameof(BadKinds))]
    public void Open_FileThatIsWrong_ThrowsInLittleMemory(string kind)
    {
        using TestFolder folder = new();
        string path = folder.Write("hostile.safetensors", s_bad[kind]());
        long before = GC.GetAllocatedBytesForCurrentThread();

        ModelFormatException e = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(path));

        Assert.Equal(path, e.File);
        Assert.InRange(e.Offset, 0, new FileInfo(path).Length);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocatedBytes);
    }

    [Fact]
    public void Open_SmallFile_HasItsTensorsInPlace()
    {
        using TestFolder folder = new();
        using SafetensorsFile file = SafetensorsFile.Open(folder.Write("small.safetensors", Small()));

        Assert.Equal(["w", "b", "ids", "none"], file.Tensors.Select(tensor => tensor.Name));
        Assert.Equal("F32", file.Find("w")!.Format.Name);
        Assert.Equal([2L, 3L], file.Find("w")!.Shape);
        Assert.Equal(GgufBuilder.Bytes(24), file.Find("w")!.Data.Read(0, 24).ToArray());
        Assert.Equal("BF16", file.Find("b")!.Format.Name);
        Assert.Equal(24, file.Find("b")!.Data.Read(0, 1)[0]);
        Assert.False(file.Find("ids")!.IsWeight);
        Assert.Equal(1, file.Find("ids")!.Elements);
        Assert.Equal("I64", file.Find("ids")!.TypeName);
        Assert.Equal(0, file.Find("none")!.Elements);
        Assert.Equal("é", file.Metadata["é"]);
    }

    [Fact]
    public void Open_TensorsInAnotherOrderThanTheirData_AreSorted()
    {
        using TestFolder folder = new();
        using SafetensorsFile file = SafetensorsFile.Open(folder.Write(
            "a.safetensors", File("""{"b":{"data_offsets":[1,3],"shape":[2],"dtype":"U8","more":{"x":[1]}},"a":{"dtype":"I8","shape":[1,1],"data_offsets":[0,1]}}""", 3)));

        Assert.Equal(["a", "b"], file.Tensors.Select(tensor => tensor.Name));
    }

    [Fact]
    public void Open_HeaderLongerThanTheBuffer_IsReadWhole()
    {
        const int count = 5000;
        string header = "{" + string.Join(",", Enumerable.Range(0, count).Select(i => $$"""{{'"'}}tensor.{{i}}":{"dtype":"U8","shape":[1],"data_offsets":[{{i}},{{i + 1}}]}""")) + "}";
        using TestFolder folder = new();
        using SafetensorsFile file = SafetensorsFile.Open(folder.Write("a.safetensors", File(header, count)));

        Assert.Equal(count, file.Tensors.Count);
        Assert.Equal((byte)77, file.Find("tensor.77")!.Data.Read(0, 1)[0]);
    }

    [Fact]
    public void Open_LongTextInTheMetadata_IsRead()
    {
        string text = new('x', 300_000);
        using TestFolder folder = new();
        using SafetensorsFile file = SafetensorsFile.Open(folder.Write("a.safetensors", File($$$"""{"__metadata__":{"long":"{{{text}}}"}}""", 0)));

        Assert.Equal(text, file.Metadata["long"]);
    }

    [Fact]
    public void Open_CutAtEveryByte_Throws()
    {
        byte[] whole = Small();
        using TestFolder folder = new();
        for (int length = 0; length < whole.Length; length++)
        {
            string path = folder.Write("cut.safetensors", whole[..length]);
            Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(path));
        }
    }

    [Fact]
    public void Open_EveryByteFlipped_OpensOrThrows()
    {
        byte[] whole = Small();
        using FuzzFile file = new(FuzzKind.Safetensors);
        int read = 0;
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] flipped = [.. whole];
            flipped[i] ^= 0x01;
            read += file.Try(flipped) ? 1 : 0;
        }

        Assert.InRange(read, 30, whole.Length - 100); // the data may be anything, the header may not
    }

    [Fact]
    public void Open_GgufFile_SaysSo()
    {
        using TestFolder folder = new();
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(folder.Write("a.safetensors", GgufBuilder.Small().Build())));
        Assert.Contains("GGUF", e.Problem, StringComparison.Ordinal);
    }

    private static byte[] Tensor(string type, string shape, string offsets, int dataBytes) =>
        File("{\"a\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}", dataBytes);
}
