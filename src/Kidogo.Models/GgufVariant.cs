// Which of a repository's GGUF files is meant by a format's name. Knows file names, not what is in the files.
using System.Text.RegularExpressions;

namespace Kidogo.Models;

/// <summary>A model in GGUF among others of one repository: one file, or several parts of one.</summary>
/// <param name="Format">The format in its name, in capitals: <c>Q4_K_M</c>; the name itself where there is none in it.</param>
/// <param name="Files">Its parts in order, as the repository calls them.</param>
public sealed partial record GgufVariant(string Format, IReadOnlyList<string> Files)
{
    /// <summary>What is taken where no format was named: four to five bits first, then the nearest.</summary>
    private static readonly string[] s_usual = ["Q4_K_M", "Q4_K_S", "Q4_K_L", "Q4_0", "IQ4_XS", "IQ4_NL", "Q4_1", "Q4", "Q5_K_M", "Q5_K_S", "Q5_0", "Q3_K_M", "Q6_K", "Q8_0"];

    /// <summary>The models among files, in the order of their names. Projectors of images and importance matrices are none.</summary>
    public static IReadOnlyList<GgufVariant> Of(IEnumerable<string> files) =>
    [
        .. files.Where(file => file.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && !IsBeside(file))
            .GroupBy(Whole, StringComparer.Ordinal)
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => new GgufVariant(FormatOf(group.Key), [.. group.Order(StringComparer.Ordinal)])),
    ];

    /// <summary>Those that a format's name means, whatever its case; also a file's name.</summary>
    public static IReadOnlyList<GgufVariant> Matching(IEnumerable<GgufVariant> variants, string format)
    {
        string wanted = Normal(format);
        return [.. variants.Where(variant => variant.Format == wanted || variant.Files.Any(file => file.Equals(format, StringComparison.OrdinalIgnoreCase)))];
    }

    /// <summary>The one that is taken where no format was named; null where there is none.</summary>
    /// <param name="variants">All.</param>
    public static GgufVariant? Usual(IReadOnlyList<GgufVariant> variants) =>
        s_usual.Select(format => variants.FirstOrDefault(variant => variant.Format == format)).FirstOrDefault(variant => variant is not null) ?? (variants.Count > 0 ? variants[0] : null);

    /// <summary>A format's name as it is compared: in capitals, and one word for half precision.</summary>
    public static string Normal(string format) => format.ToUpperInvariant() switch { "FP16" => "F16", "FP32" => "F32", var other => other };

    private static bool IsBeside(string file)
    {
        string name = Path.GetFileName(file);
        return name.Contains("mmproj", StringComparison.OrdinalIgnoreCase) || name.Contains("imatrix", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The name without its end, and without <c>-00002-of-00005</c>.</summary>
    private static string Whole(string file)
    {
        string stem = file[..^".gguf".Length];
        return Part().Match(stem) is { Success: true } part ? stem[..part.Index] : stem;
    }

    private static string FormatOf(string whole)
    {
        Match? last = FormatName().Matches(whole).LastOrDefault();
        return last is null ? Path.GetFileName(whole) : Normal(last.Groups[1].Value);
    }

    [GeneratedRegex(@"-[0-9]{5}-of-[0-9]{5}$", RegexOptions.CultureInvariant)]
    private static partial Regex Part();

    /// <summary>A format between marks or at the end: <c>…-Q4_K_M</c>, <c>.q8_0</c>, <c>-UD-IQ2_XXS</c>, <c>-bf16</c>, <c>-q4</c>.</summary>
    [GeneratedRegex(@"(?:^|[-./])((?:UD-)?(?:I?Q[0-9](?:_[A-Z0-9]+)*|S?Q4_0|TQ[12]_0|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4))(?=$|[-./])", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex FormatName();
}
