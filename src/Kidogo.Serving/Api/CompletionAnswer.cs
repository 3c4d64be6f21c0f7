// POST /v1/completions: the choices of an answer in OpenAI's shapes, whole and as chunks. Knows no sampling.
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Api;

/// <summary>One attempt at a prompt: its text and its tokens so far.</summary>
/// <param name="tokenizer">The vocabulary.</param>
internal sealed class CompletionChoice(Tokenizer tokenizer)
{
    private readonly List<TokenLikelihood> _pending = []; // of tokens whose text is held back
    private int _offset;
    private double _sum;
    private int _count;

    /// <summary>Text that was not shown yet.</summary>
    public StringBuilder Text { get; } = new();

    /// <summary>Tokens that were not shown yet; the first of a prompt has no likelihood.</summary>
    public List<(int Id, TokenLikelihood? Likelihood, int Offset)> Tokens { get; } = [];

    /// <summary>Why it ended; null while it goes on.</summary>
    public string? Finish { get; private set; }

    /// <summary>How likely the tokens were on average: what the best of several is chosen by.</summary>
    public double MeanLogProbability => _count == 0 ? double.NegativeInfinity : _sum / _count;

    /// <summary>Begins with the prompt.</summary>
    public void Echo(string prompt, int[] ids, IReadOnlyList<TokenLikelihood> likelihoods)
    {
        Text.Append(prompt);
        for (int i = 0; i < ids.Length && likelihoods.Count == ids.Length - 1; i++)
        {
            AddToken(ids[i], i == 0 ? null : likelihoods[i - 1]);
        }

        _offset = prompt.Length;
    }

    /// <summary>Adds what a step brought.</summary>
    public void Take(GenerationStep step)
    {
        if (step.Likelihood is { } likelihood)
        {
            _sum += likelihood.LogProbability;
            _count++;
            _pending.Add(likelihood);
        }

        foreach (AnswerPiece piece in step.Pieces)
        {
            Text.Append(piece.Text);
        }

        if (step.Pieces.Count > 0 || step.Finish is FinishReason.Stop or FinishReason.Length)
        {
            _pending.ForEach(token => AddToken(token.Id, token));
            _pending.Clear();
        }

        if (step.Finish is { } reason)
        {
            Finish = reason == FinishReason.Length ? "length" : "stop";
        }
    }

    private void AddToken(int id, TokenLikelihood? likelihood)
    {
        Tokens.Add((id, likelihood, _offset));
        _offset += tokenizer.Kind(id) == TokenKind.Control ? 0 : tokenizer.TokenText(id).Length;
    }
}

/// <summary>The answer to a completion.</summary>
internal sealed class CompletionAnswer(CompletionRequest request, GenerationGroup group)
    : ChoicesAnswer(request, group, Identifier.New("cmpl-"), ("text_completion", "text_completion"), request.ReportsUsage)
{
    private readonly CompletionRequest _request = request;
    private readonly CompletionChoice[] _choices = [.. request.Requests.Select(_ => new CompletionChoice(request.Model.Tokenizer))];
    private readonly bool[] _begun = new bool[request.Requests.Count];

    /// <inheritdoc/>
    protected override IEnumerable<string?> Finishes => _choices.Select(choice => choice.Finish);

    /// <inheritdoc/>
    protected override void Take(GenerationStep step)
    {
        if (!_begun[step.Choice])
        {
            _begun[step.Choice] = true;
            if (_request.Echoes)
            {
                GeneratedChoice generated = Group.Choices[step.Choice];
                _choices[step.Choice].Echo(_request.Prompts[step.Choice / _request.Attempts], generated.Request.Prompt, generated.PromptLikelihoods);
            }
        }

        _choices[step.Choice].Take(step);
    }

    /// <inheritdoc/>
    protected override void Take(GenerationStep step, EventStream stream)
    {
        Take(step);
        CompletionChoice choice = _choices[step.Choice];
        if (choice.Text.Length > 0 || choice.Tokens.Count > 0)
        {
            AddChunk(stream, json => WriteChoice(json, step.Choice, choice, null));
            choice.Text.Clear();
            choice.Tokens.Clear();
        }

        if (choice.Finish is { } reason)
        {
            AddChunk(stream, json => WriteChoice(json, step.Choice, choice, reason), isLast: _choices.All(other => other.Finish is not null));
        }
    }

    /// <inheritdoc/>
    protected override void WriteChoices(Utf8JsonWriter json)
    {
        int index = 0;
        for (int prompt = 0; prompt < _request.Prompts.Count; prompt++)
        {
            foreach (CompletionChoice choice in Best(prompt))
            {
                WriteChoice(json, index++, choice, choice.Finish ?? "stop");
            }
        }
    }

    /// <summary>The answers to a prompt that are shown: of several attempts the likeliest.</summary>
    private IEnumerable<CompletionChoice> Best(int prompt)
    {
        IEnumerable<CompletionChoice> attempts = _choices.Skip(prompt * _request.Attempts).Take(_request.Attempts);
        return _request.Attempts == _request.Choices ? attempts : attempts.OrderByDescending(choice => choice.MeanLogProbability).Take(_request.Choices);
    }

    private void WriteChoice(Utf8JsonWriter json, int index, CompletionChoice choice, string? finish)
    {
        json.WriteStartObject();
        json.WriteString("text", choice.Text.ToString());
        json.WriteNumber("index", index);
        if (_request.ReportsLikelihoods)
        {
            WriteLikelihoods(json, choice);
        }
        else
        {
            json.WriteNull("logprobs");
        }

        json.WriteStringOrNull("finish_reason", finish);
        json.WriteEndObject();
    }

    private void WriteLikelihoods(Utf8JsonWriter json, CompletionChoice choice)
    {
        Tokenizer tokenizer = _request.Model.Tokenizer;
        json.WriteStartObject("logprobs");
        json.WriteStartArray("tokens");
        choice.Tokens.ForEach(token => json.WriteStringValue(tokenizer.TokenText(token.Id)));
        json.WriteEndArray();
        json.WriteStartArray("token_logprobs");
        foreach ((_, TokenLikelihood? likelihood, _) in choice.Tokens)
        {
            if (likelihood is null)
            {
                json.WriteNullValue();
            }
            else
            {
                json.WriteNumberValue(Usage.Finite(likelihood.LogProbability));
            }
        }

        json.WriteEndArray();
        json.WriteStartArray("top_logprobs");
        choice.Tokens.ForEach(token => WriteTop(json, token.Likelihood, tokenizer));
        json.WriteEndArray();
        json.WriteStartArray("text_offset");
        choice.Tokens.ForEach(token => json.WriteNumberValue(token.Offset));
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>The likeliest tokens by their texts; several tokens may have the same, then the likeliest stands for all.</summary>
    private static void WriteTop(Utf8JsonWriter json, TokenLikelihood? likelihood, Tokenizer tokenizer)
    {
        if (likelihood is null)
        {
            json.WriteNullValue();
            return;
        }

        HashSet<string> written = new(StringComparer.Ordinal);
        json.WriteStartObject();
        foreach (TokenProbability other in likelihood.Top)
        {
            string text = tokenizer.TokenText(other.Id);
            if (written.Add(text))
            {
                json.WriteNumber(text, Usage.Finite(Math.Log(other.Probability)));
            }
        }

        string own = tokenizer.TokenText(likelihood.Id);
        if (written.Add(own))
        {
            json.WriteNumber(own, Usage.Finite(likelihood.LogProbability));
        }

        json.WriteEndObject();
    }
}
