// The table of stored weight formats: one line each. The loader, the writer, the command line and the test theories read it.
namespace Kidogo.Tensors.Formats;

/// <summary>Every stored weight format that Kidogo knows.</summary>
public static class WeightFormats
{
    /// <summary>All formats, in the order of their GGUF type ids.</summary>
    public static IReadOnlyList<WeightFormat> All { get; } =
    [
        new BlockFormat<Q4_0>(),
    ];

    /// <summary>The format with this GGUF type id, or null.</summary>
    public static WeightFormat? ForGgufType(uint typeId) => All.FirstOrDefault(format => format.GgufTypeId == typeId);

    /// <summary>The format of this name, in any case, or null.</summary>
    public static WeightFormat? ForName(string name) => All.FirstOrDefault(format => string.Equals(format.Name, name, StringComparison.OrdinalIgnoreCase));
}
