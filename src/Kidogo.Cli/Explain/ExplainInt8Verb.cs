// kidogo explain int8: a matrix to int8 and back, with its scale and its error.
using System.CommandLine;
using System.Globalization;
using System.Text;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Explanations;

namespace Kidogo.Cli.Explain;

internal static class ExplainInt8Verb
{
    public static Command Create(Session session)
    {
        Argument<string?> file = new("FILE") { Description = "A text file with a matrix, rows on lines, numbers between spaces; - is standard input; nothing for a built-in 4 x 4", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> matrix = Opt.Text("--matrix", "ROWS", "The matrix itself in place of a file: \"2.52 -1.12; 0.08 1.6\"");
        Option<string?> scale = Opt.Choice("--scale", "One scale for the whole matrix, or one for each row (default matrix)", "matrix", "row");
        Option<bool> json = Opt.Json();
        Command command = new("int8", "A matrix to 8-bit whole numbers and back: codes, scale, error") { file, matrix, scale, json };
        command.SetAction(parsed => Run(session, Read(session, parsed.GetValue(file), parsed.GetValue(matrix)), parsed.GetValue(scale) == "row", parsed.GetValue(json)));
        return command;
    }

    private static TypedMatrix Read(Session session, string? file, string? typed) => (file, typed) switch
    {
        (not null, not null) => throw new UsageException("--matrix and a file are two matrices; give one."),
        (null, null) => Int8Example.BuiltIn,
        (null, { } text) => TypedMatrix.Parse(text, "--matrix"),
        ("-", _) => TypedMatrix.Parse(StandardInput.ReadText(session), "standard input"),
        ({ } path, _) => TypedMatrix.Parse(Encoding.UTF8.GetString(InputFile.ReadAll(path, TypedMatrix.MostCharacters)).TrimStart('\uFEFF'), path),
    };

    private static int Run(Session session, TypedMatrix matrix, bool perRow, bool json)
    {
        Int8Example example = Int8Example.Work(matrix, perRow);
        if (json)
        {
            JsonOutput.Write(session, writer =>
            {
                MatrixText.WriteRows(writer, "matrix", matrix);
                writer.WriteStartArray("scales");
                Array.ForEach(example.Scales, writer.WriteNumberValue);
                writer.WriteEndArray();
                MatrixText.WriteRows(writer, "codes", matrix.Rows, matrix.Columns, (row, column) => writer.WriteNumberValue(example.Codes[(row * matrix.Columns) + column]));
                MatrixText.WriteRows(writer, "restored", matrix with { Values = example.Restored });
                MatrixText.WriteRows(writer, "errors", matrix with { Values = example.Errors });
                writer.WriteNumber("largest_error", example.LargestError);
                writer.WriteNumber("half_step", example.HalfStep);
                writer.WriteNumber("root_mean_square_error", example.RootMeanSquareError);
                writer.WriteNumber("bytes_before", example.BytesBefore);
                writer.WriteNumber("bytes_after", example.BytesAfter);
            });
            return ExitCode.Done;
        }

        MatrixText.Write(session, $"the matrix, {matrix.Rows} x {matrix.Columns} in float32:", matrix, MatrixText.FormatOf(matrix));
        session.Output.WriteLine();
        for (int group = 0; group < example.Scales.Length; group++)
        {
            ReadOnlySpan<float> own = perRow ? matrix.Row(group) : matrix.Values;
            string of = perRow ? $" of row {group + 1}" : "";
            MatrixText.Say(session, $"scale{of} = largest magnitude / 127 = {Largest(own)} / 127 = {example.Scales[group]:G6}");
        }

        MatrixText.Say(session, $"code = number / scale, rounded to the nearest whole number:");
        session.Output.WriteLine();
        MatrixText.Write(session, "the codes, in int8:", matrix.Rows, matrix.Columns, (row, column) => example.Codes[(row * matrix.Columns) + column].ToString(CultureInfo.InvariantCulture));
        session.Output.WriteLine();
        Line(session, example.Codes);
        session.Output.WriteLine();
        int digits = Math.Clamp(3 - (int)Math.Floor(Math.Log10(Math.Max(example.HalfStep, 1e-30))), 1, 9);
        string format = $"0.{new string('0', digits)}";
        MatrixText.Write(session, "back again, code x scale:", matrix with { Values = example.Restored }, format);
        session.Output.WriteLine();
        MatrixText.Write(session, "the error, back again minus original:", matrix with { Values = example.Errors }, format);
        session.Output.WriteLine();
        MatrixText.Say(session, $"largest error {example.LargestError:G4}; half a step, which no error exceeds, is {example.HalfStep:G4}; root mean square error {example.RootMeanSquareError:G4}.");
        MatrixText.Say(session, $"{example.BytesBefore} bytes became {example.BytesAfter}: one for each number, and four for each scale.");
        return ExitCode.Done;
    }

    private static float Largest(ReadOnlySpan<float> values)
    {
        float largest = 0;
        foreach (float value in values)
        {
            largest = Math.Max(largest, Math.Abs(value));
        }

        return largest;
    }

    /// <summary>Where the codes lie between -127 and 127.</summary>
    private static void Line(Session session, sbyte[] codes)
    {
        const string Marks = " .:+#";
        int width = Math.Clamp(MatrixText.Columns - 2, 9, 65) | 1; // odd: 0 has a place of its own
        int[] counts = new int[width];
        foreach (sbyte code in codes)
        {
            counts[(int)Math.Round((code + 127) / 254.0 * (width - 1))]++;
        }

        MatrixText.Say(session, $"where they lie (. one : two + three # more)");
        session.Output.WriteLine(string.Concat(counts.Select(count => Marks[Math.Min(count, Marks.Length - 1)])).TrimEnd());
        session.Output.WriteLine($"|{new string('-', (width / 2) - 1)}|{new string('-', (width / 2) - 1)}|");
        session.Output.WriteLine($"-127{"0".PadLeft((width / 2) - 3)}{"127".PadLeft(width / 2)}");
    }
}
