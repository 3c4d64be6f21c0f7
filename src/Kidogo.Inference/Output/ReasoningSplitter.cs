// Parts a model's reasoning from its answer while the text streams. Knows text and two tags, no model.
namespace Kidogo.Inference.Output;

/// <summary>What one piece adds to the reasoning and to the answer. Reasoning comes first: the answer begins where the block ends. Both spans are valid until the next call.</summary>
public readonly ref struct ReasoningParts
{
    internal ReasoningParts(ReadOnlySpan<char> reasoning, ReadOnlySpan<char> answer)
    {
        Reasoning = reasoning;
        Answer = answer;
    }

    /// <summary>Text inside the block.</summary>
    public ReadOnlySpan<char> Reasoning { get; }

    /// <summary>Text after the block.</summary>
    public ReadOnlySpan<char> Answer { get; }
}

/// <summary>
/// Splits a streamed text into the one reasoning block at its beginning (<c>&lt;think&gt;</c>…<c>&lt;/think&gt;</c>) and the answer after it. The tags belong to neither, nor do the newlines
/// just inside the block, or those between it and the answer.
/// </summary>
/// <remarks>
/// A block opens only at the beginning, after white space at most: an answer may speak about the tag. A block that is not closed is reasoning to the end. Without a block the text is the answer,
/// character for character. The result does not depend on how the text is cut into pieces.
/// </remarks>
public sealed class ReasoningSplitter
{
    private readonly string _openTag;
    private readonly string _closeTag;
    private readonly TextBuffer _reasoning = new();
    private readonly TextBuffer _answer = new();
    private readonly TextBuffer _white = new(); // white space that belongs to a part only if text follows it there
    private readonly TextBuffer _held = new(); // the beginning of a tag, perhaps
    private State _state;

    /// <summary>A splitter for one text.</summary>
    /// <param name="openTag">Opens the block, with no white space at its ends.</param>
    /// <param name="closeTag">Closes it, likewise.</param>
    /// <param name="startsInside">Whether the prompt already opened the block: see <see cref="PromptOpensBlock"/>.</param>
    public ReasoningSplitter(string openTag = "<think>", string closeTag = "</think>", bool startsInside = false)
    {
        CheckTag(openTag, nameof(openTag));
        CheckTag(closeTag, nameof(closeTag));
        _openTag = openTag;
        _closeTag = closeTag;
        _state = startsInside ? State.ReasoningStart : State.Beginning;
    }

    private enum State
    {
        Beginning, // white space and a part of the opening tag
        ReasoningStart, // newlines after the opening tag, dropped
        Reasoning, // holds back newlines and a part of the closing tag
        AnswerStart, // newlines after the closing tag, dropped
        Answer,
    }

    /// <summary>Whether the text is inside the block now.</summary>
    public bool IsInside => _state is State.ReasoningStart or State.Reasoning;

    /// <summary>Whether a rendered prompt ends with an open block, so that the model's text begins inside it.</summary>
    public static bool PromptOpensBlock(ReadOnlySpan<char> prompt, string openTag = "<think>") => prompt.TrimEnd().EndsWith(openTag, StringComparison.Ordinal);

    /// <summary>Takes the next piece of the model's text.</summary>
    public ReasoningParts Push(ReadOnlySpan<char> piece)
    {
        _reasoning.Clear();
        _answer.Clear();
        foreach (char c in piece)
        {
            Take(c);
        }

        return new ReasoningParts(_reasoning.Text, _answer.Text);
    }

    /// <summary>Says that the text is over and returns what was held back.</summary>
    public ReasoningParts Flush()
    {
        _reasoning.Clear();
        _answer.Clear();
        if (_state == State.Beginning)
        {
            Release(_held.Length, _answer);
        }
        else if (_held.Length > 0)
        {
            Release(_held.Length, _reasoning);
        }

        return new ReasoningParts(_reasoning.Text, _answer.Text);
    }

    private static void CheckTag(string tag, string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(tag, name);
        if (tag.AsSpan().Trim().Length != tag.Length)
        {
            throw new ArgumentException($"The tag \"{tag}\" begins or ends with white space; it has to be given without.", name);
        }
    }

    private void Take(char c)
    {
        switch (_state)
        {
            case State.Beginning:
                TakeBeginning(c);
                break;
            case State.ReasoningStart when c == '\n':
            case State.AnswerStart when c == '\n':
                break;
            case State.ReasoningStart:
            case State.Reasoning:
                _state = State.Reasoning;
                TakeReasoning(c);
                break;
            default:
                _state = State.Answer;
                _answer.Append(c);
                break;
        }
    }

    private void TakeBeginning(char c)
    {
        if (_held.Length == 0 && char.IsWhiteSpace(c))
        {
            _white.Append(c);
            return;
        }

        _held.Append(c);
        if (_held.Text.SequenceEqual(_openTag))
        {
            _held.Clear();
            _white.Clear();
            _state = State.ReasoningStart;
        }
        else if (!_openTag.AsSpan().StartsWith(_held.Text, StringComparison.Ordinal))
        {
            Release(_held.Length, _answer);
            _state = State.Answer;
        }
    }

    private void TakeReasoning(char c)
    {
        _held.Append(c);
        if (_held.Text.SequenceEqual(_closeTag))
        {
            _held.Clear();
            _white.Clear();
            _state = State.AnswerStart;
            return;
        }

        for (int safe = _held.Length - LongestTagBeginning(_held.Text); safe > 0; safe--)
        {
            if (_held.Text[0] == '\n')
            {
                _white.Append('\n');
                _held.DropFirst(1);
            }
            else
            {
                Release(1, _reasoning);
            }
        }
    }

    /// <summary>Hands out the white space and the first <paramref name="count"/> characters that were held back.</summary>
    private void Release(int count, TextBuffer destination)
    {
        destination.Append(_white.Text);
        destination.Append(_held.Text[..count]);
        _white.Clear();
        _held.DropFirst(count);
    }

    /// <summary>The length of the longest ending of a text that the closing tag begins with.</summary>
    private int LongestTagBeginning(ReadOnlySpan<char> text)
    {
        for (int length = Math.Min(_closeTag.Length - 1, text.Length); length > 0; length--)
        {
            if (text.EndsWith(_closeTag.AsSpan(0, length), StringComparison.Ordinal))
            {
                return length;
            }
        }

        return 0;
    }
}
