// kidogo next: what a language model is, seen: the likeliest next tokens of a text.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class NextVerb
{
    private const int BarWidth = 40;

    private sealed record Options(ModelRequest Request, string Text, int Top, bool Special, bool Json);

    public static Command Create(Session session)
    {
        Argument<string[]> words = new("[MODEL] TEXT") { Description = "The text whose next token is asked for, after the model where one is named", Arity = new ArgumentArity(1, 2) };
        Option<int?> top = Opt.Int("--top", "How many tokens to show (default 10)", 1, 1_000_000);
        Option<bool> special = Opt.Flag("--special", "Let control tokens that are spelled out in the text count as such");
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("next", "Show the likeliest next tokens of a text") { words, top, special, threads, exact, loadAs, adapter, json };
        command.SetAction(parsed =>
        {
            string[] given = parsed.GetRequiredValue(words);
            if (given.Length == 1 && ModelLocator.LooksLikeModel(given[0]))
            {
                throw new UsageException($"kidogo next {given[0]} names a model but no text; the text is missing: kidogo next {given[0]} \"Once upon a\"");
            }

            ModelRequest request = new(given.Length == 2 ? given[0] : null, parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) };
            return Run(session, new Options(request, given[^1], parsed.GetValue(top) ?? 10, parsed.GetValue(special), parsed.GetValue(json)));
        });
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = OpenModel.OpenHeader(options.Request);
        int[] ids = ModelText.Of(header).Tokenizer.Encode(options.Text, addSpecial: true, options.Special);
        if (ids.Length == 0)
        {
            throw new FailureException("The text is empty, and the model has no token for the start of a text: nothing can come next. Give a word at least.");
        }

        using OpenModel open = OpenModel.Load(session, options.Request, header, Math.Min(ids.Length, header.Config.LongestSequence), options.Request.Exact ? KvFormat.F32 : KvFormat.F16);
        TokenProbability[] next = TokenProbabilities.TopTokens(LogitStream.Last(open.Model, open.Context, ids, session.Interrupted), options.Top);
        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteStartArray("next");
                foreach (TokenProbability token in next)
                {
                    json.WriteStartObject();
                    json.WriteNumber("id", token.Id);
                    json.WriteString("piece", Piece(open, token.Id));
                    json.WriteNumber("probability", token.Probability);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return ExitCode.Done;
        }

        double most = next.Length == 0 ? 1 : next[0].Probability;
        session.Output.Write(Show.Table([">id", "piece", ">probability", ""], next.Select(token => new[]
        {
            token.Id.ToString(CultureInfo.InvariantCulture),
            $"\"{Session.Visible(Piece(open, token.Id))}\"",
            string.Create(CultureInfo.InvariantCulture, $"{100 * token.Probability:0.00} %"),
            new string('#', (int)Math.Round(BarWidth * token.Probability / most)),
        })));
        return ExitCode.Done;
    }

    /// <summary>The token's text; a model may have more logits than its vocabulary has tokens.</summary>
    private static string Piece(OpenModel open, int id) => id < open.Text.Tokenizer.VocabularySize ? open.Text.Tokenizer.TokenText(id) : "";
}
