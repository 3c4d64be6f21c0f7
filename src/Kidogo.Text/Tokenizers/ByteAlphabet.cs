// The visible spelling of bytes that GPT-2 introduced. Knows no vocabulary.
using System.Buffers;
using System.Text;

namespace Kidogo.Text.Tokenizers;

/// <summary>The bijection between the 256 bytes and 256 printable characters: bytes that print stand for themselves, the 68 others for U+0100 on, in order.</summary>
/// <remarks>Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.2 and its published encoder.</remarks>
internal static class ByteAlphabet
{
    /// <summary>The code point that spells a byte.</summary>
    public static int CodePointOf(byte value) => value switch
    {
        <= 32 => 256 + value,
        >= 127 and <= 160 => 256 + 33 + (value - 127),
        173 => 256 + 67,
        _ => value,
    };

    /// <summary>The byte that a code point spells, or -1.</summary>
    public static int ByteOf(int codePoint) => codePoint switch
    {
        < 0 => -1,
        <= 32 or (>= 127 and <= 160) or 173 => -1,
        < 256 => codePoint,
        <= 256 + 32 => codePoint - 256,
        < 256 + 67 => codePoint - 256 - 33 + 127,
        256 + 67 => 173,
        _ => -1,
    };

    /// <summary>Appends the spelling of <paramref name="bytes"/>.</summary>
    public static void Spell(ReadOnlySpan<byte> bytes, ByteBuffer output)
    {
        foreach (byte value in bytes)
        {
            output.AddCodePoint(CodePointOf(value));
        }
    }

    /// <summary>Appends the bytes that <paramref name="piece"/> spells; a piece with any other character is taken as it is, which is how added tokens are written.</summary>
    public static void Unspell(ReadOnlySpan<byte> piece, ByteBuffer output)
    {
        int before = output.Count;
        for (ReadOnlySpan<byte> rest = piece; !rest.IsEmpty;)
        {
            int value = Rune.DecodeFromUtf8(rest, out Rune rune, out int length) == OperationStatus.Done ? ByteOf(rune.Value) : -1;
            if (value < 0)
            {
                output.Truncate(before);
                output.Add(piece);
                return;
            }

            output.Add((byte)value);
            rest = rest[length..];
        }
    }
}
