// Finds and mends what is not UTF-8 or not UTF-16. Knows no documents.
using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Kidogo.Data.Readers;

/// <summary>Replaces invalid bytes.</summary>
internal static class TextRepair
{
    /// <summary>The bytes with each invalid stretch replaced by U+FFFD as the WHATWG's decoder does, and the number of invalid bytes; the same bytes where
    /// there are none.</summary>
    public static ReadOnlyMemory<byte> Mend(ReadOnlyMemory<byte> bytes, out int invalid)
    {
        invalid = 0;
        if (Utf8.IsValid(bytes.Span))
        {
            return bytes;
        }

        ArrayBufferWriter<byte> mended = new(bytes.Length + 64);
        ReadOnlySpan<byte> rest = bytes.Span;
        while (!rest.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(rest, out _, out int length) == OperationStatus.Done)
            {
                mended.Write(rest[..length]);
            }
            else
            {
                mended.Write("\uFFFD"u8);
                invalid += length;
            }

            rest = rest[length..];
        }

        return mended.WrittenMemory;
    }

    /// <summary>JSON text with every <c>\uD800</c> to <c>\uDFFF</c> that has no partner replaced by <c>\uFFFD</c>, and the number of bytes so
    /// replaced.</summary>
    public static ReadOnlyMemory<byte> MendEscapes(ReadOnlyMemory<byte> json, out int invalid)
    {
        invalid = 0;
        byte[]? mended = null;
        ReadOnlySpan<byte> text = json.Span;
        for (int i = 0; i + 1 < text.Length; i++)
        {
            if (text[i] != (byte)'\\')
            {
                continue;
            }

            int unit = EscapedUnit(text, i);
            if (unit is >= 0xD800 and < 0xDC00 && EscapedUnit(text, i + 6) is >= 0xDC00 and < 0xE000)
            {
                i += 11;
            }
            else if (unit is >= 0xD800 and < 0xE000)
            {
                mended ??= json.ToArray();
                "\\uFFFD"u8.CopyTo(mended.AsSpan(i));
                invalid += 6;
                i += 5;
            }
            else
            {
                i++; // an escaped backslash does not begin another escape
            }
        }

        return mended ?? json;
    }

    // The UTF-16 unit of \uXXXX at a place, or -1.
    private static int EscapedUnit(ReadOnlySpan<byte> text, int at)
    {
        if (at + 6 > text.Length || text[at] != (byte)'\\' || text[at + 1] != (byte)'u')
        {
            return -1;
        }

        int unit = 0;
        foreach (byte digit in text.Slice(at + 2, 4))
        {
            if (!char.IsAsciiHexDigit((char)digit))
            {
                return -1;
            }

            unit = (unit << 4) | Convert.ToInt32(((char)digit).ToString(), 16);
        }

        return unit;
    }
}
