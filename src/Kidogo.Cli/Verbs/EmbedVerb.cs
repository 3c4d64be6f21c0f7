// kidogo embed: texts to vectors.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class EmbedVerb
{
    private const int TextsAtOnce = 256; // so that a pipe sees the first vectors before its last text is read

    private sealed record Options(string Model, Pooling? Pooling, int? Threads, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<string?> pooling = Opt.Choice("--pooling", "How tokens become one vector (default: as the model says, else mean)", "mean", "cls", "last");
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("embed", "Turn each line of standard input into a vector, with an encoder such as all-MiniLM-L6-v2") { model, pooling, threads, json };
        command.SetAction(parsed => Run(session, new Options(parsed.GetRequiredValue(model), PoolingOf(parsed.GetValue(pooling)), parsed.GetValue(threads), parsed.GetValue(json))));
        return command;
    }

    private static Pooling? PoolingOf(string? word) => word switch
    {
        null => null,
        "cls" => Pooling.Cls,
        "last" => Pooling.Last,
        _ => Pooling.Mean,
    };

    private static int Run(Session session, Options options)
    {
        string path = ModelChoice.Locate(options.Model);
        using ComputeContext context = ComputeContext.Inference(options.Threads ?? MachineInfo.CountPhysicalCores());
        using LoadedEncoder encoder = LoadedEncoder.Load(path, context);
        using ModelText words = ModelText.Of(encoder.Folder);
        TextEmbedder embedder = new(encoder, words.Tokenizer, context) { Pooling = options.Pooling ?? encoder.Pooling };
        string[] lines = StandardInput.ReadText(session).Split('\n');
        int count = lines[^1].Length == 0 ? lines.Length - 1 : lines.Length;
        if (count == 0)
        {
            throw new FailureException("Standard input holds no text; give one text a line.");
        }

        using ProgressBar bar = new(session, "embedding", "texts");
        for (int first = 0; first < count; first += TextsAtOnce)
        {
            int end = Math.Min(first + TextsAtOnce, count);
            TextEmbedding[] embeddings = embedder.Embed([.. lines[first..end].Select(line => line.TrimEnd('\r'))], session.Interrupted);
            for (int i = 0; i < embeddings.Length; i++)
            {
                Write(session, embeddings[i], first + i + 1, options.Json);
            }

            bar.Report(end, count);
        }

        return ExitCode.Done;
    }

    private static void Write(Session session, TextEmbedding embedding, int line, bool asJson)
    {
        if (embedding.WholeTokens > embedding.Tokens)
        {
            session.Warn($"Line {line} has {embedding.WholeTokens} tokens; the model reads the first {embedding.Tokens}.");
        }

        if (!asJson)
        {
            session.Output.WriteLine(string.Join(' ', embedding.Values.Select(value => value.ToString("R", CultureInfo.InvariantCulture))));
            return;
        }

        JsonOutput.Write(session, json =>
        {
            json.WriteStartArray("embedding");
            foreach (float value in embedding.Values)
            {
                json.WriteNumberValue(value);
            }

            json.WriteEndArray();
            json.WriteNumber("tokens", embedding.Tokens);
        });
    }
}
