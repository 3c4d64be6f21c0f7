// GGUF's tensor names, which are the house's own. Knows no family's other names.
using System.Globalization;

namespace Kidogo.Models.Families;

/// <summary>The shape of canonical tensor names: <c>token_embd.weight</c>, <c>blk.3.attn_q.weight</c>.</summary>
public static class CanonicalNames
{
    private const string Block = "blk.";

    /// <summary>The name of something in a layer.</summary>
    public static string InLayer(int layer, string name) => string.Create(CultureInfo.InvariantCulture, $"{Block}{layer}.{name}");

    /// <summary>Splits <c>blk.3.attn_q.weight</c> into 3 and <c>attn_q.weight</c>.</summary>
    public static bool TrySplitLayer(string name, out int layer, out string rest) => TrySplitNumber(name, Block, out layer, out rest);

    /// <summary>Splits a prefix, a number, a dot and a rest.</summary>
    public static bool TrySplitNumber(string name, string prefix, out int number, out string rest)
    {
        number = 0;
        rest = "";
        if (!name.StartsWith(prefix, StringComparison.Ordinal))
        {
            return false;
        }

        int dot = name.IndexOf('.', prefix.Length);
        if (dot < 0 || !int.TryParse(name.AsSpan(prefix.Length, dot - prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number))
        {
            return false;
        }

        rest = name[(dot + 1)..];
        return true;
    }
}
