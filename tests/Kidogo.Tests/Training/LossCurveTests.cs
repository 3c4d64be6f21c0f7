// The picture of a run: a panel for the loss, and one for each of its terms.
using System.Globalization;
using System.Xml.Linq;
using Kidogo.Training;

namespace Kidogo.Tests.Training;

public sealed class LossCurveTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 2)]
    [InlineData(5, 0)]
    [InlineData(5, 3)]
    public void Svg_OfSeveralTerms_ShowsEachApartWithinThePicture(int steps, int terms)
    {
        string[] names = [.. Enumerable.Range(0, terms).Select(i => $"part{i}")];
        StepRecord[] records = [.. Enumerable.Range(1, steps).Select(step => new StepRecord(step, step == 2 ? double.NaN : 10.0 / step, 1e-3, 1, step, 1, step == steps ? new EvaluationRecord(3, 1, 9) : null)
        {
            Terms = [.. names.Where((_, i) => i != 0 || step % 2 == 1).Select((name, i) => new LossTerm(name, step + i))], // one is not of every step
        })];
        XElement svg = XElement.Parse(LossCurve.Svg(records));
        XElement[] lines = [.. svg.Elements().Where(element => element.Name.LocalName == "polyline")];
        Assert.Equal(steps == 0 ? 2 : 2 + terms, lines.Length);
        string said = string.Concat(svg.Elements().Where(element => element.Name.LocalName == "text").Select(text => text.Value));
        Assert.All(steps == 0 ? [] : names, name => Assert.Contains($"{name} term", said, StringComparison.Ordinal));
        double height = double.Parse(svg.Attribute("viewBox")!.Value.Split(' ')[3], CultureInfo.InvariantCulture);
        double[] highest = [.. lines.Skip(1).Select(line => line.Attribute("points")!.Value).Where(points => points.Length > 0).Select(points => points.Split(' ').Min(point => double.Parse(point.Split(',')[1], CultureInfo.InvariantCulture)))];
        Assert.Equal(highest.Order(), highest); // one below the other
        Assert.All(highest, y => Assert.InRange(y, 0, height));
    }
}
