// One choice of a chat completion: from the scheduler's steps to what a client is shown. Knows no JSON.
using System.Text;
using Kidogo.Inference.Output;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving.Tools;

namespace Kidogo.Serving.Api;

/// <summary>What is added to a message.</summary>
/// <param name="Content">Text of the answer, or null.</param>
/// <param name="Reasoning">Text of the reasoning, or null.</param>
/// <param name="Call">A part of a tool call, or null.</param>
/// <param name="Likelihoods">How likely the tokens of the text were, where asked for.</param>
internal sealed record ChatDelta(string? Content, string? Reasoning, ToolCallDelta? Call, IReadOnlyList<TokenLikelihood>? Likelihoods);

/// <summary>A part of a tool call.</summary>
/// <param name="Index">Which call.</param>
/// <param name="Id">Its name for the answer to it, where the call begins.</param>
/// <param name="Name">The function, where the call begins.</param>
/// <param name="Arguments">The next characters of the arguments.</param>
internal sealed record ToolCallDelta(int Index, string? Id, string? Name, string Arguments);

/// <summary>Follows one choice.</summary>
internal sealed class ChatChoice
{
    private readonly ToolChoice? _tools;
    private readonly ToolCallParser? _parser;
    private readonly bool _reportsLikelihoods;
    private readonly List<TokenLikelihood> _pending = []; // of tokens whose text is held back
    private IReadOnlyList<ToolPiece> _begun = [];

    public ChatChoice(ChatRequest request, int index)
    {
        _tools = request.Tools;
        _parser = _tools?.NewParser(out _begun);
        _reportsLikelihoods = request.Requests[index].Alternatives is not null;
    }

    /// <summary>Why it ended, in OpenAI's words; null while it goes on.</summary>
    public string? Finish { get; private set; }

    /// <summary>Whether all that is wanted has come: one call, where only one may.</summary>
    public bool IsEnough => _tools is { IsParallel: false } && _parser is { Calls: > 0, IsInCall: false };

    /// <summary>What a step adds.</summary>
    public IEnumerable<ChatDelta> Take(GenerationStep step)
    {
        if (step.Likelihood is not null && step.Token is not null)
        {
            _pending.Add(step.Likelihood);
        }

        List<ChatDelta> deltas = [.. Calls(_begun)];
        _begun = [];
        foreach (AnswerPiece piece in step.Pieces)
        {
            if (piece.IsReasoning)
            {
                _pending.Clear();
                deltas.Add(new ChatDelta(null, piece.Text, null, null));
            }
            else if (_parser is null)
            {
                deltas.Add(Content(piece.Text));
            }
            else if (!IsEnough)
            {
                deltas.AddRange(Calls(_parser.Push(piece.Text)));
            }
        }

        if (step.Finish is { } reason)
        {
            if (_parser is not null && !IsEnough)
            {
                deltas.AddRange(Calls(_parser.Finish()));
            }

            End(reason);
        }

        return deltas;
    }

    /// <summary>Ends a choice of which all that is wanted has come.</summary>
    public void End(FinishReason reason) => Finish ??= reason == FinishReason.Length ? "length" : _parser is { Calls: > 0 } && !_tools!.NamesOne ? "tool_calls" : "stop";

    private IEnumerable<ChatDelta> Calls(IReadOnlyList<ToolPiece> pieces)
    {
        foreach (ToolPiece piece in pieces)
        {
            if (_tools is { IsParallel: false } && piece.Call > 0)
            {
                yield break; // more than was allowed
            }

            if (piece.Content is { } text)
            {
                yield return Content(text);
            }
            else
            {
                _pending.Clear();
                string? id = piece.Name is null ? null : Identifier.New("call_");
                yield return new ChatDelta(null, null, new ToolCallDelta(piece.Call, id, piece.Name, piece.Arguments), null);
            }
        }
    }

    private ChatDelta Content(string text)
    {
        TokenLikelihood[]? likelihoods = _reportsLikelihoods ? [.. _pending] : null;
        _pending.Clear();
        return new ChatDelta(text, null, null, likelihoods);
    }
}

/// <summary>A message that is not streamed: all deltas together.</summary>
internal sealed class WholeMessage
{
    public StringBuilder Content { get; } = new();

    public StringBuilder Reasoning { get; } = new();

    public List<(string Id, string Name, StringBuilder Arguments)> Calls { get; } = [];

    public List<TokenLikelihood> Likelihoods { get; } = [];

    public void Add(ChatDelta delta)
    {
        Content.Append(delta.Content);
        Reasoning.Append(delta.Reasoning);
        Likelihoods.AddRange(delta.Likelihoods ?? []);
        if (delta.Call is { Name: { } name, Id: { } id })
        {
            Calls.Add((id, name, new StringBuilder()));
        }

        if (delta.Call is { } call)
        {
            Calls[call.Index].Arguments.Append(call.Arguments);
        }
    }
}
