// Pieces by id and ids by piece. Knows not what the pieces mean.
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers;

/// <summary>The pieces of a tokenizer with their kinds, and an open-addressing index from bytes to ids; immutable once built.</summary>
internal sealed class Vocabulary
{
    /// <summary>No vocabulary in use comes near this; a file that claims more is refused.</summary>
    public const int MaxPieces = 1 << 22;

    private readonly PieceList _pieces;
    private readonly int[] _slots;
    private readonly int _shift;
    private readonly ulong _seed = (ulong)Random.Shared.NextInt64() | 1;

    public Vocabulary(PieceList pieces, TokenKind[] kinds)
    {
        _pieces = pieces;
        Kinds = kinds;
        int bits = Math.Max(4, BitOperations.Log2((uint)Math.Max(1, pieces.Count)) + 2);
        _slots = new int[1 << bits];
        _shift = 32 - bits;
        Index();
    }

    /// <summary>One entry a piece.</summary>
    public TokenKind[] Kinds { get; }

    public PieceList Pieces => _pieces;

    public int Count => _pieces.Count;

    /// <summary>The longest piece, in bytes.</summary>
    public int MaxPieceLength { get; private set; }

    public ReadOnlySpan<byte> this[int id] => _pieces[id];

    /// <summary>The id of a piece, or -1. Where a piece occurs twice the first counts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int Find(ReadOnlySpan<byte> piece)
    {
        if (piece.Length > MaxPieceLength)
        {
            return -1;
        }

        int[] slots = _slots;
        int mask = slots.Length - 1;
        for (int at = (int)(Hash(piece, _seed) >> _shift); ; at = (at + 1) & mask)
        {
            int id = slots[at] - 1;
            if (id < 0 || _pieces[id].SequenceEqual(piece))
            {
                return id;
            }
        }
    }

    /// <summary>As <see cref="Find(ReadOnlySpan{byte})"/>, but never a token that ordinary text must not become.</summary>
    public int FindText(ReadOnlySpan<byte> piece)
    {
        int id = Find(piece);
        return id >= 0 && Kinds[id] is TokenKind.Control or TokenKind.Unknown ? -1 : id;
    }

    /// <summary>The id of a piece given as text, or -1.</summary>
    public int Find(string piece) => Find(System.Text.Encoding.UTF8.GetBytes(piece));

    /// <summary>The ids of the 256 tokens <c>&lt;0x00&gt;</c> to <c>&lt;0xFF&gt;</c>, -1 where there is none.</summary>
    public int[] ByteTokens()
    {
        int[] ids = new int[256];
        Span<byte> name = stackalloc byte[6];
        "<0x00>"u8.CopyTo(name);
        for (int value = 0; value < 256; value++)
        {
            name[3] = "0123456789ABCDEF"u8[value >> 4];
            name[4] = "0123456789ABCDEF"u8[value & 15];
            ids[value] = Find(name);
        }

        return ids;
    }

    /// <summary>The byte that <c>&lt;0xNN&gt;</c> spells, or -1 for anything else.</summary>
    public static int ByteOf(ReadOnlySpan<byte> piece)
    {
        if (piece.Length != 6 || !piece.StartsWith("<0x"u8) || piece[5] != '>')
        {
            return -1;
        }

        int high = HexDigit(piece[3]), low = HexDigit(piece[4]);
        return high < 0 || low < 0 ? -1 : (high << 4) | low;
    }

    /// <summary>A hash in the upper bits of 32, eight bytes at a time; <paramref name="seed"/> keeps hostile files from choosing collisions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Hash(ReadOnlySpan<byte> bytes, ulong seed)
    {
        const ulong Multiplier = 0x9E3779B97F4A7C15;
        ulong hash = seed + (ulong)bytes.Length;
        while (bytes.Length >= 8)
        {
            hash = (hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes)) * Multiplier;
            hash ^= hash >> 32;
            bytes = bytes[8..];
        }

        ulong tail = 0;
        if (bytes.Length >= 4)
        {
            tail = BinaryPrimitives.ReadUInt32LittleEndian(bytes) | ((ulong)BinaryPrimitives.ReadUInt32LittleEndian(bytes[^4..]) << 32);
        }
        else if (bytes.Length > 0)
        {
            tail = (uint)bytes[0] | ((uint)bytes[bytes.Length >> 1] << 8) | ((uint)bytes[^1] << 16);
        }

        hash = (hash ^ tail) * Multiplier;
        hash = (hash ^ (hash >> 29)) * Multiplier;
        return (uint)(hash >> 32);
    }

    private static int HexDigit(byte digit) => digit switch
    {
        >= (byte)'0' and <= (byte)'9' => digit - '0',
        >= (byte)'A' and <= (byte)'F' => digit - 'A' + 10,
        >= (byte)'a' and <= (byte)'f' => digit - 'a' + 10,
        _ => -1,
    };

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Index()
    {
        int mask = _slots.Length - 1;
        for (int id = 0; id < _pieces.Count; id++)
        {
            ReadOnlySpan<byte> piece = _pieces[id];
            if (piece.IsEmpty)
            {
                continue;
            }

            MaxPieceLength = Math.Max(MaxPieceLength, piece.Length);
            int at = (int)(Hash(piece, _seed) >> _shift);
            while (_slots[at] != 0 && !_pieces[_slots[at] - 1].SequenceEqual(piece))
            {
                at = (at + 1) & mask;
            }

            if (_slots[at] == 0)
            {
                _slots[at] = id + 1;
            }
        }
    }
}
