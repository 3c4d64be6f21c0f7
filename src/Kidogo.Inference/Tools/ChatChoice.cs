// One answer of a chat: from the scheduler's steps to what a client is shown. Knows no wire format.
using Kidogo.Inference.Output;
using Kidogo.Inference.Scheduling;

namespace Kidogo.Inference.Tools;

/// <summary>What is added to a message.</summary>
/// <param name="Content">Text of the answer, or null.</param>
/// <param name="Reasoning">Text of the reasoning, or null.</param>
/// <param name="Call">A part of a tool call, or null.</param>
/// <param name="Likelihoods">How likely the tokens of the text were, where asked for.</param>
public sealed record ChatDelta(string? Content, string? Reasoning, ToolCallDelta? Call, IReadOnlyList<TokenLikelihood>? Likelihoods);

/// <summary>A part of a tool call.</summary>
/// <param name="Index">Which call.</param>
/// <param name="Id">Its name for the answer to it, where the call begins.</param>
/// <param name="Name">The function, where the call begins.</param>
/// <param name="Arguments">The next characters of the arguments.</param>
public sealed record ToolCallDelta(int Index, string? Id, string? Name, string Arguments);

/// <summary>Follows one choice.</summary>
public sealed class ChatChoice
{
    private readonly ToolChoice? _tools;
    private readonly ToolCallParser? _parser;
    private readonly bool _reportsLikelihoods;
    private readonly List<TokenLikelihood> _pending = []; // of tokens whose text is held back
    private IReadOnlyList<ToolPiece> _begun = [];

    /// <summary>Begins to follow an answer.</summary>
    /// <param name="tools">What may be called; null for nothing.</param>
    /// <param name="reportsLikelihoods">Whether texts come with how likely their tokens were.</param>
    public ChatChoice(ToolChoice? tools, bool reportsLikelihoods = false)
    {
        _tools = tools;
        _parser = _tools?.NewParser(out _begun);
        _reportsLikelihoods = reportsLikelihoods;
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
                string? id = piece.Name is null ? null : $"call_{Guid.NewGuid():N}";
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
