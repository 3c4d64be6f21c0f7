// The kinds of handcrafted files on which ggml tests its GGUF reader, and the files behind its published vulnerabilities.
using System.Diagnostics;
using Kidogo.Models.Files;
using static Kidogo.Tests.Models.Files.GgufBuilder;

namespace Kidogo.Tests.Models.Files;

public sealed class GgufHandcraftedTests
{
    /// <summary>The bound on memory: 64 MiB more than a bare start. What is allocated is more than what is held at once.</summary>
    private const long MaxAllocatedBytes = 64L * 1024 * 1024;

    private const uint F32 = (uint)TensorType.F32;
    private const uint Q4_0 = (uint)TensorType.Q4_0;
    private const uint I8 = (uint)TensorType.I8;
    private const uint I64 = (uint)TensorType.I64;
    private const ulong Most = ulong.MaxValue;

    /// <summary>Kinds that must open: the files of ggml's test-gguf.cpp that it expects to load.</summary>
    private static readonly Dictionary<string, Func<byte[]>> s_good = new()
    {
        ["header: empty"] = () => new GgufBuilder().Build(),
        ["header: empty, version 2"] = () => new GgufBuilder { Version = 2 }.Build(),
        ["pairs: success"] = () => Pairs().Build(),
        ["pairs: a bool of 0x57, a string that is no UTF-8"] = () => new GgufBuilder().AddRaw("b", 7, [0x57]).AddRaw("s", 8, GgufBuilder.String([0xFF, 0xC0, 0x80])).Build(),
        ["pairs: empty arrays of each kind"] = () => EmptyArrays().Build(),
        ["tensors: zero dimension"] = () => new GgufBuilder().AddTensor("t", Q4_0, [32, 0], []).AddTensor("u", F32, [4], Bytes(16)).Build(),
        ["tensors: no dimension, a scalar"] = () => new GgufBuilder().AddTensor("t", F32, [], Bytes(4)).Build(),
        ["tensors: empty, and the padding before the data is not there"] = () => new GgufBuilder().AddTensor("t", F32, [0], []).Build(),
        ["tensors: success"] = () => Pairs().AddTensor("a", F32, [3, 2], Bytes(24)).AddTensor("b", I8, [5, 1, 2, 2], Bytes(20)).Build(),
        ["tensors: custom alignment 1"] = () => Aligned(1, 4, 1).Build(),
        ["tensors: custom alignment 64"] = () => Aligned(64, 4, 64).Build(),
        ["tensors: not in the order of their offsets"] = () => new GgufBuilder().AddTensor("a", F32, [2], Bytes(32), 32).AddTensor("b", F32, [2], Bytes(8), 0).Build(),
        ["tensors: name of 63 bytes"] = () => new GgufBuilder().AddTensor(new string('n', 63), I8, [1], [1]).Build(),
        ["tensors: removed types are listed"] = () => new GgufBuilder().AddTensor("a", 4, [16], Bytes(10)).AddTensor("b", 31, [32], Bytes(18)).Build(),
        ["data: success, and no padding at the end"] = () => new GgufBuilder { Missing = 31 }.AddTensor("a", I8, [1], [7]).Build(),
        ["data: bytes that belong to nothing follow"] = () => [.. Small().Build(), 1, 2, 3],
    };

