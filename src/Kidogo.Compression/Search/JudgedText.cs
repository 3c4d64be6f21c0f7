// How far a model with some weights changed is from what it was, from any block on. Knows nothing of why they changed.
using System.Numerics.Tensors;
using Kidogo.Compression.Calibration;
using Kidogo.Models;
using Kidogo.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Search;

/// <summary>A short text with the log-probabilities that the unchanged model gives.</summary>
/// <remarks>KL(p ‖ q) of a position is ln Σ p·exp(d − m), with d = logit − ln p and m = Σ p·d: small numbers all, so float32 suffices for changes far below a thousandth of a nat.</remarks>
internal sealed class JudgedText
{
    private const int RowsAtOnce = 128;
    private readonly BlockWalk _walk;
    private readonly ComputeContext _context;
    private readonly int[] _ids;
    private readonly int _length;
    private readonly float[] _logProbabilities; // [T, V]
    private readonly int _vocabulary;

    /// <summary>Runs the model as it is.</summary>
    /// <param name="walk">The model.</param>
    /// <param name="context">A training context.</param>
    /// <param name="ids">Whole sequences.</param>
    /// <param name="length">Tokens of a sequence.</param>
    /// <param name="vocabulary">Entries of the vocabulary.</param>
    /// <param name="cancellation">Looked at between blocks.</param>
    public JudgedText(BlockWalk walk, ComputeContext context, int[] ids, int length, int vocabulary, CancellationToken cancellation)
    {
        (_walk, _context, _ids, _length, _vocabulary) = (walk, context, ids, length, vocabulary);
        _logProbabilities = new float[checked(ids.Length * vocabulary)];
        Logits(Through(Embed(), 0, cancellation), (row, logits) =>
        {
            Span<float> own = _logProbabilities.AsSpan(row * _vocabulary, _vocabulary);
            Span<float> exponentials = new float[_vocabulary];
            TensorPrimitives.Subtract(logits, TensorPrimitives.Max(logits), own);
            TensorPrimitives.Exp(own, exponentials);
            TensorPrimitives.Subtract(own, MathF.Log(TensorPrimitives.Sum<float>(exponentials)), own);
        });
    }

    /// <summary>Positions.</summary>
    public int Tokens => _ids.Length;

    /// <summary>What goes into the first block, by the embedding as it is now. [T, D]</summary>
    public Tensor Embed() => ImportanceCollector.Kept(_context, _walk.Embed(_ids, _length));

    /// <summary>What comes out of a block. [T, D]</summary>
    public Tensor Run(int block, Tensor states) => ImportanceCollector.Kept(_context, _walk.Run(block, states, _ids, _length));

    /// <summary>The mean divergence, in nats, of the model as it is now.</summary>
    /// <param name="states">What goes into a block.</param>
    /// <param name="block">The block; the number of all for what came out of the last.</param>
    /// <param name="cancellation">Looked at between blocks.</param>
    public double Divergence(Tensor states, int block, CancellationToken cancellation)
    {
        double[] divergences = new double[_ids.Length];
        Logits(Through(states, block, cancellation), (row, logits) =>
        {
            ReadOnlySpan<float> expected = _logProbabilities.AsSpan(row * _vocabulary, _vocabulary);
            Span<float> difference = new float[_vocabulary], probability = new float[_vocabulary];
            TensorPrimitives.Exp(expected, probability);
            TensorPrimitives.Subtract(logits, expected, difference);
            TensorPrimitives.Subtract(difference, difference[TensorPrimitives.IndexOfMax(expected)], difference); // any constant will do; this one keeps what counts small
            float mean = TensorPrimitives.Dot(probability, difference);
            TensorPrimitives.Subtract(difference, mean, difference);
            TensorPrimitives.Exp(difference, difference);
            divergences[row] = Math.Max(0, Math.Log(TensorPrimitives.Dot(probability, difference)));
        });
        return divergences.Average();
    }

    private Tensor Through(Tensor states, int block, CancellationToken cancellation)
    {
        for (; block < _walk.Blocks; block++)
        {
            cancellation.ThrowIfCancellationRequested();
            states = Run(block, states);
        }

        return ImportanceCollector.Kept(_context, _walk.Finish(states));
    }

    private void Logits(Tensor states, Action<int, float[]> seen)
    {
        for (int first = 0; first < states.Rows; first += RowsAtOnce)
        {
            Tensor part = new(Math.Min(RowsAtOnce, states.Rows - first), states.Columns);
            states.Span.Slice(first * states.Columns, part.Length).CopyTo(part.Span);
            Tensor logits = _walk.Logits(part);
            int start = first;
            Parallel.For(0, part.Rows, new ParallelOptions { MaxDegreeOfParallelism = _context.Team.Threads }, row => seen(start + row, logits.Row(row).ToArray()));
            _context.Forget();
        }
    }
}
