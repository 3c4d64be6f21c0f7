// Encoded blocks are those of llama.cpp's own library, byte for byte, plain and with importance. Knows nothing of how blocks are decoded.
using Kidogo.Tensors.Formats;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Formats;

public sealed class GoldenEncodingTests
{
    private const int Rows = 18;
    private const int Columns = 512;

    /// <summary>A row of denormal float32 values: there the reciprocal of a scale is infinite, and the original converts what is no number to an integer,
    /// which C leaves open.</summary>
    private const int DenormalRow = 4;

    public static TheoryData<string> EncodableNames =>
        new(WeightFormats.All.Where(format => format.CanEncode && format.Name is not ("F32" or "SQ4_0")).Select(format => format.Name));

    /// <summary>18 rows with different statistics: denormals, ties, outliers, zeros, trained weights.</summary>
    [SharedTheory]
    [MemberData(nameof(EncodableNames))]
    public void Encode_RowsOfManyKinds_GivesTheBytesOfLlamaCpp(string name)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        IReadOnlyDictionary<string, FixtureTensor> source = Read("source.safetensors");
        float[] x = source["x"].As<float>();
        float[] importance = source["importance"].As<float>();
        int compared = 0;
        foreach ((string key, FixtureTensor expected) in Read("bytes.safetensors"))
        {
            bool weighed = key.EndsWith(".importance", StringComparison.Ordinal);
            if (!string.Equals(weighed ? key[..^11] : key, name, StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }

            Assert.True(!weighed || format.Importance != ImportanceUse.Ignored, $"{name} uses importance.");
            int rowBytes = (int)format.RowBytes(Columns);
            byte[] blocks = new byte[rowBytes];
            for (int row = 0; row < Rows; row++)
            {
                format.Encode(x.AsSpan(row * Columns, Columns), weighed ? importance : [], blocks);
                ReadOnlySpan<byte> wanted = expected.Bytes.AsSpan(row * rowBytes, rowBytes);
                if (row == DenormalRow)
                {
                    AssertBits.Equal(Decoded(format, wanted), Decoded(format, blocks), $"{key}, denormal row");
                }
                else
                {
                    Assert.True(wanted.SequenceEqual(blocks), $"{key}, row {row}: byte {wanted.CommonPrefixLength(blocks)} differs.");
                }
            }

            compared++;
        }

        Assert.Equal(format.Importance == ImportanceUse.Optional ? 2 : 1, compared);
    }

    private static float[] Decoded(WeightFormat format, ReadOnlySpan<byte> blocks)
    {
        float[] weights = new float[Columns];
        format.Decode(blocks, weights);
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] += 0f; // -0 becomes 0: its sign depends on codes that C leaves open
        }

        return weights;
    }

    private static IReadOnlyDictionary<string, FixtureTensor> Read(string file) =>
        SafetensorsFixture.Read(SharedFolder.PathOf("golden", "compression", "blocks", file));
}