    /// <summary>Kinds that must be refused.</summary>
    private static readonly Dictionary<string, Func<byte[]>> s_bad = new()
    {
        // ggml's test-gguf.cpp
        ["header: bad magic"] = () => new GgufBuilder { Magic = "FUGG"u8.ToArray() }.Build(),
        ["header: version 0"] = () => new GgufBuilder { Version = 0 }.Build(),
        ["header: version 1"] = () => new GgufBuilder { Version = 1 }.Build(),
        ["header: version of the future"] = () => new GgufBuilder { Version = 4 }.Build(),
        ["header: 2^64 - 1 tensors"] = () => new GgufBuilder { TensorCount = Most }.Build(),
        ["header: 2^64 - 1 pairs"] = () => new GgufBuilder { PairCount = Most }.Build(),
        ["pairs: key of 2^64 - 1 bytes"] = () => new GgufBuilder().AddRaw("key", 4, U32(1), keyLength: Most).Build(),
        ["pairs: empty key"] = () => new GgufBuilder().Add("", 1u).Build(),
        ["pairs: bad type"] = () => new GgufBuilder().AddRaw("key", 13, [1]).Build(),
        ["pairs: bad element type"] = () => new GgufBuilder().AddArray("key", 13, 1, [1]).Build(),
        ["pairs: duplicate key"] = () => new GgufBuilder().Add("key", 1u).Add("key", 2u).Build(),
        ["pairs: alignment 13"] = () => new GgufBuilder().Add("general.alignment", 13u).Build(),
        ["pairs: alignment of type i32"] = () => new GgufBuilder().AddRaw("general.alignment", 5, U32(32)).Build(),
        ["tensors: name of 64 bytes"] = () => new GgufBuilder().AddTensor(new string('n', 64), I8, [1], [1]).Build(),
        ["tensors: five dimensions"] = () => new GgufBuilder().AddTensor("t", I8, [1, 1, 1, 1, 1], [1]).Build(),
        ["tensors: negative shape"] = () => new GgufBuilder().AddTensor("t", I8, [Most, Most], [1]).Build(),
        ["tensors: too many elements"] = () => new GgufBuilder().AddTensor("t", I8, [4UL * int.MaxValue, 4UL * int.MaxValue], [1]).Build(),
        ["tensors: too many bytes"] = () => new GgufBuilder().AddTensor("t", I64, [1_533_916_891, 1_533_916_891], [1]).Build(),
        ["tensors: bad type"] = () => new GgufBuilder().AddTensor("t", 1000, [1], [1]).Build(),
        ["tensors: bad type, 2^32 - 1"] = () => new GgufBuilder().AddTensor("t", uint.MaxValue, [1], [1]).Build(),
        ["tensors: offset 2^64 - 1"] = () => new GgufBuilder().AddTensor("t", I8, [1], [1], offset: Most).Build(),
        ["tensors: duplicate name"] = () => new GgufBuilder().AddTensor("t", I8, [1], [1]).AddTensor("t", I8, [1], [1]).Build(),
        ["tensors: bad alignment"] = () => Aligned(13, 4, 13).Build(),
        ["tensors: inconsistent alignment"] = () => Aligned(1, 4, 32).Build(),
        ["data: not enough"] = () => new GgufBuilder { Missing = 1 }.AddTensor("t", I8, [32], Bytes(32)).Build(),
        ["data: two tensors of 2^63 - 64 bytes"] = () => new GgufBuilder().AddTensor("a", I8, [0x7FFFFFFFFFFFFFC0], Bytes(32)).AddTensor("b", I8, [0x7FFFFFFFFFFFFFC0], [], offset: 0x7FFFFFFFFFFFFFC0).Build(),

        // Published attacks; the number is that of the advisory whose file this is like.
        ["CVE-2024-21825: array length times element size overflows"] = () => new GgufBuilder().AddArray("a", 10, 1UL << 61, []).Build(),
        ["CVE-2024-21825: array of 2^64 - 1 strings"] = () => new GgufBuilder().AddArray("a", 8, Most, []).Build(),
        ["CVE-2024-23496: string of 2^64 - 1 bytes"] = () => new GgufBuilder().AddRaw("s", 8, U64(Most)).Build(),
        ["CVE-2024-21802: dimensions beyond the array, claimed"] = () => new GgufBuilder().AddTensor("t", I8, [1], [1], claimedDimensions: 0x7FFFFFFF).Build(),
        ["CVE-2024-21836: tensors times their size overflows"] = () => new GgufBuilder { TensorCount = (Most / 24) + 2 }.Build(),
        ["CVE-2024-23605: pairs times their size overflows"] = () => new GgufBuilder { PairCount = (Most / 14) + 2 }.Build(),
        ["CVE-2024-32878: ends in the middle of a pair"] = () => Pairs().Build()[..60],
        ["CVE-2024-41130: empty file"] = () => [],
        ["CVE-2024-41130: four letters"] = () => "GGUF"u8.ToArray(),
        ["CVE-2025-49847: a token longer than 2^31"] = () => new GgufBuilder().AddArray("tokenizer.ggml.tokens", 8, 1, U64(0x80000001)).Build(),
        ["CVE-2025-49847: a token that runs out of the file"] = () => new GgufBuilder().AddArray("tokenizer.ggml.tokens", 8, 2, [.. GgufBuilder.String([65]), .. U64(64)]).Build(),
        ["CVE-2025-53630: the sum of sizes wraps"] = () => new GgufBuilder().AddTensor("a", I64, [1UL << 60], Bytes(32)).AddTensor("b", I64, [1UL << 60], [], offset: 1UL << 63).Build(),
        ["CVE-2026-27940: sizes that wrap only when padded"] = () => new GgufBuilder().AddTensor("a", I8, [long.MaxValue], Bytes(32)).AddTensor("b", I8, [long.MaxValue], []).Build(),
        ["CVE-2026-33298: an exabyte in a small file"] = () => new GgufBuilder().AddTensor("t", F32, [1UL << 20, 1UL << 20, 1UL << 18], Bytes(64)).Build(),
        ["padding wraps: offset near 2^64"] = () => new GgufBuilder().AddTensor("t", I8, [1], [1], offset: Most - 31).Build(),
        ["alignment 2^31 puts the data behind the end"] = () => new GgufBuilder().Add("general.alignment", 0x80000000u).AddTensor("t", I8, [1], [1]).Build(),
        ["alignment 0"] = () => new GgufBuilder().Add("general.alignment", 0u).Build(),
        ["alignment of type u64"] = () => new GgufBuilder().AddRaw("general.alignment", 10, U64(32)).Build(),
        ["CVE-2026-7482: the data of a tensor end behind the file"] = () => new GgufBuilder().AddTensor("t", F32, [1000], Bytes(32)).Build(),
        ["nested arrays"] = () => new GgufBuilder().AddArray("a", 9, 1, [.. U32(9), .. U64(1), .. U32(9), .. U64(1)]).Build(),
        ["overlapping tensors"] = () => new GgufBuilder().AddTensor("a", F32, [16], Bytes(64)).AddTensor("b", F32, [8], [], offset: 32).Build(),
        ["overlapping tensors, not in order"] = () => new GgufBuilder().AddTensor("a", F32, [8], Bytes(64), offset: 32).AddTensor("b", F32, [16], [], offset: 0).Build(),
        ["rows that are no whole blocks"] = () => new GgufBuilder().AddTensor("t", Q4_0, [31], Bytes(18)).Build(),
        ["zero elements hide a product that overflows"] = () => new GgufBuilder().AddTensor("t", F32, [0, 1UL << 62, 4], []).Build(),
        ["a key that is no UTF-8"] = () => new GgufBuilder().AddRaw([0xC0, 0x80], 4, U32(1)).Build(),
        ["more pairs than there are bytes for"] = () => new GgufBuilder { PairCount = 60_000 }.Add("a", 1u).Build(),
        ["65,537 pairs"] = () => ManyPairs(65_537),
        ["big endian"] = () => new GgufBuilder { Version = 0x03000000 }.Build(),
        ["an array of 2^26 + 1 bytes"] = () => new GgufBuilder().AddArray("a", 0, (1UL << 26) + 1, []).Build(),
    };

