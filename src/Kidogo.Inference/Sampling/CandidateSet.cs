// The tokens that are still in play and their logits. Knows no options: the steps decide, this set keeps count.
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Kidogo.Inference.Sampling;

/// <summary>
/// Tokens still in play, always in ascending order of id. Steps never sort the set: each finds a border and keeps what lies on the right side of it, so a vocabulary of
/// 262,144 costs a few passes, and ties fall the same way everywhere (the lowest ids stay).
/// </summary>
/// <remarks>A token with a logit of negative infinity stays in the set with weight 0 until a step drops it, as in llama.cpp. Buffers are allocated once.</remarks>
internal sealed class CandidateSet(int vocabularySize)
{
    /// <summary>Up to this k a heap finds the largest; beyond, bins do.</summary>
    private const int LargestHeap = 1024;

    private const int Bins = 1024;

    /// <summary>Logits are looked through in pieces that stay in the first-level cache, so that memory is read once: a multiple of every vector's length.</summary>
    private const int PieceLength = 1024;

    /// <summary>Keys are in nats. What lies further than this from the best key has a share below e^-60 and goes into the last bin.</summary>
    private const float LargestBinnedDistance = 60;

    private readonly int[] _ids = new int[vocabularySize];
    private readonly float[] _logits = new float[vocabularySize];
    private readonly float[] _weights = new float[vocabularySize];
    private readonly float[] _keys = new float[vocabularySize];
    private readonly float[] _sortKeys = new float[vocabularySize];
    private readonly float[] _sortMasses = new float[vocabularySize];
    private readonly float[] _heapLogits = new float[Math.Min(LargestHeap, vocabularySize)];
    private readonly int[] _heapIndexes = new int[Math.Min(LargestHeap, vocabularySize)];
    private readonly double[] _binMasses = new double[Bins];
    private readonly int[] _binCounts = new int[Bins];
    private bool _isWhole; // then ids are the indexes and _ids is not filled
    private bool _weightsAreFresh;

    /// <summary>How many tokens are in the set.</summary>
    public int Count { get; private set; }

    /// <summary>The logits, [Count]. Whoever changes one calls <see cref="Changed"/>.</summary>
    public Span<float> Logits => _logits.AsSpan(0, Count);

    /// <summary>Room for one key per token, [Count], for <see cref="KeepNearest"/>.</summary>
    public Span<float> Keys => _keys.AsSpan(0, Count);

    /// <summary>The largest logit; valid after <see cref="Weigh"/>.</summary>
    public float Largest { get; private set; }

    /// <summary>The sum of the weights; valid after <see cref="Weigh"/>.</summary>
    public double Total { get; private set; }

    /// <summary>Fills the set with the whole vocabulary.</summary>
    public void Load(ReadOnlySpan<float> logits)
    {
        logits.CopyTo(_logits);
        Count = logits.Length;
        _isWhole = true;
        Changed();
    }

    /// <summary>Fills the set with the <paramref name="count"/> largest of the vocabulary, reading it once and without a copy.</summary>
    /// <exception cref="InvalidOperationException">A logit is NaN or positive infinity, or all are negative infinity.</exception>
    public void LoadLargest(ReadOnlySpan<float> logits, int count)
    {
        if (count >= logits.Length || count > LargestHeap)
        {
            TokenProbabilities.LargestOf(logits);
            Load(logits);
            KeepLargest(count);
            return;
        }

        _isWhole = true;
        if (!TakeLargest(logits, count) || _logits.AsSpan(0, count).IndexOfAnyExcept(float.NegativeInfinity) < 0)
        {
            throw TokenProbabilities.BadLogits(logits);
        }
    }

    public int IdAt(int index) => _isWhole ? index : _ids[index];

    /// <summary>Where a token stands in the set, or a negative number if it is not in it.</summary>
    public int IndexOf(int id) => _isWhole ? id : _ids.AsSpan(0, Count).BinarySearch(id);

    /// <summary>Says that logits were changed.</summary>
    public void Changed() => _weightsAreFresh = false;

    /// <summary>Keeps the token at <paramref name="from"/> as number <paramref name="to"/> of those that stay; to is at most from. Ends with <see cref="Truncate"/>.</summary>
    public void Move(int from, int to)
    {
        _ids[to] = IdAt(from);
        _logits[to] = _logits[from];
    }

    /// <summary>Ends a filter: the first <paramref name="count"/> tokens, moved there in order, are the set now.</summary>
    public void Truncate(int count)
    {
        if (count == Count)
        {
            return;
        }

        Count = count;
        _isWhole = false;
        Changed();
    }

    /// <summary>Makes the set one token: <paramref name="index"/>'s.</summary>
    public void KeepOnly(int index)
    {
        Move(index, 0);
        Truncate(1);
    }

