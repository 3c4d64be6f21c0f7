// kidogo classify: what each line of standard input is.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Inference.Classification;
using Kidogo.Training.Classification;

namespace Kidogo.Cli.Verbs;

internal static class ClassifyVerb
{
    private const int TextsAtOnce = 256; // so that a pipe sees the first answers before its last text is read

    public static Command Create(Session session)
    {
        Argument<string> model = new("MODEL") { Description = "The folder of a classifier, made by kidogo adapt --task classify" };
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("classify", "Say what each line of standard input is, with calibrated probabilities") { model, threads, json };
        command.SetAction(parsed => Run(session, parsed.GetRequiredValue(model), parsed.GetValue(threads), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Session session, string folder, int? threads, bool asJson)
    {
        using TextClassifier classifier = TextClassifier.Open(folder, threads ?? MachineInfo.CountPhysicalCores(), ClassifierTraining.HashOf);
        string[] lines = StandardInput.ReadText(session).Split('\n');
        int count = lines[^1].Length == 0 ? lines.Length - 1 : lines.Length;
        if (count == 0)
        {
            throw new FailureException("Standard input holds no text; give one text a line.");
        }

        using ProgressBar bar = new(session, "classifying", "texts");
        for (int first = 0; first < count; first += TextsAtOnce)
        {
            int end = Math.Min(first + TextsAtOnce, count);
            TextClass[] classes = classifier.Classify([.. lines[first..end].Select(line => line.TrimEnd('\r'))], session.Interrupted);
            for (int i = 0; i < classes.Length; i++)
            {
                Write(session, classifier, classes[i], first + i + 1, asJson);
            }

            bar.Report(end, count);
        }

        return ExitCode.Done;
    }

    private static void Write(Session session, TextClassifier classifier, TextClass told, int line, bool asJson)
    {
        if (told.WholeTokens > told.Tokens)
        {
            session.Warn($"Line {line} has {told.WholeTokens} tokens; the model reads the first {told.Tokens}.");
        }

        if (!asJson)
        {
            session.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{told.Label}\t{told.Probabilities.Max():0.0000}"));
            return;
        }

        JsonOutput.Write(session, json =>
        {
            json.WriteString("label", told.Label);
            json.WriteStartObject("probabilities");
            for (int label = 0; label < classifier.Labels.Count; label++)
            {
                json.WriteNumber(classifier.Labels[label], told.Probabilities[label]);
            }

            json.WriteEndObject();
        });
    }
}
