// Rows of whole conversations. Knows ids, not texts.
using System.Runtime.InteropServices;

namespace Kidogo.Data.Packing;

/// <summary>The rows of a source of conversations, none of which is longer than a row.</summary>
/// <remarks>
/// The shuffled conversations of an epoch are packed block by block: the longest first, each into the first row that has room (first-fit decreasing, Johnson
/// 1974: at most 11/9 of the fewest rows possible, and a few). The rows of a block come in a shuffled order, so that lengths do not.
/// </remarks>
internal sealed class ConversationRows(DocumentList documents, PieceReader reader, int context, ulong seed, bool endless) : RowSource
{
    /// <summary>Conversations of a block.</summary>
    public const int BlockSize = 1024;

    private readonly List<List<Piece>> _block = [];
    private long _start;
    private int _row;
    private bool _isPacked;
    private long _rows;
    private long _positions;
    private long _scored;

    public override long Rows => _rows;

    public override double Epochs
    {
        get
        {
            if (documents.Count == 0)
            {
                return 0;
            }

            long given = !_isPacked ? _start : _start + _block.Take(_row).Sum(row => (long)row.Count);
            return (double)given / documents.Count;
        }
    }

    public override SourcePosition Position
    {
        get => new(_rows, _positions, _scored, _start, _row, _start);
        set
        {
            if (value.Open != value.Next || value.Open < 0 || value.Rows < 0 || value.Positions < 0 || value.Scored < 0 || documents.Count == 0 ||
                value.Open % documents.Count % BlockSize != 0 || (!endless && value.Open > documents.Count))
            {
                throw Impossible(value);
            }

            (_start, _row, _rows, _positions, _scored) = (value.Open, 0, value.Rows, value.Positions, value.Scored);
            _isPacked = false;
            if (value.Offset > 0)
            {
                if (!endless && _start == documents.Count)
                {
                    throw Impossible(value);
                }

                Pack();
                _row = value.Offset <= _block.Count ? value.Offset : throw Impossible(value);
            }
        }
    }

    public override bool Next(TokenBatch batch, int source)
    {
        if (documents.Count == 0)
        {
            return false;
        }

        if (!_isPacked)
        {
            if (!endless && _start >= documents.Count)
            {
                return false;
            }

            Pack();
        }

        int filled = batch.Filled;
        int scored = batch.Scored;
        reader.WriteRow(batch, source, CollectionsMarshal.AsSpan(_block[_row]));
        _row++;
        _rows++;
        _positions += batch.Filled - filled;
        _scored += batch.Scored - scored;
        if (_row == _block.Count)
        {
            _start += BlockLength();
            _row = 0;
            _isPacked = false;
        }

        return true;
    }

    // A block ends with its epoch.
    private int BlockLength() => (int)Math.Min(BlockSize, documents.Count - (_start % documents.Count));

    private void Pack()
    {
        long epoch = Math.DivRem(_start, documents.Count, out long place);
        Permutation order = new(documents.Count, Mix.Hash(seed, (ulong)epoch));
        Piece[] pieces = new Piece[BlockLength()];
        for (int i = 0; i < pieces.Length; i++)
        {
            pieces[i] = documents[endless ? order[place + i] : place + i];
        }

        List<List<Piece>> rows = [];
        List<int> room = [];
        foreach (Piece piece in pieces.OrderByDescending(piece => piece.Length)) // stable: ties keep their order
        {
            int row = room.FindIndex(free => free >= piece.Length);
            if (row < 0)
            {
                row = rows.Count;
                rows.Add([]);
                room.Add(context);
            }

            rows[row].Add(piece);
            room[row] -= piece.Length;
        }

        _block.Clear();
        Permutation shuffle = new(rows.Count, Mix.Hash(seed, (ulong)epoch, (ulong)place + 1));
        for (int i = 0; i < rows.Count; i++)
        {
            _block.Add(rows[endless ? (int)shuffle[i] : i]);
        }

        _isPacked = true;
    }
}
