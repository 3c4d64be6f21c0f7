// All segmentations of units into weighted pieces: expected counts and the best one. Knows not how pieces are chosen.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>The pieces of one round in a prefix tree, with their probabilities. Immutable once made; each thread brings its own
/// <see cref="Workspace"/>.</summary>
/// <remarks>
/// Sums run over probabilities, not logarithms. Every piece's is multiplied by e² to the power of its length, about what a character costs: all segmentations
/// of a unit have as many characters, so the factor cancels, and with units of at most 40 characters nothing leaves the range of a double (a piece has at least
/// e^-17).
/// </remarks>
internal sealed class UnigramLattice
{
    private const double NatsPerCharacter = 2;
    private const double LowestLog = -17;
    private readonly double[] _weights; // of each piece, scaled
    private readonly int _alphabet; // nodes below are those of single characters
    private readonly PairTable _edges = new(); // node and character to the node's number less the alphabet
    private readonly int[] _pieceAt; // by node, -1 for none

    public UnigramLattice(IReadOnlyList<int[]> pieces, ReadOnlySpan<double> logs, int alphabet)
    {
        _weights = new double[pieces.Count];
        _alphabet = alphabet;
        List<int> pieceAt = [.. Enumerable.Repeat(-1, alphabet)];

        for (int piece = 0; piece < pieces.Count; piece++)
        {
            int[] characters = pieces[piece];
            _weights[piece] = Math.Exp(Math.Max(logs[piece], LowestLog) + (NatsPerCharacter * characters.Length));
            int node = characters[0];
            for (int i = 1; i < characters.Length; i++)
            {
                node = alphabet + _edges.Index(node, characters[i]);
                if (node == pieceAt.Count)
                {
                    pieceAt.Add(-1);
                }
            }

            pieceAt[node] = piece;
        }

        _pieceAt = [.. pieceAt];
    }

    /// <summary>What one thread needs for one unit.</summary>
    public sealed class Workspace(int pieces)
    {
        public double[] Expected { get; } = new double[pieces];

        public long[] Used { get; } = new long[pieces];

        public double LogLikelihood { get; set; }

        internal double[] Forward { get; } = new double[UnigramCutter.MaxCharacters + 1];

        internal double[] Backward { get; } = new double[UnigramCutter.MaxCharacters + 1];

        internal int[] From { get; } = new int[UnigramCutter.MaxCharacters + 1];

        internal int[] Piece { get; } = new int[UnigramCutter.MaxCharacters + 1];

        internal (int Start, int End, int Piece)[] Edges { get; } = new (int, int, int)[UnigramCutter.MaxCharacters * UnigramCutter.MaxCharacters];
    }

    /// <summary>Adds to each piece how often it is expected in a unit that occurs <paramref name="count"/> times, and to the logarithm of the likelihood what
    /// the unit gives (forward-backward).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Expect(ReadOnlySpan<int> unit, long count, Workspace work)
    {
        int length = unit.Length, alphabet = _alphabet, edges = 0;
        double[] forward = work.Forward, backward = work.Backward;
        Array.Clear(forward, 0, length + 1);
        Array.Clear(backward, 0, length + 1);
        forward[0] = 1;
        for (int start = 0; start < length; start++)
        {
            int node = unit[start];
            double sum = forward[start];
            for (int end = start + 1; ; end++)
            {
                int piece = _pieceAt[node];
                if (piece >= 0)
                {
                    forward[end] += sum * _weights[piece];
                    work.Edges[edges++] = (start, end, piece);
                }

                if (end == length)
                {
                    break;
                }

                int edge = _edges.Find(node, unit[end]);
                if (edge < 0)
                {
                    break;
                }

                node = alphabet + edge;
            }
        }

        double all = forward[length], share = count / all;
        work.LogLikelihood += count * (Math.Log(all) - (NatsPerCharacter * length));
        backward[length] = 1;
        for (int i = edges - 1; i >= 0; i--)
        {
            (int start, int end, int piece) = work.Edges[i];
            double part = _weights[piece] * backward[end];
            backward[start] += part;
            work.Expected[piece] += share * forward[start] * part;
        }
    }

    /// <summary>The pieces of the likeliest segmentation, last first, in <see cref="Workspace.Piece"/> by way of <see cref="Workspace.From"/>;
    /// <paramref name="without"/> is not used.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void FindBest(ReadOnlySpan<int> unit, int without, Workspace work)
    {
        int length = unit.Length, alphabet = _alphabet;
        double[] best = work.Forward;
        Array.Clear(best, 0, length + 1);
        best[0] = 1;
        for (int start = 0; start < length; start++)
        {
            int node = unit[start];
            double sum = best[start];
            for (int end = start + 1; ; end++)
            {
                int piece = _pieceAt[node];
                if (piece >= 0 && piece != without && sum * _weights[piece] > best[end])
                {
                    best[end] = sum * _weights[piece];
                    work.From[end] = start;
                    work.Piece[end] = piece;
                }

                if (end == length)
                {
                    break;
                }

                int edge = _edges.Find(node, unit[end]);
                if (edge < 0)
                {
                    break;
                }

                node = alphabet + edge;
            }
        }
    }

    /// <summary>Adds to each piece how often the likeliest segmentation of a unit uses it.</summary>
    public void CountBest(ReadOnlySpan<int> unit, long count, Workspace work)
    {
        FindBest(unit, -1, work);
        for (int end = unit.Length; end > 0; end = work.From[end])
        {
            work.Used[work.Piece[end]] += count;
        }
    }
}
