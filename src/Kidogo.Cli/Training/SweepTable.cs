// The runs of a sweep for a terminal: a table as wide as there is room, and bars. Knows numbers only.
using System.Globalization;
using System.Text;
using Kidogo.Cli.Shell;
using Kidogo.Training.Sweeps;

namespace Kidogo.Cli.Training;

internal static class SweepTable
{
    private const int MostBars = 24;

    /// <summary>The table, best first, and a bar for each run at the end of the first rung. What does not fit is left to the report.</summary>
    public static string Of(SweepResult result, int columns)
    {
        List<(string Heading, Func<SweepOutcome, string> Cell)> all = [("run", run => run.Run.Name + (run == result.Best ? "*" : ""))];
        all.Add((">" + result.Unit, run => run.Scores.Count == 0 ? run.Failure is null ? "-" : "failed" : Number(result.Value(run.Scores[^1]))));
        all.Add((">steps", run => run.Scores.Count == 0 ? "0" : run.Scores[^1].Step.ToString(CultureInfo.InvariantCulture)));
        all.AddRange(result.Fields.Select((field, at) => (field, (Func<SweepOutcome, string>)(run => run.Run.Values[at].Value))));
        for (int rung = 0; rung + 1 < result.Rungs; rung++)
        {
            int at = rung;
            all.Add((string.Create(CultureInfo.InvariantCulture, $">at 1/{1L << (result.Rungs - 1 - rung)}"), run => run.Scores.Count > at ? Number(result.Value(run.Scores[at])) : ""));
        }

        string table = "";
        for (int count = 2; count <= all.Count; count++)
        {
            string wider = Show.Table([.. all.Take(count).Select(column => column.Heading)], result.Runs.Select(run => all.Take(count).Select(column => column.Cell(run)).ToArray()));
            if (count > 2 && wider.Split('\n').Max(line => line.Length) > columns)
            {
                break;
            }

            table = wider;
        }

        SweepOutcome[] judged = [.. result.Runs.Where(run => run.Scores.Count > 0).OrderBy(run => result.Value(run.Scores[0]))];
        return judged.Length == 0 ? table : $"{table}\nall runs after the first rung, in {result.Unit}:\n{Bars(result, judged, columns)}\n";
    }

    /// <summary>Bars from a little below the best, since losses are alike; the number stands beside.</summary>
    private static string Bars(SweepResult result, SweepOutcome[] judged, int columns)
    {
        double low = result.Value(judged[0].Scores[0]), high = result.Value(judged[^1].Scores[0]);
        const int BeforeBar = 16;
        int width = Math.Clamp(columns - BeforeBar - 1, 4, 40);
        double floor = low - ((high - low) / 4);
        StringBuilder bars = new();
        foreach (SweepOutcome run in judged.Take(MostBars))
        {
            double value = result.Value(run.Scores[0]);
            int length = high > low ? (int)Math.Round((value - floor) / (high - floor) * width) : width / 2;
            bars.Append(CultureInfo.InvariantCulture, $"{run.Run.Name,-7} {Number(value),7} {new string('#', Math.Max(1, length))}\n");
        }

        return judged.Length > MostBars ? bars.Append(CultureInfo.InvariantCulture, $"({judged.Length - MostBars} more are in the report)\n").ToString() : bars.ToString();
    }

    private static string Number(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture);
}
