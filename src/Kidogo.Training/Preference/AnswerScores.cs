// How likely answers are to a model, without a gradient. Knows no losses.
using System.Runtime.InteropServices;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training.Preference;

/// <summary>Scores answers.</summary>
internal static class AnswerScores
{
    /// <summary>The logarithms of answers' probabilities given their prompts: the same numbers that the loss sees.</summary>
    public static double[] Of(DecoderModel model, ComputeContext context, IReadOnlyList<PreferenceText> texts)
    {
        using SequenceBatch sequences = new();
        List<int> targets = [];
        foreach (PreferenceText text in texts)
        {
            sequences.Add(null, text.Ids.AsSpan(0, text.Ids.Length - 1), LogitRows.All);
            targets.AddRange(text.Ids.Skip(1).Select((id, at) => text.Counts[at + 1] ? id : CrossEntropyOp.NoTarget));
        }

        return context.Judge(() => SequenceLogProbabilityOp.Apply(context, model.Forward(context, sequences), CollectionsMarshal.AsSpan(targets), SequenceRows.OneAfterTheOther(texts.Select(text => text.Ids.Length - 1)))
            .Span.ToArray().Select(score => (double)score).ToArray());
    }
}
