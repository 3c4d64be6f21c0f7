// The loss of preferences over a model and what it began as. Knows no optimiser.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Preference;

/// <summary>DPO or KTO. The rows of a batch say by their sources which items they are of: a pair's two follow each other.</summary>
/// <param name="recipe">Which, and its numbers.</param>
/// <param name="data">The items.</param>
/// <param name="reference">What they were to the model before the first step.</param>
internal sealed class PreferenceLoss(PreferenceRecipe recipe, PreferenceData data, ReferenceScores reference) : StepLoss
{
    private long _items = 1;
    private double _divergence;

    public override void Begin(DecoderModel model, ComputeContext context, IReadOnlyList<TokenBatch> batches)
    {
        int[] items = [.. batches.SelectMany(ItemsOf)];
        (_items, _divergence) = (Math.Max(1, items.Length), 0);
        if (recipe.Kind == PreferenceKind.Kto && items.Length > 0)
        {
            // z of the paper: answers to other prompts, without a gradient (section 4.1).
            int rows = batches.Max(batch => batch.Rows);
            double sum = 0;
            foreach (int[] some in items.Chunk(rows))
            {
                double[] scores = AnswerScores.Of(model, context, [.. some.Select(item => data.Items[item].Unrelated!)]);
                sum += scores.Select((score, i) => score - reference.Unrelated[some[i]]).Sum();
            }

            _divergence = Math.Max(0, sum / items.Length);
        }
    }

    public override PartLoss Of(DecoderModel model, ComputeContext context, TokenBatch batch, SequenceBatch sequences, ReadOnlySpan<int> targets, CrossEntropyOptions options, long tokens)
    {
        Tensor answers = SequenceLogProbabilityOp.Apply(context, model.Forward(context, sequences), targets, SequenceRows.OneAfterTheOther(batch.Segments.Select(segment => segment.Length)));
        int[] items = ItemsOf(batch);
        FeatureLoss loss = Loss(context, answers, items, _items);
        return new PartLoss(loss.Loss, loss.Value, []);
    }

    /// <summary>The loss on held-out items, and the share of them that is told right: pairs by the larger reward, single answers by its sign.</summary>
    public EvaluationRecord? Evaluate(DecoderModel model, ComputeContext context, int rows)
    {
        double loss = 0;
        int right = 0;
        long tokens = 0;
        int itemsAtOnce = Math.Max(1, rows / recipe.RowsPerItem);
        foreach (int[] items in data.HeldOut.Chunk(itemsAtOnce))
        {
            PreferenceText[] texts = [.. items.SelectMany(item => TextsOf(data.Items[item]))];
            double[] scores = AnswerScores.Of(model, context, texts);
            Tensor answers = new(scores.Length, 1);
            for (int i = 0; i < scores.Length; i++)
            {
                answers.Span[i] = (float)scores[i];
            }

            _divergence = 0; // of the reference itself: evaluations are comparable from step to step
            loss += context.Judge(() => Loss(context, answers, items, data.HeldOut.Count).Value);
            double[] known = Known(items);
            for (int i = 0; i < items.Length; i++)
            {
                double reward = recipe.Kind == PreferenceKind.Dpo ? scores[2 * i] - known[2 * i] - (scores[(2 * i) + 1] - known[(2 * i) + 1]) : (scores[i] - known[i]) * (data.Items[items[i]].IsLiked ? 1 : -1);
                right += reward > 0 ? 1 : 0;
            }

            tokens += texts.Sum(text => (long)text.Counts.Count(counts => counts));
        }

        return data.HeldOut.Count == 0 ? null : new EvaluationRecord(loss, double.NaN, tokens) { Accuracy = (double)right / data.HeldOut.Count };
    }

    /// <summary>Fills the micro-batches of a step.</summary>
    public void Fill(IReadOnlyList<TokenBatch> batches, long step)
    {
        int itemsOfBatch = batches[0].Rows / recipe.RowsPerItem;
        long place = step * itemsOfBatch * batches.Count;
        foreach (TokenBatch batch in batches)
        {
            int[] items = [.. Enumerable.Range(0, itemsOfBatch).Select(_ => data.At(place++))];
            batch.Refill([.. items.SelectMany(item => TextsOf(data.Items[item]).Select(text => (text.Ids, text.Counts, item)))], isSampled: false);
        }
    }

    public override void Dispose()
    {
    }

    /// <summary>The sequences of an item.</summary>
    public static PreferenceText[] TextsOf(PreferenceItem item) => item.Rejected is { } rejected ? [item.Answer, rejected] : [item.Answer];

    private int[] ItemsOf(TokenBatch batch) => [.. batch.SourceOfRow.Take(batch.FilledRows).Where((_, row) => row % recipe.RowsPerItem == 0)];

    private FeatureLoss Loss(ComputeContext context, Tensor answers, int[] items, long count) => recipe.Kind == PreferenceKind.Dpo
        ? PreferenceLossOp.Pairs(context, answers, Known(items), recipe.Beta, count)
        : PreferenceLossOp.Singles(context, answers, Known(items),
            new SinglePreferences([.. items.Select(item => data.Items[item].IsLiked)], recipe.Beta, _divergence, recipe.LikedWeight, recipe.DislikedWeight), count);

    private double[] Known(int[] items) => recipe.Kind == PreferenceKind.Dpo
        ? [.. items.SelectMany(item => (double[])[reference.Answers[item], reference.Rejected[item]])]
        : [.. items.Select(item => (double)reference.Answers[item])];
}
