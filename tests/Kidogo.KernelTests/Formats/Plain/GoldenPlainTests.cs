// The formats beside GGUF's blocks give what the authors' own code gives. Knows no GGUF.
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Plain;
using Kidogo.TestSupport;

namespace Kidogo.KernelTests.Formats.Plain;

public sealed class GoldenPlainTests
{
    /// <summary>Scales and decoded values: float32 sums in another order.</summary>
    private const float Tolerance = 1e-6f;

    [SharedTheory]
    [InlineData(Float8Kind.E4M3, "float8_e4m3")]
    [InlineData(Float8Kind.E5M2, "float8_e5m2")]
    public void Float8_EveryKindOfValue_HasTheBytesOfMlDtypes(Float8Kind kind, string name)
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("compression", "formats", "formats.safetensors");
        float[] x = golden["x"].As<float>();
        foreach (bool saturate in (bool[])[false, true])
        {
            byte[] expected = golden[saturate ? $"{name}_saturated" : name].Bytes;
            for (int i = 0; i < x.Length; i++)
            {
                byte actual = Float8.Encode(x[i], kind, saturate);
                bool bothNaN = float.IsNaN(Float8.Decode(actual, kind)) && float.IsNaN(Float8.Decode(expected[i], kind));
                Assert.True(bothNaN || actual == expected[i], $"{name}, saturate {saturate}: {x[i]:R} became 0x{actual:X2}, not 0x{expected[i]:X2}");
            }
        }

