// Numbers and tables for people. Knows no verb.
using System.Globalization;
using System.Text;

namespace Kidogo.Cli.Shell;

/// <summary>Formats for people.</summary>
internal static class Show
{
    /// <summary>Bytes with a binary unit: <c>93.8 MiB</c>.</summary>
    public static string Bytes(double bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        int unit = 0;
        while (bytes >= 1024 && unit < units.Length - 1)
        {
            bytes /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{Math.Round(bytes, unit == 0 ? 0 : bytes < 10 ? 2 : 1)} {units[unit]}");
    }

    /// <summary>A count with a decimal unit: <c>134.5M</c>.</summary>
    public static string Count(double count) => count switch
    {
        >= 1e12 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e12:0.##}T"),
        >= 1e9 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e9:0.##}B"),
        >= 1e6 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e6:0.#}M"),
        >= 1e4 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e3:0.#}K"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{count:0}"),
    };

    /// <summary>A number with as many decimals as are worth reading.</summary>
    public static string Number(double value) =>
        value.ToString(Math.Abs(value) switch { < 10 => "0.00", < 100 => "0.0", _ => "0" }, CultureInfo.InvariantCulture);

    /// <summary>Seconds: <c>3.4 s</c>, <c>2:05</c>, <c>1:02:05</c>.</summary>
    public static string Duration(TimeSpan time) => time.TotalSeconds < 60
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.0} s")
        : time.TotalHours < 1
            ? string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalMinutes}:{time.Seconds:00}")
            : string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}");

    /// <summary>Rows in columns, two spaces apart. A heading that begins with <c>&gt;</c> makes a column of numbers, which stand at the right.</summary>
    public static string Table(string[] headings, IEnumerable<string[]> rows)
    {
        bool[] isRight = [.. headings.Select(heading => heading.StartsWith('>'))];
        List<string[]> lines = [[.. headings.Select(heading => heading.TrimStart('>'))], .. rows];
        int[] widths = [.. headings.Select((_, column) => lines.Max(line => line[column].Length))];
        StringBuilder table = new();
        foreach (string[] line in lines)
        {
            IEnumerable<string> cells = line.Select((cell, column) => isRight[column] ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]));
            table.Append(string.Join("  ", cells).TrimEnd()).Append('\n');
        }

        return table.ToString();
    }
}
