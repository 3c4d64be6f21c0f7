// The table of formats that are codes with scales beside them. The writer of safetensors and the test theories read it.
namespace Kidogo.Tensors.Formats.Plain;

/// <summary>Every format of Kidogo's safetensors that is no GGUF block.</summary>
public static class PlainFormats
{
    /// <summary>All formats.</summary>
    public static IReadOnlyList<PlainFormat> All { get; } =
    [
        new Int8Format("int8-row", perRow: true, hasZeroPoint: false),
        new Int8Format("int8-tensor", perRow: false, hasZeroPoint: false),
        new Int8Format("int8-row-zero-point", perRow: true, hasZeroPoint: true),
        new Int8Format("int8-tensor-zero-point", perRow: false, hasZeroPoint: true),
        new TernaryFormat(),
        new BinaryFormat("binary-tensor", perRow: false),
        new BinaryFormat("binary-row", perRow: true),
        new Nf4Format("nf4", isDouble: false),
        new Nf4Format("nf4-double", isDouble: true),
        new Float8Format("float8-e4m3", Float8Kind.E4M3),
        new Float8Format("float8-e5m2", Float8Kind.E5M2),
        new CodebookFormat(2),
        new CodebookFormat(3),
        new CodebookFormat(4),
    ];

    /// <summary>The format of this name, or null.</summary>
    public static PlainFormat? ForName(string name) => All.FirstOrDefault(format => format.Name == name);
}
