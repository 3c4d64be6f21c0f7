// What routing is worth on a test: small, large and routed side by side. Asks nobody.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Routing.Policy;

namespace Kidogo.Routing.Worth;

/// <summary>A question with both answers.</summary>
/// <param name="Item">The question.</param>
/// <param name="Small">What this machine's model said.</param>
/// <param name="Large">What the large model said; null where the question may not leave.</param>
public sealed record WorthCase(TestItem Item, LocalRun Small, LargeAnswer? Large);

/// <summary>What things cost.</summary>
public sealed record WorthPrices
{
    /// <summary>Price of a million tokens of prompts to the large model.</summary>
    public double Input { get; init; }

    /// <summary>Price of a million tokens of its answers.</summary>
    public double Output { get; init; }

    /// <summary>Price of a kilowatt-hour on this machine; 0 to leave it out.</summary>
    public double KilowattHour { get; init; }
}

/// <summary>One way to answer.</summary>
/// <param name="Name">small, large or routed.</param>
/// <param name="Quality">Share of right answers.</param>
/// <param name="ShareOfLarge">The same as a share of the large model's.</param>
/// <param name="CostPerThousand">Money for a thousand questions.</param>
/// <param name="Saving">Share of the large model's cost that is saved.</param>
/// <param name="Seconds">Mean time to a whole answer; null for unknown.</param>
/// <param name="Slow">The time that nine of ten answers keep within; null for unknown.</param>
/// <param name="JoulesPerToken">Of this machine's answers; null where it gives none.</param>
/// <param name="LocalShare">Share of questions answered on this machine.</param>
public sealed record WorthRow(string Name, double Quality, double ShareOfLarge, double CostPerThousand, double Saving, double? Seconds, double? Slow, double? JoulesPerToken, double LocalShare);

/// <summary>Small, large and routed on the same questions.</summary>
public sealed record WorthReport
{
    /// <summary>The three.</summary>
    public required IReadOnlyList<WorthRow> Rows { get; init; }

    /// <summary>Questions.</summary>
    public required int Questions { get; init; }

    /// <summary>Questions that stayed here for their personal data.</summary>
    public required int Private { get; init; }

    /// <summary>How the energy is known: measured, or estimated and from what.</summary>
    public required string EnergySource { get; init; }

    /// <summary>Whether it was measured.</summary>
    public required bool IsEnergyMeasured { get; init; }

