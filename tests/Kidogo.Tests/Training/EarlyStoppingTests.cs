// When a run stops early: by the log alone.
using Kidogo.Training;

namespace Kidogo.Tests.Training;

public sealed class EarlyStoppingTests
{
    [Fact]
    public void Add_LossesThatRise_EndPatienceAndKeepTheBest()
    {
        EarlyStopping stopping = new(2, []);
        Assert.True(stopping.Add(Evaluated(1, 3)));
        Assert.True(stopping.Add(Evaluated(2, 2)));
        Assert.False(stopping.Add(new StepRecord(3, 9, 0, 0, 0, 0))); // without an evaluation nothing counts
        Assert.False(stopping.Add(Evaluated(4, 2)));
        Assert.False(stopping.IsOver);
        Assert.False(stopping.Add(Evaluated(5, double.NaN)));
        Assert.True(stopping.IsOver);
        Assert.Equal(2, stopping.BestStep);
    }

    [Fact]
    public void New_FromALog_GoesOnWhereItWas()
    {
        EarlyStopping stopping = new(3, [Evaluated(1, 3), Evaluated(2, 4), Evaluated(3, 5)]);
        Assert.False(stopping.IsOver);
        Assert.True(stopping.Add(Evaluated(4, 2)));
        Assert.Equal(4, stopping.BestStep);
    }

    [Fact]
    public void New_WithoutPatience_NeverEnds()
    {
        EarlyStopping stopping = new(null, [.. Enumerable.Range(1, 100).Select(step => Evaluated(step, step))]);
        Assert.False(stopping.IsOver);
        Assert.False(stopping.IsAsked);
    }

    private static StepRecord Evaluated(long step, double loss) => new(step, loss, 0, 0, 0, 0, new EvaluationRecord(loss, double.NaN, 1));
}
