// When held-out loss stops falling: the run ends, and the best weights are what it leaves. Knows no weights.
namespace Kidogo.Training;

/// <summary>Counts evaluations that were no better than the best (Prechelt 1998, "Early stopping - but when?", criterion UP). What it says depends on the log
/// alone, so that a run that is resumed stops where it
/// would have.</summary>
internal sealed class EarlyStopping
{
    private readonly int _patience;
    private double _best = double.PositiveInfinity;
    private int _since;

    /// <summary>Begins.</summary>
    /// <param name="patience">Evaluations that may be no better; null for any number.</param>
    /// <param name="made">The steps that were made before.</param>
    public EarlyStopping(int? patience, IEnumerable<StepRecord> made)
    {
        _patience = patience ?? int.MaxValue;
        IsAsked = patience is not null;
        foreach (StepRecord record in made)
        {
            Add(record);
        }
    }

    /// <summary>Whether there is an end to patience.</summary>
    public bool IsAsked { get; }

    /// <summary>The step after which the loss was lowest; null before any evaluation.</summary>
    public long? BestStep { get; private set; }

    /// <summary>Whether it is time to stop.</summary>
    public bool IsOver => IsAsked && _since >= _patience;

    /// <summary>Takes a step into account.</summary>
    /// <returns>Whether its evaluation is the best so far.</returns>
    public bool Add(StepRecord record)
    {
        if (record.Evaluation is not { } evaluation)
        {
            return false;
        }

        if (evaluation.Loss < _best)
        {
            (_best, _since, BestStep) = (evaluation.Loss, 0, record.Step);
            return true;
        }

        _since++;
        return false;
    }
}
