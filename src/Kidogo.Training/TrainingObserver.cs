// What a run tells whoever watches. Knows no terminal.
using Kidogo.Data;

namespace Kidogo.Training;

/// <summary>Told what goes on; all methods do nothing until they are overridden, and are called on the thread that trains unless they say otherwise.</summary>
public class TrainingObserver
{
    /// <summary>A sentence about what was found or chosen.</summary>
    public virtual void Say(string sentence)
    {
    }

    /// <summary>A sentence about something odd.</summary>
    public virtual void Warn(string sentence)
    {
    }

    /// <summary>A part of the preparations is so far. From any thread, but never from two at once.</summary>
    /// <param name="what">What is going on.</param>
    /// <param name="unit">The unit of the numbers.</param>
    /// <param name="done">How much is done.</param>
    /// <param name="total">How much there is to do.</param>
    public virtual void Preparing(string what, string unit, long done, long total)
    {
    }

    /// <summary>All is ready; the first step comes next.</summary>
    public virtual void Ready(TrainingPlan plan)
    {
    }

    /// <summary>A step was made and logged.</summary>
    public virtual void Stepped(StepRecord record, TrainingPlan plan)
    {
    }

    /// <summary>The model was asked for a text.</summary>
    public virtual void Sampled(long step, string prompt, string text)
    {
    }

    /// <summary>A checkpoint was written.</summary>
    public virtual void Saved(long step, string folder)
    {
    }

    internal IProgress<DataProgress> DataProgress => new Relay<DataProgress>(value => Preparing("tokenising", "bytes", value.BytesDone, value.BytesTotal));

    internal IProgress<TokenizerStageProgress> TokenizerProgress =>
        new Relay<TokenizerStageProgress>(value => Preparing("training the tokenizer", value.Stage switch
    {
        TokenizerStage.Merging => "entries",
        TokenizerStage.Pruning => "rounds",
        _ => "bytes",
    }, value.Done, value.Total));

    private sealed class Relay<T>(Action<T> report) : IProgress<T>
    {
        public void Report(T value) => report(value);
    }
}
