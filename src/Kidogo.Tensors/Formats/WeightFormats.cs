// The table of stored weight formats: one line each. The loader, the writer, the command line and the test theories read it.
namespace Kidogo.Tensors.Formats;

/// <summary>Every stored weight format that Kidogo knows.</summary>
public static class WeightFormats
{
    /// <summary>All formats, in the order of their GGUF type ids.</summary>
    public static IReadOnlyList<WeightFormat> All { get; } =
    [
        new BlockFormat<F32>(),
        new BlockFormat<F16>(),
        new BlockFormat<Q4_0>(),
        new BlockFormat<Q4_1>(),
        new BlockFormat<Q5_0>(),
        new BlockFormat<Q5_1>(),
        new BlockFormat<Q8_0>(),
        new BlockFormat<Q2_K>(),
        new BlockFormat<Q3_K>(),
        new BlockFormat<Q4_K>(),
        new BlockFormat<Q5_K>(),
        new BlockFormat<Q6_K>(),
        new BlockFormat<IQ2_XXS>(),
        new BlockFormat<IQ2_XS>(),
        new BlockFormat<IQ3_XXS>(),
        new BlockFormat<IQ1_S>(),
        new BlockFormat<IQ4_NL>(),
        new BlockFormat<IQ3_S>(),
        new BlockFormat<IQ2_S>(),
        new BlockFormat<IQ4_XS>(),
        new BlockFormat<IQ1_M>(),
        new BlockFormat<BF16>(),
        new BlockFormat<TQ1_0>(),
        new BlockFormat<TQ2_0>(),
        new BlockFormat<MXFP4>(),
        new BlockFormat<NVFP4>(),
        new BlockFormat<Q1_0>(),
        new BlockFormat<Q2_0>(),
        new BlockFormat<SQ4_0>(),
    ];

    /// <summary>The format with this GGUF type id, or null.</summary>
    public static WeightFormat? ForGgufType(uint typeId) => All.FirstOrDefault(format => format.GgufTypeId == typeId);

    /// <summary>The format of this name, in any case, or null.</summary>
    public static WeightFormat? ForName(string name) => All.FirstOrDefault(format => string.Equals(format.Name, name, StringComparison.OrdinalIgnoreCase));

    /// <summary>The format of a safetensors file's <c>dtype</c>, spelled as there (<c>F32</c>, <c>F16</c>, <c>BF16</c>), or null.</summary>
    /// <remarks>Of its types these can be weights as they lie.</remarks>
    public static WeightFormat? ForSafetensorsName(string dtype) => dtype is "F32" or "F16" or "BF16" ? ForName(dtype) : null;
}
