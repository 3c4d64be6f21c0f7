// From the ids of one answer to its text: no half characters, no stop strings, reasoning apart. Knows not who draws the ids.
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference.Output;

/// <summary>A piece of an answer.</summary>
/// <param name="Text">The characters, never empty.</param>
/// <param name="IsReasoning">Whether they belong to the model's reasoning and not to the answer.</param>
public readonly record struct AnswerPiece(string Text, bool IsReasoning);

/// <summary>The text of one answer while its ids come. What is given out, all together, does not depend on when.</summary>
/// <remarks>Not for use by several threads at once.</remarks>
public sealed class AnswerText
{
    private readonly TokenStreamDecoder _decoder;
    private readonly StopStringMatcher _stops;
    private readonly ReasoningSplitter? _splitter;
    private readonly Tokenizer _tokenizer;
    private readonly IReadOnlyCollection<int> _spelledOut;
    private bool _isFinished;

    /// <summary>The text of an answer that has no ids yet.</summary>
    /// <param name="tokenizer">Whose ids they are.</param>
    /// <param name="stopStrings">Texts that end the answer and are not part of it.</param>
    /// <param name="reasoning">What opens and closes reasoning; null to take all as the answer.</param>
    /// <param name="startsInReasoning">Whether the prompt has opened the reasoning already.</param>
    /// <param name="continues">Whether the answer goes on after a text, so that a space at its start belongs to it.</param>
    /// <param name="spelledOut">Control tokens that are part of the text all the same, such as those around tool calls; others vanish.</param>
    /// <exception cref="ArgumentException">A stop string is refused: see <see cref="StopStringMatcher"/>.</exception>
    public AnswerText(
        Tokenizer tokenizer, IReadOnlyList<string> stopStrings, ReasoningTags? reasoning, bool startsInReasoning, bool continues = false, IReadOnlyCollection<int>? spelledOut = null)
    {
        _tokenizer = tokenizer;
        _decoder = new TokenStreamDecoder(tokenizer, continues: continues);
        _stops = new StopStringMatcher(stopStrings);
        _splitter = reasoning is null ? null : new ReasoningSplitter(reasoning.Open, reasoning.Close, startsInReasoning);
        _spelledOut = spelledOut ?? [];
    }

    /// <summary>Whether a stop string has ended the answer; what is pushed then is ignored.</summary>
    public bool IsStopped => _stops.Matched is not null;

    /// <summary>The stop string that has ended the answer; null where none did.</summary>
    public string? StoppedBy => _stops.Matched;

    /// <summary>Whether the text is inside the reasoning now.</summary>
    public bool IsInReasoning => _splitter is { IsInside: true };

    /// <summary>Takes the next id and returns the pieces that can be shown now; often none.</summary>
    public AnswerPiece[] Push(int id)
    {
        if (_spelledOut.Count == 0 || !_spelledOut.Contains(id))
        {
            return Show(_decoder.Append(id));
        }

        _decoder.Append(id); // it vanishes there, but what comes after it knows of it
        return Show(_tokenizer.TokenText(id));
    }

    /// <summary>Says that no more ids come and returns what was held back.</summary>
    public AnswerPiece[] Finish()
    {
        if (_isFinished)
        {
            return [];
        }

        _isFinished = true;
        string rest = "";
        if (!IsStopped)
        {
            rest = _stops.Push(_decoder.Flush()).ToString();
            rest = IsStopped ? rest : rest + _stops.Flush().ToString();
        }

        AnswerPiece[] pieces = Split(rest);
        return _splitter is null ? pieces : [.. pieces, .. Pieces(_splitter.Flush())];
    }

    private AnswerPiece[] Show(string text) => Split(_stops.Push(text).ToString());

    private AnswerPiece[] Split(string text)
    {
        if (text.Length == 0)
        {
            return [];
        }

        return _splitter is null ? [new AnswerPiece(text, false)] : Pieces(_splitter.Push(text));
    }

    private static AnswerPiece[] Pieces(ReasoningParts parts) => (parts.Reasoning.IsEmpty, parts.Answer.IsEmpty) switch
    {
        (true, true) => [],
        (false, true) => [new AnswerPiece(parts.Reasoning.ToString(), true)],
        (true, false) => [new AnswerPiece(parts.Answer.ToString(), false)],
        _ => [new AnswerPiece(parts.Reasoning.ToString(), true), new AnswerPiece(parts.Answer.ToString(), false)],
    };
}
