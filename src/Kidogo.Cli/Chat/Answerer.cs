// Makes one answer and prints it while it comes. Knows no conversation.
using System.Text;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Verbs;
using Kidogo.Inference;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Output;
using Kidogo.Inference.Speculation;
using Kidogo.Models;

namespace Kidogo.Cli.Chat;

/// <summary>An answer that was printed.</summary>
/// <param name="Text">The answer without its reasoning.</param>
/// <param name="Details">What can be said of it.</param>
internal sealed record PrintedAnswer(string Text, Answer Details);

/// <summary>The generator of this run with its cache.</summary>
internal sealed class Answerer : IDisposable
{
    private readonly Session _session;
    private readonly Prompting _prompting;
    private readonly RunOptions _options;
    private readonly GenerationOptions _generation;
    private readonly TextGenerator _generator;
    private readonly CachedSequence _sequence;
    private readonly IReadOnlyList<int> _endTokens;
    private readonly TerminalStyle _style = TerminalStyle.FromEnvironment();

    public Answerer(Session session, OpenModel open, Prompting prompting, RunOptions options, GenerationOptions generation, int contextLength)
    {
        _session = session;
        _prompting = prompting;
        _options = options;
        _generation = generation;
        _generator = new TextGenerator(open.Model, prompting.Text.Tokenizer, open.Context);
        _sequence = new CachedSequence(open.Model, contextLength, options.KvCache);
        _endTokens = open.Loaded.Generation.EndTokens;
        Model = open.Loaded.Header;
    }

    /// <summary>What each answer is held to; null for nothing.</summary>
    public HeldForm? Form { get; init; }

    /// <summary>What guesses ahead; null for nothing.</summary>
    public IDrafter? Drafter { get; init; }

    /// <summary>The files of the model.</summary>
    public ModelHeader Model { get; }

    /// <summary>Tokens that prompt and answer may have together.</summary>
    public int ContextLength => _sequence.ContextLength;

    /// <summary>Answers the prompt of the command line.</summary>
    public int OneShot()
    {
        PrintedAnswer answer = Print(_prompting.OneShot(_options), _options.Json, _session.Interrupted);
        if (_options.Json)
        {
            WriteJson(answer);
        }
        else if (_session.ShowsProgress && !Console.IsOutputRedirected)
        {
            _session.Output.Flush();
            _session.Tell(Rate(answer.Details));
        }

        return answer.Details.FinishReason == FinishReason.Cancelled ? ExitCode.Interrupted : ExitCode.Done;
    }

    /// <summary>Answers a prompt, printing as it comes. What came before an interruption is kept.</summary>
    public PrintedAnswer Print(ChatPrompt prompt, bool silent, CancellationToken cancellation)
    {
        using ProgressBar bar = new(_session, "reading", "tokens");
        AnswerOptions how = new()
        {
            Generation = _generation,
            Sinks = _options.Sinks,
            Reasoning = prompt.Reasoning,
            StartsInReasoning = prompt.StartsInReasoning,
            EndTokens = _endTokens,
            PromptProgress = (done, total) => bar.Report(done, total),
            Mask = Form is null ? null : new TokenConstraint(Form.After(prompt.ReasoningClose)),
            Drafter = Drafter,
        };
        StringBuilder text = new();
        bool isReasoning = false;
        IEnumerable<AnswerPiece> pieces = _generator.Generate(_sequence, prompt.Ids, how, out Answer details, cancellation);
        foreach (AnswerPiece piece in pieces)
        {
            bar.Dispose();
            if (piece.IsReasoning)
            {
                PrintReasoning(piece.Text, isReasoning, silent);
                isReasoning = true;
                continue;
            }

            if (isReasoning)
            {
                EndReasoning(silent);
                isReasoning = false;
            }

            text.Append(piece.Text);
            if (!silent)
            {
                _session.Output.Write(Console.IsOutputRedirected ? piece.Text : TerminalStyle.Safe(piece.Text));
                _session.Output.Flush();
            }
        }

        if (isReasoning)
        {
            EndReasoning(silent);
        }

        if (!silent && (text.Length == 0 || text[^1] != '\n'))
        {
            _session.Output.WriteLine();
            _session.Output.Flush();
        }

        if (_sequence.Tokens.Count < details.PromptTokens)
        {
            _sequence.Clear(); // positions were forgotten on the way: what is left was not computed as a start of the next prompt would be
        }

        return new PrintedAnswer(text.ToString(), details);
    }

    /// <summary>Forgets what is cached; the next prompt is computed anew.</summary>
    public void Forget() => _sequence.Clear();

    /// <summary>How fast an answer was, in one line.</summary>
    public static string Rate(Answer answer) =>
        $"[{answer.Ids.Count} tokens, {Show.Number(answer.DecodeTokensPerSecond)} tokens/s, first after {Show.Number(answer.FirstToken.TotalSeconds)} s{(answer.Speculation.Drafted > 0 ? $", {answer.Speculation.Accepted} of {answer.Speculation.Drafted} guesses held" : "")}{(answer.FinishReason == FinishReason.Length ? ", cut at the limit" : "")}]";

    public void Dispose()
    {
        _sequence.Dispose();
        _generator.Dispose();
    }

    /// <summary>Reasoning is no answer: it goes to a terminal's standard error, dimmed, and nowhere else.</summary>
    private void PrintReasoning(string text, bool goesOn, bool silent)
    {
        if (!silent && _session.ShowsProgress)
        {
            _session.Error.Write($"{(goesOn ? "" : _style.BeginReasoning)}{TerminalStyle.Safe(text)}");
        }
    }

    private void EndReasoning(bool silent)
    {
        if (!silent && _session.ShowsProgress)
        {
            _session.Error.Write(_style.EndReasoning);
        }
    }

    private void WriteJson(PrintedAnswer answer) => JsonOutput.Write(_session, json =>
    {
        json.WriteString("text", answer.Text);
        json.WriteNumbers("ids", [.. answer.Details.Ids]);
        WriteEnd(json, answer.Details.FinishReason, answer.Details.PromptTokens, answer.Details.Ids.Count, answer.Details.FirstToken, answer.Details.DecodeTokensPerSecond);
        if (Drafter is not null)
        {
            WriteGuesses(json, answer.Details.Speculation);
        }
    });

    /// <summary>What guessing ahead has brought.</summary>
    public static void WriteGuesses(Utf8JsonWriter json, SpeculationCounts counts)
    {
        json.WriteNumber("drafted_tokens", counts.Drafted);
        json.WriteNumber("accepted_tokens", counts.Accepted);
    }

    /// <summary>What every answer says after its text and ids.</summary>
    public static void WriteEnd(Utf8JsonWriter json, FinishReason reason, int promptTokens, int completionTokens, TimeSpan firstToken, double tokensPerSecond)
    {
        json.WriteString("finish_reason", reason switch
        {
            FinishReason.Length => "length",
            FinishReason.Cancelled => "cancelled",
            _ => "stop",
        });
        json.WriteNumber("prompt_tokens", promptTokens);
        json.WriteNumber("completion_tokens", completionTokens);
        json.WriteFinite("first_token_seconds", firstToken.TotalSeconds);
        json.WriteFinite("decode_tokens_per_second", tokensPerSecond);
    }
}
