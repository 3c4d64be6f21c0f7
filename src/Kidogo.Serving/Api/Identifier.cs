// Names for things that nobody shall guess. Knows not what they name.
using System.Security.Cryptography;

namespace Kidogo.Serving.Api;

/// <summary>Makes identifiers.</summary>
internal static class Identifier
{
    /// <summary>A prefix and 128 random bits.</summary>
    public static string New(string prefix) => prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
}
