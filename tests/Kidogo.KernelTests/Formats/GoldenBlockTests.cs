// Decoded blocks are those of llama.cpp's own library, to the bit. Knows nothing of how blocks are made.
using Kidogo.Tensors.Formats;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Formats;

public sealed class GoldenBlockTests
{
    public static TheoryData<string> QuantisedNames => new(WeightFormats.All.Where(format => format.Name is not ("F32" or "SQ4_0")).Select(format => format.Name));

    /// <summary>18 rows with different statistics: denormals, ties, outliers, zeros, trained weights.</summary>
    [SharedTheory]
    [MemberData(nameof(QuantisedNames))]
    public void Decode_BlocksOfLlamaCpp_GivesItsValuesToTheBit(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        IReadOnlyDictionary<string, FixtureTensor> bytes = Read("bytes.safetensors");
        int compared = 0;
        foreach ((string key, FixtureTensor expected) in Read("decoded.safetensors"))
        {
            if (!string.Equals(key.Replace(".importance", "", StringComparison.Ordinal), name, StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }

            FixtureTensor blocks = bytes[key];
            Assert.Equal(format.RowBytes(expected.Shape[1]), blocks.Shape[1]);
            float[] weights = new float[expected.Shape[0] * expected.Shape[1]];
            format.Decode(blocks.Bytes, weights);
            AssertBits.Equal(expected.As<float>(), weights, key);
            compared += weights.Length;
        }

        Assert.Equal(18 * 512, compared);
    }

    private static IReadOnlyDictionary<string, FixtureTensor> Read(string file) =>
        SafetensorsFixture.Read(SharedFolder.PathOf("golden", "compression", "blocks", file));
}
