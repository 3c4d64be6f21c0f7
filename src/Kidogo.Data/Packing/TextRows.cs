// Rows of documents: whole windows, and what is left of documents put end to end. Knows ids, not texts.
using System.Runtime.InteropServices;

namespace Kidogo.Data.Packing;

/// <summary>The rows of a source of text.</summary>
/// <remarks>
/// <code>
///  epoch's order of pieces:  [w 512] [a 300] [w 512] [b 400] [c 100] …        w: a window as long as a row
///  rows:                     [w] · [w] · [a 300 | b 212] · [b 188 | c 100 | …
/// </code>
/// The row that is not yet full is open: it begins with a piece, or with the rest of one, and windows pass it by.
/// </remarks>
internal sealed class TextRows(DocumentList documents, PieceReader reader, int context, ulong seed, bool endless) : RowSource
{
    private readonly List<Piece> _openPieces = [];
    private int _openLength;
    private long _open;
    private int _offset;
    private long _next;
    private long _epoch = -1;
    private Permutation _order;
    private long _rows;
    private long _positions;

    public override long Rows => _rows;

    public override double Epochs => documents.Pieces == 0 ? 0 : (double)_next / documents.Pieces;

    public override SourcePosition Position
    {
        get => new(_rows, _positions, _positions, _openPieces.Count == 0 ? _next : _open, _openPieces.Count == 0 ? 0 : _offset, _next);
        set
        {
            if (value.Open > value.Next || value.Open < 0 || value.Offset < 0 || value.Rows < 0 || value.Positions < 0
                || (value.Open < value.Next && !documents.HasShort) ||
                (value.Open == value.Next && value.Offset > 0) || (!endless && value.Next > documents.Pieces))
            {
                throw Impossible(value);
            }

            List<Piece> pieces = [];
            int length = 0;
            for (long at = value.Open; at < value.Next; at++)
            {
                Piece piece = At(at);
                bool isFirst = at == value.Open;
                if (isFirst && (piece.Length == context || value.Offset >= piece.Length))
                {
                    throw Impossible(value);
                }

                if (piece.Length < context)
                {
                    pieces.Add(isFirst ? new Piece(piece.First + value.Offset, piece.Length - value.Offset) : piece);
                    length += pieces[^1].Length;
                    if (length >= context)
                    {
                        throw Impossible(value);
                    }
                }
            }

            _openPieces.Clear();
            _openPieces.AddRange(pieces);
            (_openLength, _open, _offset, _next, _rows, _positions) = (length, value.Open, value.Offset, value.Next, value.Rows, value.Positions);
        }
    }

    public override bool Next(TokenBatch batch, int source)
    {
        while (endless || _next < documents.Pieces)
        {
            long index = _next;
            Piece piece = At(index);
            _next++;
            if (piece.Length == context)
            {
                Write(batch, source, [piece]);
                return true;
            }

            if (_openPieces.Count == 0)
            {
                _open = index;
                _offset = 0;
            }

            int taken = Math.Min(piece.Length, context - _openLength);
            _openPieces.Add(piece with { Length = taken });
            _openLength += taken;
            if (_openLength == context)
            {
                Write(batch, source, CollectionsMarshal.AsSpan(_openPieces));
                _openPieces.Clear();
                _openLength = piece.Length - taken;
                if (_openLength > 0)
                {
                    _openPieces.Add(new Piece(piece.First + taken, _openLength));
                    _open = index;
                    _offset = taken;
                }

                return true;
            }
        }

        if (_openPieces.Count == 0)
        {
            return false;
        }

        Write(batch, source, CollectionsMarshal.AsSpan(_openPieces));
        _openPieces.Clear();
        _openLength = 0;
        return true;
    }

    private void Write(TokenBatch batch, int source, ReadOnlySpan<Piece> pieces)
    {
        int before = batch.Filled;
        reader.WriteRow(batch, source, pieces);
        _rows++;
        _positions += batch.Filled - before;
    }

    // Held-out documents come in their own order, others in one of the epoch.
    private Piece At(long index)
    {
        if (!endless)
        {
            return documents[index];
        }

        long epoch = Math.DivRem(index, documents.Pieces, out long place);
        if (epoch != _epoch)
        {
            _epoch = epoch;
            _order = new Permutation(documents.Pieces, Mix.Hash(seed, (ulong)epoch));
        }

        return documents[_order[place]];
    }
}
