// kidogo tokenizer train: texts to a tokenizer, and what it costs in each of them.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Data;
using Kidogo.Text.Tokenizers.Training;

namespace Kidogo.Cli.Verbs;

internal static class TokenizerTrainVerb
{
    private sealed record Options(IReadOnlyList<DataSource> Sources, string Out, TokenizerKind Kind, TokenizerTrainingOptions Training, bool Json);

    public static Command Create(Session session)
    {
        TokenizerTrainingOptions defaults = new();
        Argument<string[]> texts = new("TEXTS") { Description = "Files (.txt, .jsonl, either with .gz after it) and folders of them",
            Arity = ArgumentArity.OneOrMore };
        Option<string> output = new("--out") { Description = "The folder for tokenizer.json and tokenizer_config.json; made if absent", HelpName = "DIR",
            Required = true };
        Option<string?> kind = Opt.Choice("--kind", "Byte-level byte pairs, or unigram with byte fallback (default bpe)", "bpe", "unigram");
        Option<int?> vocabulary = Opt.Int("--vocabulary", $"Entries, special tokens and bytes included (default {defaults.VocabularySize})", 1, 1_000_000);
        Option<string?> field = Opt.Text("--field", "NAME", "The field of .jsonl that holds the text (default text)");
        Option<string[]> special = Opt.Texts("--special", "TOKEN", $"A special token besides "
            + $"{string.Join(" ", TokenizerTrainingOptions.DefaultSpecialTokens)}; may be given several times");
        Option<int?> frequency = Opt.Int("--min-frequency", $"How often a pair or a piece has to occur (default {defaults.MinFrequency})", 1, 1_000_000);
        Option<bool> template = Opt.Flag("--chat-template", "Write a ChatML template too, chat_template.jinja");
        Option<bool> strict = Opt.Flag("--strict", "Refuse bytes that are not UTF-8 instead of replacing them");
        Option<int?> threads = Opt.Int("--threads", "Threads to compute with (default: all); they change nothing in the result", 1, 1024);
        Option<bool> json = Opt.Json();
        Command command = new("train", "Train a tokenizer on texts") { texts, output, kind, vocabulary, field, special, frequency, template, strict, threads,
            json };
        command.SetAction(parsed => Run(session, new Options(
            [.. parsed.GetRequiredValue(texts).Select(path => new DataSource { Path = path, Field = parsed.GetValue(field) ?? "text" })],
            parsed.GetRequiredValue(output), TokenizerTrainer.KindOf(parsed.GetValue(kind) ?? "bpe")!.Value,
            defaults with
            {
                VocabularySize = parsed.GetValue(vocabulary) ?? defaults.VocabularySize,
                SpecialTokens = [.. defaults.SpecialTokens, .. parsed.GetValue(special) ?? []],
                MinFrequency = parsed.GetValue(frequency) ?? defaults.MinFrequency,
                ChatTemplate = parsed.GetValue(template),
                Strict = parsed.GetValue(strict),
                Threads = parsed.GetValue(threads) ?? defaults.Threads,
            },
            parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        OutFolder.CheckWritable(options.Out);
        if (File.Exists(Path.Combine(options.Out, "config.json")))
        {
            throw new FailureException($"{options.Out} holds a model, whose tokenizer would be written over, and the model would no longer know its own tokens. Name another --out.");
        }

        using StageBars bars = new(session);
        TokenizerOfSources result = TokenizerFromSources.Train(options.Sources, options.Kind, options.Training, measure: true, bars, session.Interrupted);
        AtomicFile.Guarded(options.Out, () => result.Trained.WriteTo(options.Out));
        bars.Dispose();
        if (result.InvalidBytes > 0)
        {
            session.Warn($"{result.InvalidBytes} bytes were not UTF-8 and count as U+FFFD; --strict names the place of the first.");
        }

        if (options.Json)
        {
            JsonOutput.Write(session, json => WriteJson(json, result));
            return ExitCode.Done;
        }

        string[] Row(Fertility file) =>
            [Session.OneLine(file.Name),
            .. new[] { Show.Bytes(file.Bytes), Show.Count(file.Words), Show.Count(file.Tokens), Decimals(file.BytesPerToken), Decimals(file.TokensPerWord) }];
        IEnumerable<Fertility> rows = result.Files.Count > 1 ? result.Files.Append(result.Total) : result.Files;
        session.Output.Write(Show.Table(["file", ">text", ">words", ">tokens", ">bytes a token", ">tokens a word"], rows.Select(Row)));
        session.Output.Write($"\n{result.Trained.VocabularySize} entries in {Session.OneLine(options.Out)}\n");
        return ExitCode.Done;
    }

    private static string Decimals(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);

    private static void WriteJson(Utf8JsonWriter json, TokenizerOfSources result)
    {
        json.WriteNumber("vocabulary", result.Trained.VocabularySize);
        json.WriteFinite("bytes_per_token", result.Total.BytesPerToken);
        json.WriteFinite("tokens_per_word", result.Total.TokensPerWord);
        json.WriteStartArray("files");
        foreach (Fertility file in result.Files)
        {
            json.WriteStartObject();
            json.WriteString("name", file.Name);
            json.WriteNumber("bytes", file.Bytes);
            json.WriteNumber("words", file.Words);
            json.WriteNumber("tokens", file.Tokens);
            json.WriteFinite("bytes_per_token", file.BytesPerToken);
            json.WriteFinite("tokens_per_word", file.TokensPerWord);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>A bar for each stage, one after the other.</summary>
    private sealed class StageBars(Session session) : IProgress<TokenizerStageProgress>, IDisposable
    {
        private ProgressBar? _bar;
        private TokenizerStage _stage;

        public void Report(TokenizerStageProgress value)
        {
            if (_bar is null || _stage != value.Stage)
            {
                _bar?.Dispose();
                _stage = value.Stage;
                _bar = value.Stage switch
                {
                    TokenizerStage.Reading => new ProgressBar(session, "reading", "KiB"),
                    TokenizerStage.Merging => new ProgressBar(session, "merging", "entries"),
                    TokenizerStage.Pruning => new ProgressBar(session, "pruning", "rounds"),
                    _ => new ProgressBar(session, "measuring", "KiB"),
                };
            }

            int shift = value.Stage is TokenizerStage.Reading or TokenizerStage.Measuring ? 10 : 0;
            _bar.Report(value.Done >> shift, value.Total >> shift);
        }

        public void Dispose() => _bar?.Dispose();
    }
}
