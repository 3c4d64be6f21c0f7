// The loss on held-out documents. Changes no weight.
using System.Runtime.InteropServices;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Training;

/// <summary>Evaluates on held-out documents: always the same ones, in the same order.</summary>
internal static class HeldOutEvaluation
{
    /// <summary>Evaluates.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The training context; it keeps nothing of the passes.</param>
    /// <param name="data">The data.</param>
    /// <param name="rows">Rows of a pass.</param>
    /// <param name="mostTokens">Targets after which no further batch is read.</param>
    /// <param name="cancellation">Looked at before every pass.</param>
    /// <returns>Null where nothing is held out.</returns>
    public static EvaluationRecord? Run(DecoderModel model, ComputeContext context, PreparedData data, int rows, long mostTokens, CancellationToken cancellation)
    {
        BatchStream stream = data.OpenHeldOut();
        TokenBatch batch = new(rows, data.Options.Context);
        using SequenceBatch sequences = new();
        List<int> targets = [];
        double sum = 0;
        long tokens = 0;
        long bytes = 0;
        while (tokens < mostTokens && stream.Next(batch))
        {
            cancellation.ThrowIfCancellationRequested();
            BatchSequences.Fill(batch, sequences, targets);
            Tensor logits = model.Forward(context, sequences);
            CrossEntropyResult result = CrossEntropyOp.Apply(context, logits, CollectionsMarshal.AsSpan(targets));
            context.Forget();
            sum += result.CrossEntropy * result.Targets;
            tokens += result.Targets;
            bytes += batch.TextBytes;
        }

        return tokens == 0 ? null : new EvaluationRecord(sum / tokens, bytes == 0 ? double.NaN : sum / Math.Log(2) / bytes, tokens);
    }
}