        float[] table = golden[$"{name}_table"].As<float>();
        for (int code = 0; code < 256; code++)
        {
            float value = Float8.Decode((byte)code, kind);
            bool bothNaN = float.IsNaN(value) && float.IsNaN(table[code]);
            Assert.True(bothNaN || BitConverter.SingleToInt32Bits(value) == BitConverter.SingleToInt32Bits(table[code]));
        }
    }

    /// <summary>All that is finite and stays so; what becomes infinite is refused, which the tests of encoders cover.</summary>
    [SharedTheory]
    [InlineData("F16", "float16")]
    [InlineData("BF16", "bfloat16")]
    public void HalfAndBFloat16_EveryKindOfValue_HaveTheBytesOfNumpy(string name, string key)
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("compression", "formats", "formats.safetensors");
        float[] x = golden["x"].As<float>();
        ushort[] expected = golden[key].As<ushort>();
        WeightFormat format = WeightFormats.ForName(name)!;
        float[] decoded = new float[x.Length];
        format.Decode(MemoryMarshal.AsBytes(expected.AsSpan()), decoded);
        int[] usable = [.. Enumerable.Range(0, x.Length).Where(i => float.IsFinite(x[i]) && float.IsFinite(decoded[i]))];
        Assert.True(usable.Length > 4000);
        byte[] actual = new byte[2 * usable.Length];
        format.Encode(usable.Select(i => x[i]).ToArray(), [], actual);
        Assert.Equal(usable.Select(i => expected[i]), MemoryMarshal.Cast<byte, ushort>(actual).ToArray());
    }

    [SharedTheory]
    [InlineData("int8-row", "int8_symmetric")]
    [InlineData("int8-row-zero-point", "int8_asymmetric")]
    public void Int8_Layer_HasTheCodesOfTheReference(string name, string key)
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("compression", "simple.safetensors");
        IReadOnlyDictionary<string, StoredPart> parts = EncodeLayer(name, out float[] decoded);
        Assert.Equal(golden[$"{key}/codes"].Bytes, parts[""].Bytes);
        AssertNear(golden[$"{key}/scales"].As<float>(), parts["_scale"]);
        AssertNear(golden[$"{key}/dequantised"].As<float>(), decoded);
        if (name.EndsWith("zero-point", StringComparison.Ordinal))
        {
            FixtureTensor zeros = golden[$"{key}/zeros"];
            float[] expected = zeros.DType == "U8" ? [.. zeros.Bytes.Select(zero => (float)zero)] : zeros.As<float>();
            Assert.Equal(expected, parts["_zero_point"].Bytes.Select(zero => (float)zero));
        }
    }

    [SharedFact]
    public void Ternary_Layer_HasTheTritsOfTheReference()
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("compression", "simple.safetensors");
        IReadOnlyDictionary<string, StoredPart> parts = EncodeLayer("ternary", out float[] decoded);
        float scale = golden["ternary/scale"].As<float>()[0];
        AssertNear([scale], parts["_scale"]);
        AssertNear([.. golden["ternary/values"].As<sbyte>().Select(trit => trit * scale)], decoded);
    }

    [SharedTheory]
    [InlineData("binary-tensor", "binary_bitnet")]
    [InlineData("binary-row", "binary_xnor")]
    public void Binary_Layer_HasTheSignsOfTheReference(string name, string key)
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("compression", "simple.safetensors");
        IReadOnlyDictionary<string, StoredPart> parts = EncodeLayer(name, out float[] decoded);
        float[] scales = golden[name == "binary-row" ? $"{key}/scales" : $"{key}/scale"].As<float>();
        AssertNear(scales, parts["_scale"]);
        int columns = decoded.Length / scales.Length;
        AssertNear([.. golden[$"{key}/signs"].As<sbyte>().Select((sign, i) => sign * scales[i / columns])], decoded);
    }

    [SharedFact]
    public void Codebook_Layer_HasTheCentresAndCodesOfTheReference()
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("compression", "simple.safetensors");
        IReadOnlyDictionary<string, StoredPart> parts = EncodeLayer("codebook-3", out float[] decoded);
        float[] centres = golden["codebook/centres"].As<float>();
        AssertNear(centres, parts["_centres"]);
        AssertNear([.. golden["codebook/codes"].Bytes.Select(code => centres[code])], decoded);
    }

    [SharedFact]
    public void Nf4_Matrix_HasTheBytesOfBitsandbytes()
    {
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("adapters", "nf4.safetensors");
        AssertBits.Equal(golden["nf4_code"].As<float>(), Nf4Format.Table, "NF4 table");
        AssertBits.Equal(golden["dynamic_code"].As<float>(), Nf4Format.Dynamic, "dynamic table");
        FixtureTensor matrix = golden["w"];
        (int rows, int columns) = ((int)matrix.Shape[0], (int)matrix.Shape[1]);
        IReadOnlyDictionary<string, StoredPart> plain = Encode("nf4", matrix.As<float>(), rows, columns, out float[] decoded);
        Assert.Equal(golden["nf4.bytes"].Bytes, plain[""].Bytes);
        AssertBits.Equal(golden["nf4.absmax"].As<float>(), MemoryMarshal.Cast<byte, float>(plain["_scale"].Bytes), "scales");
        AssertNear(golden["nf4.dequantised"].As<float>(), decoded);

        IReadOnlyDictionary<string, StoredPart> twice = Encode("nf4-double", matrix.As<float>(), rows, columns, out decoded);
        Assert.Equal(golden["nf4_double.bytes"].Bytes, twice[""].Bytes);
        Assert.Equal(golden["nf4_double.absmax_codes"].Bytes, twice["_scale"].Bytes);
        AssertNear(golden["nf4_double.nested_absmax"].As<float>(), twice["_scale_scale"]);
        AssertNear(golden["nf4_double.offset"].As<float>(), twice["_scale_offset"]);
        AssertNear(golden["nf4_double.dequantised"].As<float>(), decoded);
    }

    /// <summary>A matrix of a base model, 160 columns wide, so that blocks run across the ends of rows.</summary>
    [SharedFact]
    public void Nf4_MatrixOfAQloraBase_DecodesToItsWeights()
    {
        const string Name = "model.layers.0.mlp.down_proj.weight";
        IReadOnlyDictionary<string, FixtureTensor> golden = Read("adapters", "train-qlora", "base-nf4.safetensors");
        FixtureTensor expected = golden[$"dequantised.{Name}"];
        StoredPart[] parts =
        [
            new("", "U8", [], golden[$"{Name}.bytes"].Bytes),
            new("_scale", "U8", [], golden[$"{Name}.absmax_codes"].Bytes),
            new("_scale_scale", "F32", [], golden[$"{Name}.nested_absmax"].Bytes),
            new("_scale_offset", "F32", [], golden[$"{Name}.offset"].Bytes),
        ];
        float[] decoded = new float[expected.Shape[0] * expected.Shape[1]];
        PlainFormats.ForName("nf4-double")!.Decode(parts.ToDictionary(part => part.Suffix), (int)expected.Shape[0], (int)expected.Shape[1], decoded);
        AssertNear(expected.As<float>(), decoded);
    }

    private static IReadOnlyDictionary<string, StoredPart> EncodeLayer(string name, out float[] decoded)
    {
        FixtureTensor layer = Read("compression", "layer.safetensors")["W"];
        return Encode(name, layer.As<float>(), (int)layer.Shape[0], (int)layer.Shape[1], out decoded);
    }

    private static IReadOnlyDictionary<string, StoredPart> Encode(string name, float[] weights, int rows, int columns, out float[] decoded)
    {
        PlainFormat format = PlainFormats.ForName(name)!;
        IReadOnlyDictionary<string, StoredPart> parts = format.Encode(weights, rows, columns).ToDictionary(part => part.Suffix);
        decoded = new float[weights.Length];
        format.Decode(parts, rows, columns, decoded);
        return parts;
    }

    private static void AssertNear(float[] expected, StoredPart actual) => AssertNear(expected, MemoryMarshal.Cast<byte, float>(actual.Bytes).ToArray());

    private static void AssertNear(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= Tolerance, $"element {i}: {actual[i]:R}, expected {expected[i]:R}");
        }
    }

    private static IReadOnlyDictionary<string, FixtureTensor> Read(params string[] path) => SafetensorsFixture.Read(SharedFolder.PathOf(["golden", .. path]));
}
