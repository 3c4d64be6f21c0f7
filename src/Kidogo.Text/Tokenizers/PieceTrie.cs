// Finds the pieces that begin at a place of a text, longest or all. Knows not what the pieces mean.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers;

/// <summary>A prefix tree over bytes, its edges in one open-addressing table (node and byte to node).</summary>
internal sealed class PieceTrie
{
    /// <summary>Pieces longer than this are left out, so that no file can make a match cost more. Known vocabularies stay below 1,024.</summary>
    public const int MaxDepth = 4096;

    private ulong[] _edges = new ulong[64]; // node << 8 | byte, plus one, above; the child's number below
    private int _edgeCount;
    private int[] _values = new int[32];
    private int _nodeCount = 1;

    public PieceTrie() => _values[0] = -1;

    public bool IsEmpty => _nodeCount == 1;

    /// <summary>Enters a piece; an earlier entry of the same piece stays.</summary>
    public void Add(ReadOnlySpan<byte> piece, int value)
    {
        if (piece.IsEmpty || piece.Length > MaxDepth)
        {
            return;
        }

        int node = 0;
        foreach (byte step in piece)
        {
            int child = Child(node, step);
            node = child >= 0 ? child : Grow(node, step);
        }

        if (_values[node] < 0)
        {
            _values[node] = value;
        }
    }

    /// <summary>The node below <paramref name="node"/> (0 is the root) by <paramref name="step"/>, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Child(int node, byte step)
    {
        ulong[] edges = _edges;
        uint key = ((uint)node << 8) + step + 1;
        int mask = edges.Length - 1;
        for (int at = Slot(key, mask); ; at = (at + 1) & mask)
        {
            ulong edge = edges[at];
            if ((uint)(edge >> 32) == key)
            {
                return (int)(uint)edge;
            }

            if (edge == 0)
            {
                return -1;
            }
        }
    }

    /// <summary>The value of the piece that ends at <paramref name="node"/>, or -1.</summary>
    public int ValueAt(int node) => _values[node];

    /// <summary>The longest piece at the start of <paramref name="text"/>: its value and length, or -1 and 0.</summary>
    public int Longest(ReadOnlySpan<byte> text, out int length)
    {
        int best = -1, node = 0;
        length = 0;
        for (int i = 0; i < text.Length; i++)
        {
            node = Child(node, text[i]);
            if (node < 0)
            {
                break;
            }

            if (_values[node] >= 0)
            {
                best = _values[node];
                length = i + 1;
            }
        }

        return best;
    }

    private static int Slot(uint key, int mask) => (int)((key * 0x9E3779B97F4A7C15UL) >> 32) & mask;

    private int Grow(int node, byte step)
    {
        if (_nodeCount >= 1 << 23)
        {
            throw new TokenizerFormatException($"The pieces need more than {_nodeCount} nodes of a prefix tree; no vocabulary needs that.");
        }

        if ((_edgeCount + 1) * 2 > _edges.Length)
        {
            ulong[] old = _edges;
            _edges = new ulong[old.Length * 2];
            foreach (ulong edge in old)
            {
                if (edge != 0)
                {
                    Insert(edge);
                }
            }
        }

        if (_nodeCount == _values.Length)
        {
            Array.Resize(ref _values, _nodeCount * 2);
        }

        _values[_nodeCount] = -1;
        Insert(((ulong)(((uint)node << 8) + step + 1) << 32) | (uint)_nodeCount);
        _edgeCount++;
        return _nodeCount++;
    }

    private void Insert(ulong edge)
    {
        int mask = _edges.Length - 1;
        int at = Slot((uint)(edge >> 32), mask);
        while (_edges[at] != 0)
        {
            at = (at + 1) & mask;
        }

        _edges[at] = edge;
    }
}
