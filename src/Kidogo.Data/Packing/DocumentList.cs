// Some documents of a store, and the pieces that rows are made of. Knows lengths, not ids.
namespace Kidogo.Data.Packing;

/// <summary>A piece of a document: a window as long as a row, or what is left at the end.</summary>
/// <param name="First">Its first token in the store; there is one token more than positions.</param>
/// <param name="Length">Positions.</param>
internal readonly record struct Piece(long First, int Length);

/// <summary>The documents of one side of a split, none with fewer than two tokens, cut into pieces of at most a row.</summary>
internal sealed class DocumentList
{
    private readonly long[] _starts;
    private readonly int[] _documents;
    private readonly int _context;

    // Number of pieces before each document, and at the end of all; null where each has one.
    private readonly long[]? _piecesBefore;

    /// <summary>Lists documents.</summary>
    /// <param name="starts">The first token of each document of the store, and their number at the end.</param>
    /// <param name="documents">Which of them, in ascending order.</param>
    /// <param name="context">Positions of a row.</param>
    public DocumentList(long[] starts, int[] documents, int context)
    {
        _starts = starts;
        _documents = documents;
        _context = context;
        long pieces = 0;
        foreach (int document in documents)
        {
            long positions = starts[document + 1] - starts[document] - 1;
            Positions += positions;
            pieces += (positions + context - 1) / context;
            HasShort |= positions % context != 0;
        }

        Pieces = pieces;
        if (pieces != documents.Length)
        {
            _piecesBefore = new long[documents.Length + 1];
            for (int i = 0; i < documents.Length; i++)
            {
                _piecesBefore[i + 1] = _piecesBefore[i] + ((starts[documents[i] + 1] - starts[documents[i]] - 1 + context - 1) / context);
            }
        }
    }

    /// <summary>Documents.</summary>
    public int Count => _documents.Length;

    /// <summary>Tokens of all documents.</summary>
    public long Tokens => Positions + _documents.Length;

    /// <summary>Positions of all documents.</summary>
    public long Positions { get; }

    /// <summary>Pieces of all documents.</summary>
    public long Pieces { get; }

    /// <summary>Whether there is a piece shorter than a row.</summary>
    public bool HasShort { get; }

    /// <summary>A piece, counted through all documents.</summary>
    public Piece this[long index]
    {
        get
        {
            int at = (int)index;
            long within = 0;
            if (_piecesBefore is not null)
            {
                at = Array.BinarySearch(_piecesBefore, index); // strictly ascending: no document is without a piece
                at = at < 0 ? ~at - 1 : at;
                within = index - _piecesBefore[at];
            }

            int document = _documents[at];
            long first = _starts[document] + (within * _context);
            return new Piece(first, (int)Math.Min(_context, _starts[document + 1] - 1 - first));
        }
    }
}
