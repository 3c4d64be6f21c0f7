// The how-to's example is the code that is compiled here, and it works.
using Kidogo.KernelTests.Weights;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Kernels;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Formats;

public sealed class ExampleFormatTests
{
    [Fact]
    public void HowTo_AddAWeightFormat_ShowsTheCodeThatIsCompiled()
    {
        string page = Normalised(Path.Combine("docs", "how-to", "add-a-weight-format.md"));
        string code = Normalised(Path.Combine("tests", "Kidogo.KernelTests", "Formats", "ExampleFormat.cs"));
        string source = Normalised(Path.Combine("tests", "Kidogo.KernelTests", "Formats", "ExampleSource.cs"));
        Assert.Contains(code[code.IndexOf("public struct", StringComparison.Ordinal)..], page, StringComparison.Ordinal);
        Assert.Contains(source[source.IndexOf("internal readonly struct", StringComparison.Ordinal)..], page, StringComparison.Ordinal);
    }

    [Fact]
    public void ExampleFormat_Packed_HasTheWeightsThatDecodingGives()
    {
        BlockFormat<Q3_0> format = new();
        byte[] blocks = new byte[3 * 2 * format.BlockBytes];
        format.Encode(new Pseudorandom(2).Floats(192), [], blocks);
        using StoredData data = new(format, 64, blocks);
        using ComputeContext context = ComputeContext.Inference(1);
        using Weight packed = new PackedLayout<Q3_0, Q3_0Source, ThreeBits, BlockScale<OneBlock, HalfNumber>>().Open(data.Matrix(3), context.Team);
        float[] expected = new float[192], row = new float[64];
        format.Decode(blocks, expected);
        for (int r = 0; r < 3; r++)
        {
            packed.DecodeRow(r, row);
            AssertBits.Equal(expected.AsSpan(64 * r, 64), row, $"row {r}");
        }
    }

    [Fact]
    public void ExampleFormat_EncodedAndDecoded_ErrsByHalfAScaleAndIsStable()
    {
        BlockFormat<Q3_0> format = new();
        Assert.Equal(format.BlockBytes, format.StructBytes);
        float[] weights = new Pseudorandom(1).Floats(320);
        byte[] blocks = new byte[140];
        byte[] again = new byte[140];
        float[] decoded = new float[320];
        format.Encode(weights, [], blocks);
        format.Decode(blocks, decoded);
        format.Encode(decoded, [], again);
        Assert.Equal(blocks, again);

        // The scale is a quarter of the largest magnitude, below 1; on the side without code -4 what rounds to 4 is cut to 3.
        Assert.All(weights.Zip(decoded), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= 0.2501f));
    }

    private static string Normalised(string path) => File.ReadAllText(Path.Combine(SharedFolder.RepositoryRoot, path)).ReplaceLineEndings("\n").Trim();
}