    /// <summary>e^(logit - largest) for every token, [Count]: probabilities times <see cref="Total"/>.</summary>
    /// <exception cref="NoTokenLeftException">No token is left, or biases and penalties drove a logit to infinity.</exception>
    public ReadOnlySpan<float> Weigh()
    {
        Span<float> weights = _weights.AsSpan(0, Count);
        if (!_weightsAreFresh)
        {
            Largest = TensorPrimitives.Max<float>(Logits);
            if (!float.IsFinite(Largest))
            {
                throw new NoTokenLeftException(float.IsNegativeInfinity(Largest)
                    ? $"None of {vocabularySize} tokens is left to choose from: every logit is negative infinity. Remove logit biases of negative infinity."
                    : $"A logit became {Largest} by biases, penalties or temperature. Use smaller ones.");
            }

            TensorPrimitives.Subtract(Logits, Largest, weights);
            TensorPrimitives.Exp<float>(weights, weights);
            Total = Sum(weights);
            _weightsAreFresh = true;
        }

        return weights;
    }

    /// <summary>The index of the first of the largest logits.</summary>
    public int IndexOfLargest()
    {
        Weigh();
        return IndexOf(Logits, Largest);
    }

    /// <summary>The index of the first of the largest logits of a vocabulary, reading it once.</summary>
    /// <exception cref="InvalidOperationException">A logit is NaN or positive infinity, or all are negative infinity.</exception>
    public static int IndexOfLargest(ReadOnlySpan<float> logits)
    {
        float largest = float.NegativeInfinity;
        int piece = -1;
        for (int start = 0; start < logits.Length; start += PieceLength)
        {
            float candidate = TensorPrimitives.Max(logits.Slice(start, Math.Min(PieceLength, logits.Length - start)));
            if (!(candidate <= largest)) // NaN too
            {
                (largest, piece) = (candidate, start);
                if (!(largest <= float.MaxValue))
                {
                    break;
                }
            }
        }

        return float.IsFinite(largest) ? piece + IndexOf(logits[piece..], largest) : throw TokenProbabilities.BadLogits(logits);
    }

    /// <summary>The first index of a value that is there.</summary>
    private static int IndexOf(ReadOnlySpan<float> values, float value)
    {
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
        Vector<float> sought = new(value);
        int i = 0;
        while (i < vectors.Length && !Vector.EqualsAny(vectors[i], sought))
        {
            i++;
        }

        i *= Vector<float>.Count;
        while (values[i] != value)
        {
            i++;
        }

        return i;
    }

    /// <summary>Keeps the <paramref name="count"/> largest logits; of equals at the border the lowest ids.</summary>
    public void KeepLargest(int count)
    {
        if (count >= Count)
        {
            return;
        }

        if (count <= LargestHeap)
        {
            TakeLargest(Logits, count);
            return;
        }

        TensorPrimitives.Negate<float>(Logits, Keys);
        KeepNearest([], 0, needsMore: false, count);
    }

    /// <summary>
    /// Keeps the fewest tokens with the smallest <see cref="Keys"/> whose masses add up to <paramref name="mass"/>, but at least <paramref name="minimum"/>; of equal keys at the border
    /// the lowest ids. All, where the masses do not reach.
    /// </summary>
    /// <param name="masses">One mass a token, [Count], or empty where only the minimum counts. A key may be positive infinity.</param>
    /// <param name="mass">What the sum has to reach.</param>
    /// <param name="needsMore">Whether the sum has to be greater, not only equal.</param>
    /// <param name="minimum">The number to keep at least.</param>
    /// <remarks>Only the bin in which the sum gets there is sorted.</remarks>
    public void KeepNearest(ReadOnlySpan<float> masses, double mass, bool needsMore, int minimum)
    {
        Span<float> keys = Keys;
        float first = TensorPrimitives.Min<float>(keys);
        float range = Math.Min(TensorPrimitives.Max<float>(keys) - first, LargestBinnedDistance);
        float scale = range > 0 ? (Bins - 1) / range : 0;
        Array.Clear(_binMasses);
        Array.Clear(_binCounts);
        for (int i = 0; i < keys.Length; i++)
        {
            int bin = BinOf(keys[i] - first, scale);
            _binCounts[bin]++;
            _binMasses[bin] += masses.IsEmpty ? 0 : masses[i];
        }

        double sum = 0;
        int count = 0;
        int border = 0;
        while (!Reached(sum + _binMasses[border], count + _binCounts[border]))
        {
            sum += _binMasses[border];
            count += _binCounts[border];
            if (++border == Bins)
            {
                return;
            }
        }

        int members = 0;
        for (int i = 0; i < keys.Length; i++)
        {
            if (BinOf(keys[i] - first, scale) == border)
            {
                _sortKeys[members] = keys[i];
                _sortMasses[members++] = masses.IsEmpty ? 0 : masses[i];
            }
        }

        _sortKeys.AsSpan(0, members).Sort(_sortMasses.AsSpan(0, members));
        int last = 0;
        for (; last < members - 1; last++)
        {
            sum += _sortMasses[last];
            if (Reached(sum, ++count))
            {
                break;
            }
        }

        float largestKept = _sortKeys[last];
        int equals = last + 1 - _sortKeys.AsSpan(0, members).IndexOf(largestKept);
        int kept = 0;
        for (int i = 0; i < keys.Length; i++)
        {
            if (keys[i] < largestKept || (keys[i] == largestKept && equals-- > 0))
            {
                Move(i, kept++);
            }
        }

        Truncate(kept);

        bool Reached(double sum, int count) => count >= minimum && count > 0 && (needsMore ? sum > mass : sum >= mass);
    }

