// POST /v1/completions: texts and tokens continued, whole or as a stream, in OpenAI's shapes. Knows no sampling.
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Serving.Scheduling;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Api;

/// <summary>Answers completions.</summary>
internal static class CompletionEndpoint
{
    /// <summary>Answers one.</summary>
    public static async Task AnswerAsync(ApiCall call)
    {
        CompletionRequest request;
        using (JsonDocument body = await call.ReadJsonAsync().ConfigureAwait(false))
        {
            request = CompletionRequest.Read(call, body.RootElement);
        }

        using GenerationGroup group = call.Submit(request.Model, request.Requests);
        CompletionAnswer answer = new(request, group);
        try
        {
            await (request.Streams ? answer.StreamAsync(call) : answer.WholeAsync(call)).ConfigureAwait(false);
        }
        finally
        {
            int generated = group.Choices.Sum(choice => choice.GeneratedTokens);
            call.Client.Charge(generated);
            call.Summary = $"{request.Model.Id} prompt={request.Requests.Sum(each => each.Prompt.Length)} generated={generated}";
        }
    }
}

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

/// <summary>The answers to one request while they are made.</summary>
internal sealed class CompletionAnswer(CompletionRequest request, GenerationGroup group)
{
    private readonly CompletionChoice[] _choices = [.. request.Requests.Select(_ => new CompletionChoice(request.Model.Tokenizer))];
    private readonly bool[] _begun = new bool[request.Requests.Count];
    private readonly string _id = Identifier.New("cmpl-");
    private readonly long _created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Answers with one object.</summary>
    public async Task WholeAsync(ApiCall call)
    {
        while (await group.Steps.WaitToReadAsync(call.Gone).ConfigureAwait(false))
        {
            while (group.Steps.TryRead(out GenerationStep? step))
            {
                Take(step);
            }
        }

        await call.WriteAsync(json =>
        {
            Begin(json);
            json.WriteStartArray("choices");
            int index = 0;
            for (int prompt = 0; prompt < request.Prompts.Count; prompt++)
            {
                foreach (CompletionChoice choice in Best(prompt))
                {
                    WriteChoice(json, index++, choice, choice.Finish ?? "stop");
                }
            }

            json.WriteEndArray();
            json.WriteUsage(group);
            json.WriteTimings(group);
            json.WriteEndObject();
        }).ConfigureAwait(false);
    }

    /// <summary>Answers with a stream.</summary>
    public async Task StreamAsync(ApiCall call)
    {
        EventStream stream = new(call.Http, call.Options.Heartbeat);
        int open = _choices.Length;
        try
        {
            while (await stream.WaitAsync(group.Steps).ConfigureAwait(false))
            {
                while (group.Steps.TryRead(out GenerationStep? step))
                {
                    Take(step);
                    CompletionChoice choice = _choices[step.Choice];
                    if (choice.Text.Length > 0 || choice.Tokens.Count > 0)
                    {
                        stream.Add(json => WriteChunk(json, step.Choice, choice, null, false));
                        choice.Text.Clear();
                        choice.Tokens.Clear();
                    }

                    if (choice.Finish is { } reason)
                    {
                        bool isLast = --open == 0;
                        stream.Add(json => WriteChunk(json, step.Choice, choice, reason, isLast && !request.ReportsUsage));
                    }
                }
            }
        }
        catch (Exception failure) when (stream.HasBegun && failure is not OperationCanceledException && ApiCall.Translate(failure) is { } told)
        {
            stream.Add(told.Write);
            await call.Http.Response.BodyWriter.FlushAsync(call.Gone).ConfigureAwait(false);
            return;
        }

        if (request.ReportsUsage)
        {
            stream.Add(json =>
            {
                Begin(json);
                json.WriteStartArray("choices");
                json.WriteEndArray();
                json.WriteUsage(group);
                json.WriteTimings(group);
                json.WriteEndObject();
            });
        }

        await stream.EndAsync().ConfigureAwait(false);
    }

    private void Take(GenerationStep step)
    {
        if (!_begun[step.Choice])
        {
            _begun[step.Choice] = true;
            if (request.Echoes)
            {
                GeneratedChoice generated = group.Choices[step.Choice];
                _choices[step.Choice].Echo(request.Prompts[step.Choice / request.Attempts], generated.Request.Prompt, generated.PromptLikelihoods);
            }
        }

        _choices[step.Choice].Take(step);
    }

    /// <summary>The answers to a prompt that are shown: of several attempts the likeliest.</summary>
    private IEnumerable<CompletionChoice> Best(int prompt)
    {
        IEnumerable<CompletionChoice> attempts = _choices.Skip(prompt * request.Attempts).Take(request.Attempts);
        return request.Attempts == request.Choices ? attempts : attempts.OrderByDescending(choice => choice.MeanLogProbability).Take(request.Choices);
    }

    private void Begin(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("id", _id);
        json.WriteString("object", "text_completion");
        json.WriteNumber("created", _created);
        json.WriteString("model", request.Model.Id);
        json.WriteString("system_fingerprint", KidogoServer.Fingerprint);
    }

    private void WriteChunk(Utf8JsonWriter json, int index, CompletionChoice choice, string? finish, bool withTimings)
    {
        Begin(json);
        json.WriteStartArray("choices");
        WriteChoice(json, index, choice, finish);
        json.WriteEndArray();
        if (request.ReportsUsage)
        {
            json.WriteNull("usage");
        }

        if (withTimings)
        {
            json.WriteTimings(group);
        }

        json.WriteEndObject();
    }

    private void WriteChoice(Utf8JsonWriter json, int index, CompletionChoice choice, string? finish)
    {
        json.WriteStartObject();
        json.WriteString("text", choice.Text.ToString());
        json.WriteNumber("index", index);
        if (request.ReportsLikelihoods)
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
        Tokenizer tokenizer = request.Model.Tokenizer;
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
