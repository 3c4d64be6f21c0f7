// Matrices and bars for a terminal of any width. Knows not what they mean.
using System.Globalization;
using System.Text;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Explanations;

namespace Kidogo.Cli.Explain;

/// <summary>Draws matrices, bars and sentences no wider than what they are shown on.</summary>
internal static class MatrixText
{
    /// <summary>Columns of what is written to: a terminal's, or those of a page where there is none.</summary>
    public static int Columns => Console.IsOutputRedirected ? 79 : Session.Columns;

    /// <summary>A matrix under its title; columns that do not fit are said.</summary>
    /// <param name="session">Where to.</param>
    /// <param name="title">What it is.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="cell">The text of a number.</param>
    public static void Write(Session session, string title, int rows, int columns, Func<int, int, string> cell)
    {
        int width = 0;
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                width = Math.Max(width, cell(row, column).Length);
            }
        }

        int gap = columns * (width + 2) <= Columns ? 2 : 1;
        int shown = Math.Clamp(Columns / (width + gap), 1, columns);
        session.Output.WriteLine(WordWrap.Wrap(shown < columns ? $"{title} (the first {shown} of {columns} columns)" : title, Columns));
        StringBuilder line = new();
        for (int row = 0; row < rows; row++)
        {
            line.Clear();
            for (int column = 0; column < shown; column++)
            {
                line.Append(cell(row, column).PadLeft(width + gap));
            }

            session.Output.WriteLine(line.ToString());
        }
    }

    /// <summary>As above, numbers with some decimals.</summary>
    public static void Write(Session session, string title, TypedMatrix matrix, string format) =>
        Write(session, title, matrix.Rows, matrix.Columns, (row, column) => matrix.Row(row)[column].ToString(format, CultureInfo.InvariantCulture));

    /// <summary>A sentence, broken between words.</summary>
    public static void Say(Session session, FormattableString sentence) => session.Output.WriteLine(WordWrap.Wrap(sentence.ToString(CultureInfo.InvariantCulture), Columns));

    /// <summary>A bar.</summary>
    /// <param name="value">How much.</param>
    /// <param name="most">What fills the width.</param>
    /// <param name="width">Columns.</param>
    /// <param name="mark">What it is drawn with.</param>
    public static string Bar(double value, double most, int width, char mark = '#') => new(mark, most > 0 ? (int)Math.Round(Math.Clamp(value / most, 0, 1) * Math.Max(1, width)) : 0);

    /// <summary>As many decimals as a typed number has, up to six.</summary>
    public static string FormatOf(params TypedMatrix[] matrices)
    {
        int decimals = matrices.SelectMany(matrix => matrix.Values).Max(value => Decimals(value));
        return decimals == 0 ? "0" : $"0.{new string('0', decimals)}";
    }

    /// <summary>Rows as arrays.</summary>
    public static void WriteRows(Utf8JsonWriter json, string name, int rows, int columns, Action<int, int> writeCell)
    {
        json.WriteStartArray(name);
        for (int row = 0; row < rows; row++)
        {
            json.WriteStartArray();
            for (int column = 0; column < columns; column++)
            {
                writeCell(row, column);
            }

            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    /// <summary>A matrix as arrays.</summary>
    public static void WriteRows(Utf8JsonWriter json, string name, TypedMatrix matrix) =>
        WriteRows(json, name, matrix.Rows, matrix.Columns, (row, column) => json.WriteNumberValue(matrix.Row(row)[column]));

    private static int Decimals(float value)
    {
        const int Most = 6;
        string text = value.ToString("0.######", CultureInfo.InvariantCulture);
        int point = text.IndexOf('.', StringComparison.Ordinal);
        return point < 0 ? 0 : Math.Min(Most, text.Length - point - 1);
    }
}
