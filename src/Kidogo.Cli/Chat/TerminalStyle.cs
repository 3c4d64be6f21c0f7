// What dim and bold are on this terminal, or how to do without. Knows nothing else.
using System.Text;

namespace Kidogo.Cli.Chat;

/// <summary>Escape sequences where the terminal and its owner (NO_COLOR) want them; else marks in plain text.</summary>
/// <param name="Dim">Begins dim text.</param>
/// <param name="Bold">Begins bold text.</param>
/// <param name="Reset">Ends both.</param>
/// <param name="BeginReasoning">Before a model's reasoning.</param>
/// <param name="EndReasoning">After it.</param>
internal sealed record TerminalStyle(string Dim, string Bold, string Reset, string BeginReasoning, string EndReasoning)
{
    /// <summary>As <c>NO_COLOR</c> and <c>TERM</c> say.</summary>
    public static TerminalStyle FromEnvironment()
    {
        bool isPlain = Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 } || Environment.GetEnvironmentVariable("TERM") is "dumb";
        return isPlain ? new("", "", "", "(thinking) ", "\n(answer)\n") : new("\u001b[2m", "\u001b[1m", "\u001b[0m", "\u001b[2m", "\u001b[0m\n\n");
    }

    /// <summary>A model's text for a terminal: it may not steer it, so control characters but line ends and tabs go.</summary>
    public static string Safe(string text)
    {
        if (!text.Any(c => char.IsControl(c) && c is not ('\n' or '\t')))
        {
            return text;
        }

        StringBuilder safe = new(text.Length);
        foreach (char c in text.Where(c => !char.IsControl(c) || c is '\n' or '\t'))
        {
            safe.Append(c);
        }

        return safe.ToString();
    }
}
