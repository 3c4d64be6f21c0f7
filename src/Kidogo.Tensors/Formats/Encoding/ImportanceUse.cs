// How a format's encoder treats an importance vector. Knows no format.
namespace Kidogo.Tensors.Formats;

/// <summary>What an encoder does with a weight for the error of each column.</summary>
public enum ImportanceUse
{
    /// <summary>The encoder rounds each weight alone, or looks at the largest only: importance changes nothing.</summary>
    Ignored,

    /// <summary>The encoder searches scales, and with importance it weighs errors by it.</summary>
    Optional,

    /// <summary>The format is so coarse that the encoder refuses to work without importance.</summary>
    Required,
}
