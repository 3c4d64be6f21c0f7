// What is piped into the program. Knows not what it means.
using System.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Cli.Shell;

/// <summary>Reads standard input.</summary>
internal static class StandardInput
{
    private const int MaxBytes = 1 << 30;

    /// <summary>All bytes, to the end.</summary>
    public static byte[] ReadBytes(Session session)
    {
        using Stream input = Console.OpenStandardInput();
        using MemoryStream all = new();
        byte[] buffer = new byte[1 << 16];
        for (int count = input.Read(buffer); count > 0; count = input.Read(buffer))
        {
            session.Interrupted.ThrowIfCancellationRequested();
            if (all.Length + count > MaxBytes)
            {
                throw new FailureException($"Standard input has more than {MaxBytes} bytes. Give it in parts.");
            }

            all.Write(buffer, 0, count);
        }

        return all.ToArray();
    }

    /// <summary>All text; bytes that are no UTF-8 become U+FFFD, and a byte order mark goes.</summary>
    public static string ReadText(Session session)
    {
        ReadOnlySpan<byte> bytes = ReadBytes(session);
        WarnOfInvalid(session, bytes);
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        return Encoding.UTF8.GetString(bytes.StartsWith(mark) ? bytes[mark.Length..] : bytes);
    }

    /// <summary>Says how many bytes are no UTF-8: what comes back of them is not what was given.</summary>
    public static void WarnOfInvalid(Session session, ReadOnlySpan<byte> bytes)
    {
        int count = Tokenizer.CountInvalid(bytes);
        if (count > 0)
        {
            session.Warn($"{count} {(count == 1 ? "byte" : "bytes")} of standard input {(count == 1 ? "is" : "are")} no valid UTF-8, and each counts as the character U+FFFD. Save the text as UTF-8 to keep it.");
        }
    }

    /// <summary>The text that was piped in, or null where standard input is a terminal or empty.</summary>
    public static string? ReadPiped(Session session) => Console.IsInputRedirected && ReadText(session) is { Length: > 0 } text ? text : null;
}
