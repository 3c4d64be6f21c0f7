// Reads a text file whole, if it is not too long. Knows UTF-8 and nothing else.
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

internal static class SmallFile
{
    /// <summary>The bytes of a UTF-8 text, without a byte order mark.</summary>
    /// <exception cref="ModelFormatException">The file is longer than <paramref name="maxBytes"/>, or no UTF-8.</exception>
    public static byte[] Read(string path, int maxBytes)
    {
        using MappedFile file = MappedFile.Open(path);
        if (file.Length > maxBytes)
        {
            throw new ModelFormatException(path, maxBytes, $"The file has {file.Length} bytes; at most {maxBytes} are accepted for one of its kind.");
        }

        byte[] bytes = new byte[file.Length];
        try
        {
            file.CopyTo(0, bytes);
        }
        catch (EndOfStreamException e)
        {
            throw new ModelFormatException(path, -1, "The file has become shorter while it was read.", e);
        }

        if (!Utf8.IsValid(bytes))
        {
            throw new ModelFormatException(path, FirstInvalid(bytes), "The file is not valid UTF-8.");
        }

        return bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes[3..] : bytes;
    }

    public static string ReadText(string path, int maxBytes) => Encoding.UTF8.GetString(Read(path, maxBytes));

    /// <summary>Where in the text a JSON error lies, from its line and the place in it.</summary>
    public static long OffsetOf(ReadOnlySpan<byte> text, JsonException e)
    {
        long offset = 0;
        for (long line = e.LineNumber ?? 0; line > 0; line--)
        {
            int end = text[(int)offset..].IndexOf((byte)'\n');
            if (end < 0)
            {
                break;
            }

            offset += end + 1;
        }

        return offset + (e.BytePositionInLine ?? 0);
    }

    private static long FirstInvalid(ReadOnlySpan<byte> bytes)
    {
        int at = 0;
        while (at < bytes.Length && Rune.DecodeFromUtf8(bytes[at..], out _, out int consumed) == System.Buffers.OperationStatus.Done)
        {
            at += consumed;
        }

        return at;
    }
}
