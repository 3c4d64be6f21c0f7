// Random words that open something, and what is kept of them. Knows not what they open.
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Kidogo.Serving.Access;

namespace Kidogo.Serving.Portal;

/// <summary>Makes secrets.</summary>
internal static class Secret
{
    private const int Bytes = 32;

    // Crockford's digits: none looks like another.
    private const string CodeDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    private const int CodeGroups = 5, CodeGroup = 4;

    /// <summary>256 random bits, to be kept by a program.</summary>
    public static string New() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes));

    /// <summary>100 random bits, to be read out and typed: XXXX-XXXX-XXXX-XXXX-XXXX.</summary>
    public static string NewCode() => string.Join('-', Enumerable.Range(0, CodeGroups).Select(_ => RandomNumberGenerator.GetString(CodeDigits, CodeGroup)));

    /// <summary>What is kept of a secret. It is random and long, so one round hides it.</summary>
    public static string HashOf(string secret) => KeyFile.HashOf(secret);

    /// <summary>What is kept of a code that people typed: in capitals or not, with dashes or not, with letters that look like digits.</summary>
    public static string HashOfCode(string code) =>
        HashOf(string.Concat(code.ToUpperInvariant().Where(char.IsAsciiLetterOrDigit).Select(c => c switch { 'O' => '0', 'I' or 'L' => '1', _ => c })));

    /// <summary>What forms of a session have to send along: it follows from the session's secret, and the secret does not follow from it.</summary>
    public static string FormToken(string session) => Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(session), "kidogo portal form"u8));
}
