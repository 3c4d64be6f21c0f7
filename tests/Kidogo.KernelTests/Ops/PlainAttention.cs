// Attention without a cache, and its backward pass, plainly: what the fast one is compared with. Knows no blocks.
using System.Numerics.Tensors;
using Kidogo.Tensors;
using Kidogo.Tensors.Kernels;
using Kidogo.Tensors.Ops;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.KernelTests.Ops;

/// <summary>Attention within the rows of each sequence: for training, where keys and values are recorded tensors.</summary>
/// <remarks>
/// An item is a sequence and a key-value head, with all query heads that share it: then gradients of keys and values have one owner. Nothing but the inputs is kept
/// for the backward pass, which computes the weights p = softmax(s) again. With s = cap · tanh(z / cap), z = scale · q·k:
/// dv = p dy, dp = dy·v, ds = p (dp - Σ p dp), dz = ds (1 - (s / cap)²), dq = scale Σ dz k, dk = scale Σ dz q.
/// </remarks>
internal sealed class PlainAttention : SharedWork
{
    private readonly Tensor _q, _k, _v, _y;
    private readonly SequenceRows[] _sequences;
    private readonly AttentionShape _shape;
    private Tensor? _gradientQ, _gradientK, _gradientV;

    private PlainAttention(Tensor q, Tensor k, Tensor v, Tensor y, SequenceRows[] sequences, in AttentionShape shape)
    {
        (_q, _k, _v, _y, _sequences, _shape) = (q, k, v, y, sequences, shape);
        Items = sequences.Length * shape.KvHeads;
    }

    /// <summary>Attends, and records the backward where it is asked for.</summary>
    public static void Run(ComputeContext context, Tensor q, Tensor k, Tensor v, Tensor y, ReadOnlySpan<SequenceRows> sequences, in AttentionShape shape)
    {
        PlainAttention work = new(q, k, v, y, sequences.ToArray(), shape);
        context.Team.Run(work);
        if (context.Records(q, k, v))
        {
            context.Record(y, () => work.Backward(context));
        }
    }

    public override void Do(int item, int worker)
    {
        SequenceRows sequence = _sequences[item / _shape.KvHeads];
        int kvHead = item % _shape.KvHeads;
        int group = _shape.Heads / _shape.KvHeads;
        float[] scores = new float[sequence.Rows], slopes = new float[sequence.Rows];
        for (int i = 0; i < sequence.Rows; i++)
        {
            for (int head = kvHead * group; head < (kvHead + 1) * group; head++)
            {
                if (_gradientQ is null && _gradientK is null && _gradientV is null)
                {
                    Attend(sequence, i, kvHead, head, scores);
                }
                else
                {
                    FlowBack(sequence, i, kvHead, head, scores, slopes);
                }
            }
        }
    }

    private void Backward(ComputeContext context)
    {
        _gradientQ = _q.NeedsGradient ? context.GradientOf(_q) : null;
        _gradientK = _k.NeedsGradient ? context.GradientOf(_k) : null;
        _gradientV = _v.NeedsGradient ? context.GradientOf(_v) : null;
        context.Team.Run(this);
    }

    private void Attend(SequenceRows sequence, int i, int kvHead, int head, float[] buffer)
    {
        int oldest = Weigh(sequence, i, kvHead, head, buffer, []);
        Span<float> y = Part(_y, sequence.FirstRow + i, head);
        y.Clear();
        for (int j = oldest; j < End(sequence, i); j++)
        {
            Lanes.AddScaled(buffer[j], Part(_v, sequence.FirstRow + j, kvHead), y);
        }
    }

    private void FlowBack(SequenceRows sequence, int i, int kvHead, int head, float[] weights, float[] slopes)
    {
        int oldest = Weigh(sequence, i, kvHead, head, weights, slopes);
        ReadOnlySpan<float> gradientY = Part(_y.Gradient!, sequence.FirstRow + i, head);
        float mean = 0;
        for (int j = oldest; j < End(sequence, i); j++)
        {
            if (_gradientV is not null)
            {
                Lanes.AddScaled(weights[j], gradientY, Part(_gradientV, sequence.FirstRow + j, kvHead));
            }

            float change = Lanes.Dot(gradientY, Part(_v, sequence.FirstRow + j, kvHead));
            mean += weights[j] * change;
            slopes[j] *= _shape.Scale; // dz/ds · scale, and the change beside it
            weights[j] *= slopes[j];
            slopes[j] = change;
        }

        for (int j = oldest; j < End(sequence, i); j++)
        {
            float gradient = weights[j] * (slopes[j] - mean);
            if (_gradientQ is not null)
            {
                Lanes.AddScaled(gradient, Part(_k, sequence.FirstRow + j, kvHead), Part(_gradientQ, sequence.FirstRow + i, head));
            }

            if (_gradientK is not null)
            {
                Lanes.AddScaled(gradient, Part(_q, sequence.FirstRow + i, head), Part(_gradientK, sequence.FirstRow + j, kvHead));
            }
        }
    }

    /// <summary>The softmax over what row i sees, and where asked for the slopes of the cap.</summary>
    /// <returns>The first row that is seen.</returns>
    private int Weigh(SequenceRows sequence, int i, int kvHead, int head, float[] weights, float[] slopes)
    {
        int oldest = _shape.Window > 0 ? Math.Max(0, i - _shape.Window + 1) : 0;
        ReadOnlySpan<float> q = Part(_q, sequence.FirstRow + i, head);
        float largest = float.NegativeInfinity;
        for (int j = oldest; j < End(sequence, i); j++)
        {
            float score = _shape.Scale * Lanes.Dot(q, Part(_k, sequence.FirstRow + j, kvHead));
            float slope = 1;
            if (_shape.Softcap > 0)
            {
                float bent = MathF.Tanh(score / _shape.Softcap);
                score = _shape.Softcap * bent;
                slope = 1 - (bent * bent);
            }

            if (slopes.Length > 0)
            {
                slopes[j] = slope;
            }

            weights[j] = score;
            largest = MathF.Max(largest, score); // no number stays no number
        }

        Span<float> seen = weights.AsSpan(oldest, End(sequence, i) - oldest);
        TensorPrimitives.Subtract(seen, largest, seen);
        TensorPrimitives.Exp(seen, seen);
        TensorPrimitives.Divide(seen, TensorPrimitives.Sum<float>(seen), seen);
        return oldest;
    }

    private int End(SequenceRows sequence, int i) => _shape.SeesAll ? sequence.Rows : i + 1;

    private Span<float> Part(Tensor tensor, int row, int head) => tensor.Row(row).Slice(head * _shape.HeadDim, _shape.HeadDim);
}