    private static int BinOf(float distance, float scale) => (int)Math.Min(distance * scale, Bins - 1);

    /// <summary>Makes the set the largest of <paramref name="logits"/>, whose tokens are those of the set: a heap whose root is the worst of the best so far.</summary>
    /// <returns>Whether no logit is NaN or positive infinity.</returns>
    private bool TakeLargest(ReadOnlySpan<float> logits, int count)
    {
        for (int i = 0; i < count; i++)
        {
            _heapLogits[i] = logits[i];
            _heapIndexes[i] = i;
        }

        for (int i = (count / 2) - 1; i >= 0; i--)
        {
            SiftDown(i, count);
        }

        // Pieces, and then vectors, without a logit above the worst of the best are passed over; equals never enter, so the lowest ids stay.
        bool isSound = true;
        for (int start = 0; start < logits.Length; start += PieceLength)
        {
            ReadOnlySpan<float> piece = logits.Slice(start, Math.Min(PieceLength, logits.Length - start));
            float largest = TensorPrimitives.Max(piece); // NaN if any is
            isSound &= largest <= float.MaxValue;
            if (largest <= _heapLogits[0])
            {
                continue;
            }

            ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(piece);
            Vector<float> worst = new(_heapLogits[0]);
            for (int v = 0; v < vectors.Length; v++)
            {
                if (Vector.GreaterThanAny(vectors[v], worst))
                {
                    int from = start + (v * Vector<float>.Count);
                    Offer(logits, Math.Max(count, from), from + Vector<float>.Count, count);
                    worst = new Vector<float>(_heapLogits[0]);
                }
            }

            Offer(logits, Math.Max(count, start + (vectors.Length * Vector<float>.Count)), start + piece.Length, count);
        }

        _heapIndexes.AsSpan(0, count).Sort(_heapLogits.AsSpan(0, count));
        for (int i = 0; i < count; i++)
        {
            _ids[i] = IdAt(_heapIndexes[i]); // at or after i, so not overwritten yet
            _logits[i] = _heapLogits[i];
        }

        Count = count;
        _isWhole = false;
        Changed();
        return isSound;
    }

    private void Offer(ReadOnlySpan<float> logits, int from, int to, int count)
    {
        for (int i = from; i < to; i++)
        {
            if (logits[i] > _heapLogits[0])
            {
                _heapLogits[0] = logits[i];
                _heapIndexes[0] = i;
                SiftDown(0, count);
            }
        }
    }

    private void SiftDown(int index, int count)
    {
        float logit = _heapLogits[index];
        int token = _heapIndexes[index];
        for (int child = (2 * index) + 1; child < count; child = (2 * index) + 1)
        {
            if (child + 1 < count && IsWorse(_heapLogits[child + 1], _heapIndexes[child + 1], _heapLogits[child], _heapIndexes[child]))
            {
                child++;
            }

            if (!IsWorse(_heapLogits[child], _heapIndexes[child], logit, token))
            {
                break;
            }

            _heapLogits[index] = _heapLogits[child];
            _heapIndexes[index] = _heapIndexes[child];
            index = child;
        }

        _heapLogits[index] = logit;
        _heapIndexes[index] = token;
    }

    private static bool IsWorse(float logitA, int indexA, float logitB, int indexB) => logitA < logitB || (logitA == logitB && indexA > indexB);

    /// <summary>The sum in float64: 262,144 float32 additions would lose what top-p measures.</summary>
    private static double Sum(ReadOnlySpan<float> values)
    {
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
        Vector<double> low = Vector<double>.Zero;
        Vector<double> high = Vector<double>.Zero;
        foreach (Vector<float> vector in vectors)
        {
            Vector.Widen(vector, out Vector<double> a, out Vector<double> b);
            low += a;
            high += b;
        }

        double sum = Vector.Sum(low + high);
        for (int i = vectors.Length * Vector<float>.Count; i < values.Length; i++)
        {
            sum += values[i];
        }

        return sum;
    }
}
