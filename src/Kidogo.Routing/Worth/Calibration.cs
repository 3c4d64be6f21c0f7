// From answers that are known to be right or wrong to a threshold of confidence, and the curve between quality and calls. Knows no model.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Routing.Policy;

namespace Kidogo.Routing.Worth;

/// <summary>One example that both sides answered.</summary>
/// <param name="Signs">How sure this machine's model was.</param>
/// <param name="IsRight">Whether it was right.</param>
/// <param name="LargeRight">The probability that the large model is right: 1 or 0 where it was asked, else what is assumed.</param>
public readonly record struct CalibrationExample(ConfidenceSigns Signs, bool IsRight, double LargeRight);

/// <summary>A point of the curve.</summary>
/// <param name="Calls">Share of requests that go to the large model.</param>
/// <param name="Quality">Share of right answers.</param>
/// <param name="Random">The same where a router that throws dice sends as many.</param>
/// <param name="Threshold">Score below which requests go.</param>
public readonly record struct CalibrationPoint(double Calls, double Quality, double Random, double Threshold);

/// <summary>What a calibration aims at; one of both.</summary>
public sealed record CalibrationTarget
{
    /// <summary>Quality as a share of the large model's, at as few calls as will do. Default 0.95.</summary>
    public double Quality { get; init; } = 0.95;

    /// <summary>Share of requests that may go to the large model; null to aim at quality.</summary>
    public double? Calls { get; init; }
}

/// <summary>A calibrated threshold with its curve.</summary>
public sealed record Calibration
{
    private const int Folds = 5, Points = 20;

    /// <summary>How signs become a score, with the threshold.</summary>
    public required ConfidenceRule Rule { get; init; }

    /// <summary>The point that was chosen.</summary>
    public required CalibrationPoint Chosen { get; init; }

    /// <summary>From no calls to all.</summary>
    public required IReadOnlyList<CalibrationPoint> Curve { get; init; }

    /// <summary>Share of right answers of this machine's model.</summary>
    public required double SmallQuality { get; init; }

    /// <summary>Share of right answers of the large model.</summary>
    public required double LargeQuality { get; init; }

    /// <summary>How many examples.</summary>
    public required int Examples { get; init; }

    /// <summary>Calibrates. Scores of examples come from weights that were fitted without them, so that the curve holds for new ones.</summary>
    /// <param name="examples">At least 20, some right and some wrong.</param>
    /// <param name="target">What is aimed at.</param>
    /// <param name="rule">How answers were looked at.</param>
    /// <exception cref="RoutingException">There are too few, or all are right, or all wrong.</exception>
    public static Calibration Of(IReadOnlyList<CalibrationExample> examples, CalibrationTarget target, ConfidenceRule rule)
    {
        ArgumentNullException.ThrowIfNull(examples);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(rule);
        int right = examples.Count(example => example.IsRight);
        if (examples.Count < 20 || right == 0 || right == examples.Count)
        {
            throw new RoutingException($"{right} of {examples.Count} examples are answered rightly here. To learn when an answer can be trusted takes 20 examples or more, with right and wrong ones among them.");
        }

        double[] scores = new double[examples.Count];
        int[] part = [.. Enumerable.Range(0, examples.Count).Select(index => index % Folds)];
        new Random(1).Shuffle(part); // whatever order the examples are in
        for (int fold = 0; fold < Folds; fold++)
        {
            ConfidenceModel without = ConfidenceModel.Fit([.. examples.Where((_, index) => part[index] != fold).Select(example => (example.Signs, example.IsRight))]);
            for (int i = 0; i < examples.Count; i++)
            {
                scores[i] = part[i] == fold ? without.Score(examples[i].Signs) : scores[i];
            }
        }

        int[] order = [.. Enumerable.Range(0, examples.Count).OrderBy(index => scores[index])];
        double small = right / (double)examples.Count, large = examples.Average(example => example.LargeRight);
        CalibrationPoint[] curve = new CalibrationPoint[examples.Count + 1];
        double sum = right;
        for (int calls = 0; calls <= examples.Count; calls++)
        {
            double share = calls / (double)examples.Count;
            double threshold = calls == 0 ? 0 : calls == examples.Count ? 1.01 : (scores[order[calls - 1]] + scores[order[calls]]) / 2;
            curve[calls] = new CalibrationPoint(share, sum / examples.Count, small + (share * (large - small)), threshold);
            if (calls < examples.Count)
            {
                CalibrationExample next = examples[order[calls]];
                sum += next.LargeRight - (next.IsRight ? 1 : 0);
            }
        }

        // The first point from which no later one falls below the target, with one standard error to spare: luck does not decide.
        int chosen = examples.Count;
        if (target.Calls is { } most)
        {
            chosen = (int)Math.Floor(most * examples.Count);
        }
        else
        {
            while (chosen > 0 && curve[chosen - 1].Quality is var quality && quality - Math.Sqrt(quality * (1 - quality) / examples.Count) >= target.Quality * large)
            {
                chosen--;
            }
        }

        return new Calibration
        {
            Rule = rule with { Threshold = curve[chosen].Threshold, Model = ConfidenceModel.Fit([.. examples.Select(example => (example.Signs, example.IsRight))]) },
            Chosen = curve[chosen],
            Curve = curve,
            SmallQuality = small,
            LargeQuality = large,
            Examples = examples.Count,
        };
    }