    public static TheoryData<string> GoodKinds => new(s_good.Keys);

    public static TheoryData<string> BadKinds => new(s_bad.Keys);

    [Theory]
    [MemberData(nameof(GoodKinds))]
    public void Open_HandcraftedFileThatIsRight_ReadsEverything(string kind) => FileFuzz.Exercise(FuzzKind.Gguf, s_good[kind](), refused: false);

    [Theory]
    [MemberData(nameof(BadKinds))]
    public void Open_HandcraftedFileThatIsWrong_ThrowsWithFileAndOffsetQuicklyAndInLittleMemory(string kind)
    {
        using TestFolder folder = new();
        string path = folder.Write("hostile.gguf", s_bad[kind]());
        long before = GC.GetAllocatedBytesForCurrentThread();
        Stopwatch watch = Stopwatch.StartNew();

        ModelFormatException e = Assert.Throws<ModelFormatException>(() => GgufFile.Open(path));

        Assert.Equal(path, e.File);
        Assert.InRange(e.Offset, 0, new FileInfo(path).Length);
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
        Assert.InRange(watch.ElapsedMilliseconds, 0, 1000);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocatedBytes);
    }

    [Fact]
    public void Open_CutAtEveryByte_ThrowsUnlessOnlyPaddingIsGone()
    {
        byte[] whole = Small().Build();
        int lastNeeded = whole.Length - 20; // the last tensor takes 12 of its 32 bytes
        using TestFolder folder = new();
        for (int length = 0; length < whole.Length; length++)
        {
            string path = folder.Write("cut.gguf", whole[..length]);
            if (length < lastNeeded)
            {
                ModelFormatException e = Assert.Throws<ModelFormatException>(() => GgufFile.Open(path));
                Assert.InRange(e.Offset, 0, length);
            }
            else
            {
                GgufFile.Open(path).Dispose();
            }
        }
    }

    [Fact]
    public void Open_EveryByteFlipped_OpensOrThrows()
    {
        byte[] whole = Small().Build();
        using FuzzFile file = new(FuzzKind.Gguf);
        int refused = 0;
        for (int i = 0; i < whole.Length; i++)
        {
            foreach (byte mask in new byte[] { 0x01, 0x80, 0xFF })
            {
                byte[] flipped = [.. whole];
                flipped[i] ^= mask;
                refused += file.Try(flipped) ? 0 : 1;
            }
        }

        Assert.InRange(refused, 100, (3 * whole.Length) - 100); // both kinds of outcome occur, or this tests nothing
    }

    [Fact]
    public void Open_AsManyPairsAndTensorsAsAreAccepted_StaysWithinMemory()
    {
        GgufBuilder builder = new() { Alignment = 1 };
        builder.Add("general.alignment", 1u);
        for (int i = 0; i < 65_535; i++)
        {
            builder.AddRaw($"key.{i:D50}", 0, [1]);
        }

        for (int i = 0; i < 65_536; i++)
        {
            builder.AddTensor($"tensor.{i:D50}", I8, [1, 1, 1, 1], [1]);
        }

        using TestFolder folder = new();
        string path = folder.Write("many.gguf", builder.Build());
        long before = GC.GetAllocatedBytesForCurrentThread();

        using GgufFile file = GgufFile.Open(path);

        Assert.Equal(65_536, file.Tensors.Count);
        Assert.Equal(65_536, file.Metadata.Keys.Count);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocatedBytes);
    }

    [Fact]
    public void Open_HeaderOfManyEmptyStrings_IsReadInASmallBuffer()
    {
        // 2^23 strings of no bytes are 64 MiB of header. The file is sparse, so it costs the disk nothing.
        using TestFolder folder = new();
        byte[] head = new GgufBuilder().AddArray("a", 8, 1 << 23, []).Build();
        string path = folder.Write("strings.gguf", head);
        using (FileStream stream = new(path, FileMode.Open))
        {
            stream.SetLength(head.Length + (8L << 23));
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        using GgufFile file = GgufFile.Open(path);
        Assert.Throws<ModelFormatException>(() => file.Metadata.TryGetStrings("a", out _));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1024 * 1024);
    }

    [Fact]
    public void Open_HeaderOfMoreThan128MiB_Throws()
    {
        // 20 strings of 16 MiB, which are holes in a sparse file.
        const int stringBytes = 16 * 1024 * 1024;
        using TestFolder folder = new();
        string path = folder.Write("big.gguf", new GgufBuilder { PairCount = 20 }.Build());
        using (FileStream stream = new(path, FileMode.Open))
        {
            stream.Seek(0, SeekOrigin.End);
            for (int i = 0; i < 20; i++)
            {
                stream.Write([.. GgufBuilder.String([(byte)(65 + i)]), .. U32(8), .. U64(stringBytes)]);
                stream.SetLength(stream.Length + stringBytes);
                stream.Seek(0, SeekOrigin.End);
            }
        }

        ModelFormatException e = Assert.Throws<ModelFormatException>(() => GgufFile.Open(path));
        Assert.Contains("header", e.Problem, StringComparison.Ordinal);
    }

    private static GgufBuilder Pairs() => new GgufBuilder()
        .AddRaw("u8", 0, [1]).AddRaw("i8", 1, [1]).AddRaw("u16", 2, U16(1)).AddRaw("i16", 3, U16(1)).AddRaw("u32", 4, U32(1)).AddRaw("i32", 5, U32(1))
        .AddRaw("f32", 6, U32(1)).AddRaw("bool", 7, [1]).Add("string", "text").AddRaw("u64", 10, U64(1)).AddRaw("i64", 11, U64(1)).AddRaw("f64", 12, U64(1))
        .Add("strings", "a", "bc", "").Add("ints", 1, 2, 3);

    private static GgufBuilder EmptyArrays()
    {
        GgufBuilder builder = new();
        foreach (uint kind in new uint[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12 })
        {
            builder.AddArray($"array of {kind}", kind, 0, []);
        }

        return builder;
    }

    private static byte[] ManyPairs(int count)
    {
        GgufBuilder builder = new();
        for (int i = 0; i < count; i++)
        {
            builder.AddRaw($"{i}", 0, [1]);
        }

        return builder.Build();
    }

    // Two tensors of 3 bytes laid out for one alignment while the metadata claim another.
    private static GgufBuilder Aligned(int layout, uint type, uint claimed) => new GgufBuilder { Alignment = layout }
        .AddRaw("general.alignment", type, U32(claimed)).AddTensor("a", I8, [3], Bytes(3)).AddTensor("b", I8, [3], Bytes(3));
}
