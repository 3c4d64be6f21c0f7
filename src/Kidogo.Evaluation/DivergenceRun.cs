// Two models, or a model and stored logits, over the same ids. Knows no text.
using System.Runtime.InteropServices;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Evaluation;

/// <summary>Measures the divergence of a model from a base over a text.</summary>
public static class DivergenceRun
{
    /// <summary>Against another model. A text that is longer than either context is cut into windows, each from an empty context.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">Its surroundings.</param>
    /// <param name="baseModel">What it is measured against.</param>
    /// <param name="baseContext">Its surroundings; may be the same.</param>
    /// <param name="ids">The text.</param>
    /// <param name="progress">Called with the positions done and all.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="ArgumentException">The vocabularies differ, or the ids do not suit the models.</exception>
    public static DivergenceReport AgainstModel(
        DecoderModel model, ComputeContext context, DecoderModel baseModel, ComputeContext baseContext, ReadOnlySpan<int> ids, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        if (model.Config.VocabSize != baseModel.Config.VocabSize)
        {
            throw new ArgumentException($"The base has a vocabulary of {baseModel.Config.VocabSize}, the model one of {model.Config.VocabSize}: only models with the same vocabulary can be compared.");
        }

        Divergence divergence = new();
        float[] kept = [];
        int window = Math.Min(model.Config.ContextLength, baseModel.Config.ContextLength);
        for (int first = 0; first < Math.Max(1, ids.Length); first += window)
        {
            ReadOnlySpan<int> part = ids.Slice(first, Math.Min(window, ids.Length - first));
            using LogitStream stream = new(model, context, part);
            using LogitStream baseStream = new(baseModel, baseContext, part);
            while (baseStream.Next() is { } expected)
            {
                cancellation.ThrowIfCancellationRequested();
                Grow(ref kept, expected.Length);
                expected.Span.CopyTo(kept); // the pass after this may use the same workspace
                Add(divergence, kept, stream.Next()!);
                progress?.Invoke(first + stream.Position, ids.Length);
            }
        }

        return divergence.Report();
    }

    /// <summary>Against stored logits: float32, little-endian, row-major [tokens, vocabulary], as <c>kidogo logits</c> writes them.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">Its surroundings.</param>
    /// <param name="path">The file.</param>
    /// <param name="ids">The text that the logits are of.</param>
    /// <param name="progress">Called with the positions done and all.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <exception cref="ArgumentException">The file has another size, or the ids do not suit the model.</exception>
    public static DivergenceReport AgainstFile(
        DecoderModel model, ComputeContext context, string path, ReadOnlySpan<int> ids, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        using FileStream file = File.OpenRead(path);
        long expectedBytes = (long)ids.Length * model.Config.VocabSize * sizeof(float);
        if (file.Length != expectedBytes)
        {
            throw new ArgumentException($"{path} has {file.Length} bytes; expected {expectedBytes}, float32 for {ids.Length} tokens and a vocabulary of {model.Config.VocabSize}. It has to be of the same ids and the same vocabulary.");
        }

        Divergence divergence = new();
        float[] expected = [];
        using LogitStream stream = new(model, context, ids);
        while (stream.Next() is { } logits)
        {
            cancellation.ThrowIfCancellationRequested();
            Grow(ref expected, logits.Length);
            file.ReadExactly(MemoryMarshal.AsBytes(expected.AsSpan(0, logits.Length)));
            Add(divergence, expected, logits);
            progress?.Invoke(stream.Position, stream.Length);
        }

        return divergence.Report();
    }

    /// <summary>Makes room: logits of a few hundred positions are large, so one buffer serves all passes.</summary>
    private static void Grow(ref float[] buffer, int length)
    {
        if (buffer.Length < length)
        {
            buffer = new float[length];
        }
    }

    private static void Add(Divergence divergence, float[] expected, Tensor logits)
    {
        for (int row = 0; row < logits.Rows; row++)
        {
            divergence.Add(expected.AsSpan(row * logits.Columns, logits.Columns), logits.Row(row));
        }
    }
}
