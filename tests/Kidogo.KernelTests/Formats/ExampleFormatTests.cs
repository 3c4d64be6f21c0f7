// The how-to's example is the code that is compiled here, and it works.
using Kidogo.Tensors.Formats;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Formats;

public sealed class ExampleFormatTests
{
    [Fact]
    public void HowTo_AddAWeightFormat_ShowsTheCodeThatIsCompiled()
    {
        string page = Normalised(Path.Combine("docs", "how-to", "add-a-weight-format.md"));
        string code = Normalised(Path.Combine("tests", "Kidogo.KernelTests", "Formats", "ExampleFormat.cs"));
        Assert.Contains(code[code.IndexOf("public struct", StringComparison.Ordinal)..], page, StringComparison.Ordinal);
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
