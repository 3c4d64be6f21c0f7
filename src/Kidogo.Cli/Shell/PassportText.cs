// A passport for people and scripts. Checks nothing: that is what kidogo verify is for.
using System.Globalization;
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Models.Passports;

namespace Kidogo.Cli.Shell;

/// <summary>Shows passports.</summary>
internal static class PassportText
{
    /// <summary>Rows of a table.</summary>
    public static IEnumerable<string[]> Facts(ModelSummary summary)
    {
        if (summary.Passport is not { } passport)
        {
            yield return ["passport", summary.PassportProblem is { } problem ? $"damaged: {problem}" : "none"];
            yield break;
        }

        yield return ["passport", Recipe(passport.Recipe)];
        foreach (PassportSource parent in passport.Parents)
        {
            yield return ["  made of", Source(parent)];
        }

        foreach (PassportSource data in passport.Data)
        {
            yield return ["  with", $"{data.Role} {Source(data)}"];
        }

        foreach (PassportClaim claim in passport.Measured)
        {
            string text = claim.Text == Passport.SampleText ? "its sample" : passport.Data.FirstOrDefault(data => data.Sha256 == claim.Text)?.Name ?? claim.Text;
            yield return ["  claims", $"{claim.Name} {Number(claim.Before)} before, {Number(claim.After)} after, on {claim.Bytes} bytes of {text}"];
        }

        foreach (PassportAncestor ancestor in passport.Lineage)
        {
            yield return ["  before that", $"{Recipe(ancestor.Recipe)}, of {string.Join(", ", ancestor.Parents.Select(Source))}"];
        }

        if (passport.OlderSteps > 0)
        {
            yield return ["  before that", $"{passport.OlderSteps} more steps"];
        }
    }

    /// <summary>The member <c>passport</c>, where there is one.</summary>
    public static void WriteJson(Utf8JsonWriter json, ModelSummary summary)
    {
        if (summary.Passport is { } passport)
        {
            json.WritePropertyName("passport");
            json.WriteRawValue(PassportJson.Write(passport));
        }
    }

    private static string Recipe(PassportRecipe recipe) =>
        $"kidogo {recipe.Program} {recipe.Verb}{string.Concat(recipe.Options.Select(option => $" --{option.Key} {option.Value}"))}{(recipe.Seed is { } seed ? $" --seed {seed}" : "")}";

    private static string Source(PassportSource source) => $"{source.Name} ({source.Sha256[..12]})";

    private static string Number(double? value) => value is { } number ? number.ToString("0.0000", CultureInfo.InvariantCulture) : "not measured";
}
