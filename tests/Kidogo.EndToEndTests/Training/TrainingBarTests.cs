// What is drawn of a run: a line that fits, and a curve that fits.
using Kidogo.Cli.Training;
using Kidogo.Training;

namespace Kidogo.EndToEndTests.Training;

public sealed class TrainingBarTests
{
    [Theory]
    [InlineData(120, "tokens/s")]
    [InlineData(60, "tokens/s")]
    [InlineData(39, "left")]
    [InlineData(30, "loss")]
    [InlineData(12, "step")]
    public void Line_AnyWidth_FitsAndKeepsWhatMattersMost(int columns, string has)
    {
        StepRecord record = new(1234, 2.3456, 1e-3, 1, 1_000_000, 12_345.6);
        string line = TrainingBar.Line(record, 20_000, TimeSpan.FromSeconds(4000), columns);
        Assert.InRange(line.Length, 1, columns);
        Assert.Contains(has, line, StringComparison.Ordinal);
        Assert.Equal(columns >= 100, line.Contains('[', StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(39)]
    [InlineData(79)]
    public void Curve_AnyWidth_Fits(int columns)
    {
        StepRecord[] records = [.. Enumerable.Range(1, 200).Select(step => new StepRecord(step, 10.0 / step, 1e-3, 1, step, 1))];
        string[] lines = LossCurve.Text(records, LossCurve.ColumnsOfCurve(columns)).Split('\n');
        Assert.All(lines[..^2], line => Assert.InRange(line.Length, 1, columns));
    }
}
