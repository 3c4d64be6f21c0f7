// The tensor types of GGUF that are no weights here, with their sizes, so that files that hold them open. Weight formats are in WeightFormats.
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Files;

/// <summary>What a tensor type of GGUF is called and how many bytes it takes.</summary>
internal readonly record struct GgufStoredType(string Name, int BlockSize, int BlockBytes, WeightFormat? Format)
{
    /// <summary>The number of the type of this name, or null where GGUF has none.</summary>
    public static uint? IdOf(string name) => WeightFormats.All.FirstOrDefault(format => format.Name == name)?.GgufTypeId ?? name switch
    {
        "I8" => 24,
        "I16" => 25,
        "I32" => 26,
        "I64" => 27,
        "F64" => 28,
        _ => null,
    };

    /// <summary>The type with this number, or null where nobody has defined it.</summary>
    public static GgufStoredType? For(uint id)
    {
        if (WeightFormats.ForGgufType(id) is { } format)
        {
            return new GgufStoredType(format.Name, format.BlockSize, format.BlockBytes, format);
        }

        return id switch
        {
            4 => new("Q4_2", 16, 10, null), // removed in 2023
            5 => new("Q4_3", 16, 12, null), // removed in 2023
            9 => new("Q8_1", 32, 36, null), // activations, never weights
            15 => new("Q8_K", 256, 292, null), // activations, never weights
            24 => new("I8", 1, 1, null),
            25 => new("I16", 1, 2, null),
            26 => new("I32", 1, 4, null),
            27 => new("I64", 1, 8, null),
            28 => new("F64", 1, 8, null),
            31 => new("Q4_0_4_4", 32, 18, null), // 31 to 33 and 36 to 38: interleaved forms of Q4_0 and IQ4_NL, removed in 2024
            32 => new("Q4_0_4_8", 32, 18, null),
            33 => new("Q4_0_8_8", 32, 18, null),
            36 => new("IQ4_NL_4_4", 32, 18, null),
            37 => new("IQ4_NL_4_8", 32, 18, null),
            38 => new("IQ4_NL_8_8", 32, 18, null),
            _ => null,
        };
    }
}
