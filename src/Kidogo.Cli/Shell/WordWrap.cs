// Lines no wider than a terminal, broken between words. Knows no terminal.
using System.Text;
using Kidogo.Cli.Chat;

namespace Kidogo.Cli.Shell;

/// <summary>Breaks text between words.</summary>
internal static class WordWrap
{
    /// <summary>The text with line ends in place of the spaces at which it would be wider than <paramref name="width"/> columns. A word that is wider stays whole.</summary>
    /// <param name="text">One line.</param>
    /// <param name="width">Columns.</param>
    /// <param name="indent">Spaces before each line but the first, within the width.</param>
    public static string Wrap(string text, int width, int indent = 0)
    {
        StringBuilder wrapped = new(text.Length);
        int column = 0;
        foreach (string word in text.Split(' '))
        {
            int columns = TextWidth.Of(word);
            if (wrapped.Length > 0 && column > indent && column + 1 + columns > width)
            {
                wrapped.Append('\n').Append(' ', indent);
                column = indent;
            }
            else if (wrapped.Length > 0)
            {
                wrapped.Append(' ');
                column++;
            }

            wrapped.Append(word);
            column += columns;
        }

        return wrapped.ToString();
    }
}