    /// <summary>What is odd about the numbers, in sentences.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Makes the report.</summary>
    /// <param name="cases">The questions with both answers; one or more.</param>
    /// <param name="rule">When this machine's answer is trusted.</param>
    /// <param name="prices">What things cost.</param>
    /// <param name="joules">Energy of all this machine's answers, in joules.</param>
    /// <param name="energySource">How it is known.</param>
    /// <param name="isMeasured">Whether it was measured.</param>
    public static WorthReport Of(IReadOnlyList<WorthCase> cases, ConfidenceRule rule, WorthPrices prices, double joules, string energySource, bool isMeasured)
    {
        ArgumentNullException.ThrowIfNull(cases);
        ArgumentNullException.ThrowIfNull(rule);
        ArgumentNullException.ThrowIfNull(prices);
        List<string> notes = [];
        long tokens = Math.Max(1, cases.Sum(each => each.Small.Tokens));
        double perToken = joules / tokens;
        double LocalCost(WorthCase each) => each.Small.Tokens * perToken / 3.6e6 * prices.KilowattHour;
        double LargeCost(WorthCase each) => each.Large is null ? 0
            : (((each.Large.PromptTokens ?? each.Small.PromptTokens) * prices.Input) + ((each.Large.Tokens ?? Estimate(each.Large.Text)) * prices.Output)) / 1e6;
        bool IsRightSmall(WorthCase each) => AnswerJudge.IsRight(each.Item, each.Small.Text);
        bool StaysHere(WorthCase each) => each.Large is null || each.Small.Signs is not { } signs || (rule.Model?.Score(signs) ?? ConfidenceModel.Plain(signs)) >= rule.Threshold;
        WorthCase[] asked = [.. cases.Where(each => each.Large is not null)];
        int hidden = cases.Count - asked.Length;
        if (hidden > 0)
        {
            notes.Add($"{hidden} of {cases.Count} questions have personal data and were not sent; the large model is judged on the other {asked.Length}, and routing answers those here.");
        }

        if (asked.Any(each => each.Large!.Tokens is null))
        {
            notes.Add("Tokens of the large model's answers are estimated as a quarter of their characters, where it did not tell.");
        }

        if (cases.Any(each => each.Small.Signs is null))
        {
            notes.Add("This machine's model did not tell how sure it was of some answers; those were kept.");
        }

        double largeQuality = asked.Length == 0 ? 0 : asked.Average(each => AnswerJudge.IsRight(each.Item, each.Large!.Text) ? 1.0 : 0);
        double largeCost = asked.Length == 0 ? 0 : asked.Average(LargeCost) * 1000;
        WorthRow Row(string name, double quality, double cost, IEnumerable<double?> seconds, double? energy, double local)
        {
            double[]? known = seconds.All(second => second is not null) && seconds.Any() ? [.. seconds.Select(second => second!.Value).Order()] : null;
            return new WorthRow(
                name, quality, largeQuality == 0 ? double.NaN : quality / largeQuality, cost, largeCost == 0 ? double.NaN : 1 - (cost / largeCost), known?.Average(),
                known?[(int)Math.Ceiling(0.9 * known.Length) - 1], energy, local);
        }

        return new WorthReport
        {
            Questions = cases.Count,
            Private = hidden,
            EnergySource = energySource,
            IsEnergyMeasured = isMeasured,
            Notes = notes,
            Rows =
            [
                Row("small", cases.Average(each => IsRightSmall(each) ? 1.0 : 0), cases.Average(LocalCost) * 1000, cases.Select(each => (double?)each.Small.Seconds), perToken, 1),
                Row("large", largeQuality, largeCost, asked.Select(each => each.Large!.Seconds), null, 0),
                Row(
                    "routed", cases.Average(each => (StaysHere(each) ? IsRightSmall(each) : AnswerJudge.IsRight(each.Item, each.Large!.Text)) ? 1.0 : 0),
                    cases.Average(each => LocalCost(each) + (StaysHere(each) ? 0 : LargeCost(each))) * 1000,
                    cases.Select(each => StaysHere(each) ? each.Small.Seconds : each.Large!.Seconds + each.Small.LookSeconds), perToken, cases.Average(each => StaysHere(each) ? 1.0 : 0)),
            ],
        };
    }

    /// <summary>The rows as a table.</summary>
    public string Draw()
    {
        StringBuilder text = new();
        text.AppendLine("          quality   of large   cost per 1000    saving   seconds   90 % within   J per token   answered here");
        foreach (WorthRow row in Rows)
        {
            string Known(double? value, string format) => value is { } number && double.IsFinite(number) ? number.ToString(format, CultureInfo.InvariantCulture) : "-";
            text.AppendLine(CultureInfo.InvariantCulture, $"{row.Name,-8} {Known(row.Quality, "0.0 %"),8} {Known(row.ShareOfLarge, "0.0 %"),10} {Known(row.CostPerThousand, "0.0000"),15} {Known(row.Saving, "0.0 %"),9} {Known(row.Seconds, "0.000"),9} {Known(row.Slow, "0.000"),13} {Known(row.JoulesPerToken, "0.000"),13} {Known(row.LocalShare, "0.0 %"),15}");
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"{Questions} questions; energy of this machine alone, {EnergySource}");
        Notes.ToList().ForEach(note => text.AppendLine(note));
        return text.ToString();
    }

    /// <summary>Writes a row as an object's members.</summary>
    public void Write(Utf8JsonWriter json, WorthRow row)
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(row);
        void Number(string name, double? value)
        {
            if (value is { } number && double.IsFinite(number))
            {
                json.WriteNumber(name, Math.Round(number, 6));
            }
            else
            {
                json.WriteNull(name);
            }
        }

        json.WriteString("name", row.Name);
        json.WriteNumber("questions", Questions);
        json.WriteNumber("private", Private);
        Number("quality", row.Quality);
        Number("share_of_large", row.ShareOfLarge);
        Number("cost_per_thousand", row.CostPerThousand);
        Number("saving", row.Saving);
        Number("mean_seconds", row.Seconds);
        Number("p90_seconds", row.Slow);
        Number("joules_per_token", row.JoulesPerToken);
        json.WriteBoolean("energy_measured", IsEnergyMeasured);
        json.WriteString("energy_source", EnergySource);
        Number("local_share", row.LocalShare);
    }

    private static long Estimate(string text) => (text.Length / 4) + 1;
}
