// Attention as letters and shades, in plain characters. Knows no model.
using System.Globalization;
using System.Text;
using Kidogo.Cli.Chat;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Explanations;

namespace Kidogo.Cli.Explain;

/// <summary>Draws where heads look.</summary>
internal static class AttentionPicture
{
    private const string Shades = " .:-=+*#%@";
    private const int MostLabelColumns = 12;

    /// <summary>A letter for each head: layers below each other.</summary>
    public static void WriteHabits(Session session, AttentionHabit[][] habits)
    {
        MatrixText.Say(session, $"Where each head looks most: 1 at the first token, < at the one before, = at itself, * at others. Layers go down, heads across.");
        session.Output.WriteLine();
        const int LayerColumns = 5;
        int gap = habits.Max(layer => layer.Length) * 2 <= MatrixText.Columns - LayerColumns ? 1 : 0;
        int shown = Math.Min(habits.Max(layer => layer.Length), Math.Max(1, (MatrixText.Columns - LayerColumns) / (1 + gap)));
        session.Output.WriteLine($"     {string.Concat(Enumerable.Range(0, shown).Select(head => (char)('0' + (head % 10)) + new string(' ', gap)))}".TrimEnd());
        for (int layer = 0; layer < habits.Length; layer++)
        {
            session.Output.WriteLine($"{layer,4} {string.Concat(habits[layer].Take(shown).Select(habit => LetterOf(habit) + new string(' ', gap)))}".TrimEnd());
        }

        if (shown < habits.Max(layer => layer.Length))
        {
            MatrixText.Say(session, $"({shown} of {habits.Max(layer => layer.Length)} heads fit; --json has all.)");
        }
    }

    /// <summary>A head: who looks below each other, at whom across.</summary>
    public static void WriteHead(Session session, double[,] weights, string[] pieces, int layer, int head)
    {
        int tokens = pieces.Length;
        AttentionHabit habit = AttentionWeights.HabitOf(weights);
        MatrixText.Say(session, $"Layer {layer}, head {head}: first {100 * habit.First:0} %, the one before {100 * habit.Previous:0} %, itself {100 * habit.Itself:0} %, others {100 * habit.Others:0} %.");
        MatrixText.Say(session, $"Each token (down) shares out its look among those up to itself (across). From 0 to 100 %: \"{Shades}\"");
        session.Output.WriteLine();
        string[] labels = [.. pieces.Select((piece, at) => $"{at,3} {Fit(Session.Visible(piece), MostLabelColumns)}")];
        int labelColumns = labels.Max(TextWidth.Of) + 1;
        int room = Math.Max(4, MatrixText.Columns - labelColumns - 1);
        int cell = 2 * tokens <= room ? 2 : 1;

        // The first token takes much of what has nowhere else to go: it stays in the picture, and the last are shown with it.
        int[] columns = tokens * cell <= room ? [.. Enumerable.Range(0, tokens)] : [0, .. Enumerable.Range(tokens - (room - 1), room - 1)];
        session.Output.WriteLine($"{new string(' ', labelColumns)}|{string.Concat(columns.Select(seen => (char)('0' + (seen % 10)) + new string(' ', cell - 1)))}".TrimEnd());
        for (int row = 0; row < tokens; row++)
        {
            StringBuilder line = new(labels[row]);
            line.Append(' ', labelColumns - TextWidth.Of(labels[row])).Append('|');
            foreach (int seen in columns)
            {
                line.Append(seen > row ? ' ' : ShadeOf(weights[row, seen]), cell);
            }

            line.Append(' ', Math.Max(0, (cell * columns.Length) - (line.Length - labels[row].Length - (labelColumns - TextWidth.Of(labels[row])) - 1)));
            Append(line, weights, pieces, row, MatrixText.Columns - labelColumns - 1 - (cell * columns.Length));
            session.Output.WriteLine(line.ToString().TrimEnd());
        }

        if (columns.Length < tokens)
        {
            MatrixText.Say(session, $"(Tokens 1 to {columns[1] - 1} are left out across: {MatrixText.Columns} columns have no room for {tokens}.)");
        }
    }

    /// <summary>Where there is room: what is looked at most, in words.</summary>
    private static void Append(StringBuilder line, double[,] weights, string[] pieces, int row, int room)
    {
        int most = Enumerable.Range(0, row + 1).MaxBy(seen => weights[row, seen]);
        string said = string.Create(CultureInfo.InvariantCulture, $"  {100 * weights[row, most]:0} % {most} {Fit(Session.Visible(pieces[most]), MostLabelColumns)}");
        if (TextWidth.Of(said) <= room)
        {
            line.Append(said);
        }
    }

    private static char LetterOf(AttentionHabit habit)
    {
        (char Letter, double Share)[] shares = [('1', habit.First), ('<', habit.Previous), ('=', habit.Itself), ('*', habit.Others)];
        return Array.TrueForAll(shares, share => double.IsFinite(share.Share)) ? shares.MaxBy(share => share.Share).Letter : '?';
    }

    private static char ShadeOf(double weight) => double.IsFinite(weight) ? Shades[(int)Math.Round(Math.Clamp(weight, 0, 1) * (Shades.Length - 1))] : '?';

    /// <summary>A text of no more columns, its end a dot where it was cut.</summary>
    private static string Fit(string text, int columns)
    {
        if (TextWidth.Of(text) <= columns)
        {
            return text;
        }

        StringBuilder fitting = new();
        int width = 1;
        foreach (Rune rune in text.EnumerateRunes())
        {
            width += TextWidth.Of(rune);
            if (width > columns)
            {
                break;
            }

            fitting.Append(rune);
        }

        return fitting.Append('.').ToString();
    }
}
