// What kidogo adapt --task classify means: options of its own, and the report. Computes nothing.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Training;
using Kidogo.Data;
using Kidogo.Evaluation.Machine;
using Kidogo.Models.Encoders;
using Kidogo.Training.Classification;

namespace Kidogo.Cli.Verbs;

internal sealed class ClassifierOption
{
    private static readonly string[] s_fields = ["task", "from", "out", "data", "field", "held_out", "seed", "threads"];

    private readonly Option<string?> _label, _pooling;

    /// <summary>Gives a verb the options that only classifiers have.</summary>
    public ClassifierOption(Command command)
    {
        _label = Opt.Text("--label-field", "NAME", "Of classifiers: the field of a line that holds the label (default: label)");
        _pooling = Opt.Choice("--pooling", "Of classifiers: how a text's states become one vector (default: as an encoder says, else mean)", "mean", "cls", "last");
        command.Options.Add(_label);
        command.Options.Add(_pooling);
    }

    /// <summary>Refuses these options where something else is trained.</summary>
    public void RefuseElsewhere(ParseResult parsed)
    {
        if (((Option[])[_label, _pooling]).FirstOrDefault(option => Opt.IsGiven(parsed, option)) is { } option)
        {
            throw new UsageException($"{option.Name} is of classifiers: it goes with --task classify.");
        }
    }

    /// <summary>Trains a classifier.</summary>
    public int Train(Session session, ParseResult parsed, string? other, List<KeyValuePair<string, IReadOnlyList<string>>> given, bool asJson)
    {
        if (other is not null || given.Find(field => !s_fields.Contains(field.Key)).Key is { } foreign && (other = $"--{foreign.Replace('_', '-')}") is not null)
        {
            throw new UsageException($"{other} means nothing to a classifier, whose head is fitted to the end at once. Its options: --data, --field, --label-field, --held-out, --pooling, --seed, --threads, --out.");
        }

        string folder = TrainVerb.TextOf(given, "out") ?? "kidogo-classifier";
        if (Path.Exists(folder) && (!Directory.Exists(folder) || Directory.EnumerateFileSystemEntries(folder).Any()))
        {
            throw new FailureException($"{folder} is there already. Give another --out, or remove it.");
        }

        ClassifierOptions options = new()
        {
            Base = ModelChoice.Locate(TrainVerb.TextOf(given, "from") ?? throw new UsageException("kidogo adapt --task classify needs the model that the classifier looks through: kidogo adapt MODEL OUT --task classify --data LINES.jsonl.")),
            Pooling = parsed.GetValue(_pooling) is { } pooling ? Enum.Parse<Pooling>(pooling, ignoreCase: true) : null,
            HeldOut = TrainVerb.NumberOf(given, "held_out", 0.2, 0.01, 0.8),
            Seed = TrainVerb.SeedOf(given),
            Threads = (int)TrainVerb.NumberOf(given, "threads", MachineInfo.CountPhysicalCores(), 1, 1024),
        };
        IReadOnlyList<string> data = given.Find(field => field.Key == "data").Value ?? throw new UsageException("Name the labelled lines: --data LINES.jsonl.");
        LabelledText lines = LabelledText.Read(data, TrainVerb.TextOf(given, "field") ?? "text", parsed.GetValue(_label) ?? "label");
        using TrainingScreen screen = new(session, asJson);
        TrainedClassifier made = ClassifierTraining.Train(lines, options, screen, session.Interrupted);
        made.Content.Write(folder, json => Write(json, made));
        if (asJson)
        {
            JsonOutput.Write(session, json => Write(json, made));
        }
        else
        {
            Show(session, made.Report);
            session.Output.WriteLine($"The classifier is in {folder}. Try: echo A TEXT | kidogo classify {folder}");
        }

        return ExitCode.Done;
    }

    private static void Write(Utf8JsonWriter json, TrainedClassifier made)
    {
        ClassificationReport report = made.Report;
        json.WriteNumber("fitted_lines", made.FittedLines);
        json.WriteNumber("calibration_lines", made.CalibrationLines);
        json.WriteNumber("held_out_lines", report.Lines);
        json.WriteNumber("accuracy", report.Accuracy);
        json.WriteNumber("majority_accuracy", report.MajorityAccuracy);
        json.WriteNumber("macro_f1", report.MacroF1);
        json.WriteNumber("log_loss", report.LogLoss);
        json.WriteNumber("calibration_error", report.CalibrationError);
        json.WriteStartArray("classes");
        for (int label = 0; label < report.Labels.Count; label++)
        {
            json.WriteStartObject();
            json.WriteString("label", report.Labels[label]);
            json.WriteNumber("precision", report.Precision(label));
            json.WriteNumber("recall", report.Recall(label));
            json.WriteNumber("f1", report.F1(label));
            json.WriteStartArray("told");
            foreach (int count in report.Confusion[label])
            {
                json.WriteNumberValue(count);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Show(Session session, ClassificationReport report)
    {
        session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"on {report.Lines} lines that nothing was fitted to: accuracy {100 * report.Accuracy:0.0} % (the most frequent label alone: "
            + $"{100 * report.MajorityAccuracy:0.0} %), macro F1 {report.MacroF1:0.000}, log loss {report.LogLoss:0.000}, calibration error {report.CalibrationError:0.000}"));
        int width = Math.Clamp(report.Labels.Max(label => label.Length), 5, 30);
        session.Output.WriteLine($"{"label".PadRight(width)} precision recall    F1  told as {string.Join(", ", report.Labels)}");
        for (int label = 0; label < report.Labels.Count; label++)
        {
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{report.Labels[label].PadRight(width)} {report.Precision(label),9:0.000} {report.Recall(label),6:0.000} {report.F1(label),5:0.000}  {string.Join(' ', report.Confusion[label])}"));
        }
    }
}