    /// <summary>Writes it as an object's members, to be read by a policy's <c>calibration</c>.</summary>
    public void Write(Utf8JsonWriter json)
    {
        ArgumentNullException.ThrowIfNull(json);
        json.WriteNumber("threshold", Rule.Threshold);
        json.WriteNumber("look_ahead", Rule.LookAhead);
        json.WriteNumber("samples", Rule.Samples);
        Rule.Model!.Write(json);
        json.WriteNumber("examples", Examples);
        json.WriteNumber("small_quality", SmallQuality);
        json.WriteNumber("large_quality", LargeQuality);
        json.WriteNumber("calls", Chosen.Calls);
        json.WriteNumber("quality", Chosen.Quality);
        json.WriteNumber("share_of_large", Share(Chosen.Quality));
        json.WriteStartArray("curve");
        foreach (CalibrationPoint point in Shown())
        {
            json.WriteStartObject();
            json.WriteNumber("calls", Math.Round(point.Calls, 4));
            json.WriteNumber("quality", Math.Round(point.Quality, 4));
            json.WriteNumber("random", Math.Round(point.Random, 4));
            json.WriteNumber("threshold", point.Threshold);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>The curve for people: a line for each twentieth of calls, with a bar, a dot where chance would be, and a mark at the one that was chosen.</summary>
    public string Draw()
    {
        const int Width = 40;
        StringBuilder text = new();
        text.AppendLine("calls to large   quality   of large   random  ");
        double low = Math.Min(SmallQuality, LargeQuality), high = Math.Max(Curve.Max(point => point.Quality), LargeQuality);
        foreach (CalibrationPoint point in Shown())
        {
            int Column(double quality) => (int)Math.Round(Math.Clamp((quality - low) / Math.Max(1e-9, high - low), 0, 1) * Width);
            char[] bar = new string('#', Column(point.Quality)).PadRight(Width + 1).ToCharArray();
            bar[Column(point.Random)] = '.';
            bool isChosen = Math.Abs(point.Calls - Chosen.Calls) < 1e-9;
            text.AppendLine(CultureInfo.InvariantCulture, $"{point.Calls,13:0.0 %} {point.Quality,9:0.000} {Share(point.Quality),10:0.0 %} {point.Random,8:0.000}  {new string(bar).TrimEnd()}{(isChosen ? "  <- chosen" : "")}");
        }

        return text.ToString();
    }

    private IEnumerable<CalibrationPoint> Shown() =>
        Enumerable.Range(0, Points + 1).Select(index => Curve[(int)Math.Round(index * (Curve.Count - 1) / (double)Points)]).Append(Chosen).DistinctBy(point => point.Calls).OrderBy(point => point.Calls);

    private double Share(double quality) => LargeQuality == 0 ? 1 : quality / LargeQuality;
}
