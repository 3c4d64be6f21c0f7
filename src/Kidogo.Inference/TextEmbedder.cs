// From texts to vectors. Knows no files and no servers.
using System.Numerics.Tensors;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Inference;

/// <summary>A text's vector.</summary>
/// <param name="Values">[D]</param>
/// <param name="Tokens">Tokens that were read.</param>
/// <param name="WholeTokens">Tokens that the text has; more than <paramref name="Tokens"/> where it was cut.</param>
public sealed record TextEmbedding(float[] Values, int Tokens, int WholeTokens);

/// <summary>Turns texts into vectors with an encoder: short and long ones in one pass, without padding.</summary>
/// <remarks>A text's vector does not depend on the texts beside it. Not for several threads at once: a context belongs to one pass.</remarks>
/// <param name="encoder">The encoder.</param>
/// <param name="tokenizer">Its tokenizer.</param>
/// <param name="context">How to compute.</param>
public sealed class TextEmbedder(LoadedEncoder encoder, Tokenizer tokenizer, ComputeContext context)
{
    private const int RowsOfPass = 1024; // enough to share the cost of reading the weights; activations stay near the caches

    /// <summary>How states become one vector; at first as the model's makers say.</summary>
    public Pooling Pooling { get; init; } = encoder.Pooling;

    /// <summary>Whether vectors are brought to length 1.</summary>
    public bool Normalizes { get; init; } = encoder.Normalizes;

    /// <summary>The vectors of some texts, in their order.</summary>
    /// <param name="texts">Any texts; those longer than the model reads are cut.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="TokenizerException">A text takes too long to cut into words.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public TextEmbedding[] Embed(IReadOnlyList<string> texts, CancellationToken cancellation = default)
    {
        return Embed(texts.Count, i => (tokenizer.EncodeCut(texts[i], encoder.MaxTokens, out int whole), whole), cancellation);
    }

    /// <summary>The vectors of some texts that are ids already, with all special tokens that the model wants.</summary>
    /// <param name="texts">Ids of the vocabulary, 1 to as many as the model reads.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="ArgumentException">A text has no tokens or too many, or an id does not exist.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public TextEmbedding[] Embed(IReadOnlyList<int[]> texts, CancellationToken cancellation = default) => Embed(texts.Count, i => (texts[i], texts[i].Length), cancellation);

    private TextEmbedding[] Embed(int count, Func<int, (int[] Ids, int Whole)> textOf, CancellationToken cancellation)
    {
        TextEmbedding[] results = new TextEmbedding[count];
        List<int> ids = [], lengths = [], wholes = [];
        int first = 0;
        for (int i = 0; i < count; i++)
        {
            (int[] text, int whole) = textOf(i);
            if (text.Length == 0)
            {
                throw new ArgumentException($"Text {i} has no tokens, and the model adds none: it cannot be embedded.", nameof(count));
            }

            if (ids.Count > 0 && ids.Count + text.Length > RowsOfPass)
            {
                cancellation.ThrowIfCancellationRequested();
                Pass(ids, lengths, wholes, results.AsSpan(first));
                first = i;
            }

            ids.AddRange(text);
            lengths.Add(text.Length);
            wholes.Add(whole);
        }

        if (ids.Count > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            Pass(ids, lengths, wholes, results.AsSpan(first));
        }

        return results;
    }

    private void Pass(List<int> ids, List<int> lengths, List<int> wholes, Span<TextEmbedding> results)
    {
        int mark = context.Mark();
        try
        {
            Tensor states = encoder.Model.Forward(context, ids.ToArray(), lengths.ToArray());
            int row = 0;
            for (int i = 0; i < lengths.Count; i++)
            {
                results[i] = new TextEmbedding(Pool(states, row, lengths[i]), lengths[i], wholes[i]);
                row += lengths[i];
            }
        }
        finally
        {
            context.ReleaseTo(mark);
        }

        ids.Clear();
        lengths.Clear();
        wholes.Clear();
    }

    private float[] Pool(Tensor states, int first, int rows)
    {
        float[] pooled = new float[states.Columns];
        switch (Pooling)
        {
            case Pooling.Cls:
                states.Row(first).CopyTo(pooled);
                break;
            case Pooling.Last:
                states.Row(first + rows - 1).CopyTo(pooled);
                break;
            default:
                for (int r = first; r < first + rows; r++)
                {
                    TensorPrimitives.Add(pooled, states.Row(r), pooled);
                }

                TensorPrimitives.Divide(pooled, rows, pooled);
                break;
        }

        const float LeastNorm = 1e-12f; // as PyTorch's normalize
        if (Normalizes)
        {
            TensorPrimitives.Divide(pooled, MathF.Max(TensorPrimitives.Norm<float>(pooled), LeastNorm), pooled);
        }

        return pooled;
    }
}
