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
    private const long LeastTokens = 2048; // of a source, so that a small one is judged too

    /// <summary>Evaluates.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">The training context, whose storage the passes use; they keep nothing.</param>
    /// <param name="data">The data.</param>
    /// <param name="rows">Rows of a pass: with as many as a micro-batch of training has, the storage is of the sizes that are there.</param>
    /// <param name="mostTokens">Targets that are asked for; sources have parts of it as large as their held-out text.</param>
    /// <param name="cancellation">Looked at before every pass.</param>
    /// <returns>Null where nothing is held out.</returns>
    public static EvaluationRecord? Run(DecoderModel model, ComputeContext context, PreparedData data, int rows, long mostTokens,
        CancellationToken cancellation)
    {
        long all = data.Sources.Sum(source => source.HeldOutPositions);
        Sums total = default;
        List<SourceEvaluation> sources = [];
        for (int i = 0; i < data.Sources.Count; i++)
        {
            PreparedSource source = data.Sources[i];
            if (source.HeldOutPositions == 0)
            {
                continue;
            }

            long most = Math.Max(Math.Min(LeastTokens, mostTokens), (long)((double)mostTokens * source.HeldOutPositions / all));
            Sums sums = Run(model, context, data, i, rows, most, cancellation);
            total = new Sums(total.Loss + sums.Loss, total.Tokens + sums.Tokens, total.Bytes + sums.Bytes);
            if (sums.Tokens > 0)
            {
                sources.Add(new SourceEvaluation(source.Path, sums.Loss / sums.Tokens, sums.BitsPerByte, sums.Tokens));
            }
        }

        return total.Tokens == 0 ? null
            : new EvaluationRecord(total.Loss / total.Tokens, total.BitsPerByte, total.Tokens) { Sources = sources.Count > 1 ? sources : [] };
    }

    private static Sums Run(DecoderModel model, ComputeContext context, PreparedData data, int source, int rows, long mostTokens,
        CancellationToken cancellation)
    {
        BatchStream stream = data.OpenHeldOut(source);
        int length = data.Options.Context;
        TokenBatch whole = new(rows, length);
        using SequenceBatch sequences = new();
        List<int> targets = [];
        Sums sums = default;
        while (sums.Tokens == 0 || mostTokens - sums.Tokens >= length)
        {
            // No more rows than may be read even if all are full: so the documents are the same for any number of rows of a pass.
            int wanted = (int)Math.Clamp((mostTokens - sums.Tokens) / length, 1, rows);
            TokenBatch batch = wanted == rows ? whole : new TokenBatch(wanted, length);
            if (!stream.Next(batch))
            {
                break;
            }

            cancellation.ThrowIfCancellationRequested();
            BatchSequences.Fill(batch, sequences, targets);
            CrossEntropyResult result = context.Judge(() => model.Loss(context, sequences, CollectionsMarshal.AsSpan(targets)));
            sums = new Sums(sums.Loss + (result.CrossEntropy * result.Targets), sums.Tokens + result.Targets, sums.Bytes + batch.TextBytes);
        }

        return sums;
    }

    private readonly record struct Sums(double Loss, long Tokens, long Bytes)
    {
        public double BitsPerByte => Bytes == 0 ? double.NaN : Loss / Math.Log(2) / Bytes;
    }
}
