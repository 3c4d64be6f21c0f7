// What is asked of the scheduler: ids in, ids and text out. Knows no wire format.
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models.Adapters;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Inference.Scheduling;

/// <summary>One sequence to generate.</summary>
public sealed record GenerationRequest
{
    /// <summary>The whole prompt, one id or more.</summary>
    public required int[] Prompt { get; init; }

    /// <summary>Whose it is: what is cached of one owner's prompts serves only the same owner's.</summary>
    public string Owner { get; init; } = "";

    /// <summary>The adapter of the model to compute with; <see cref="Models.Adapters.Adapter.None"/> for the base as it is, null for what the model does by default.</summary>
    public Adapter? Adapter { get; init; }

    /// <summary>How long, with what stop strings, and how tokens are chosen.</summary>
    public GenerationOptions Generation { get; init; } = new();

    /// <summary>What opens and closes reasoning in the answer; null to take all as the answer.</summary>
    public ReasoningTags? Reasoning { get; init; }

    /// <summary>Whether the prompt has opened the reasoning already.</summary>
    public bool StartsInReasoning { get; init; }

    /// <summary>Whether the answer goes on after a text, so that a space at its start belongs to it.</summary>
    public bool Continues { get; init; }

    /// <summary>Control tokens that are part of the answer's text all the same.</summary>
    public IReadOnlyCollection<int> SpelledOut { get; init; } = [];

    /// <summary>How many of the likeliest tokens to report beside each token, and that token's own probability; null for neither.</summary>
    public int? Alternatives { get; init; }

    /// <summary>Whether the tokens of the prompt are reported too, as <see cref="Alternatives"/> says. Then nothing cached is used.</summary>
    public bool ReportsPrompt { get; init; }

    /// <summary>Whether cached starts may be used, and this sequence be kept for later ones. Default true; changes speed only.</summary>
    public bool UsesCache { get; init; } = true;

    /// <summary>Which tokens may come next; null for all. It belongs to this sequence alone.</summary>
    public ITokenMask? Mask { get; init; }
}

/// <summary>A token and how likely the model found it.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProbability">The natural logarithm of the model's own probability, before any sampling option.</param>
/// <param name="Top">The likeliest tokens in its place, best first; as many as were asked for.</param>
public sealed record TokenLikelihood(int Id, double LogProbability, IReadOnlyList<TokenProbability> Top);

/// <summary>What one step added to a choice.</summary>
/// <param name="Choice">The index of the sequence in its group.</param>
/// <param name="Token">The token; null at the end of a choice, where only held back text is left.</param>
/// <param name="Pieces">The text that can be shown now.</param>
/// <param name="Likelihood">How likely the token was, where asked for; at the end of a choice, the end token.</param>
/// <param name="Finish">Why the choice is over; null while it goes on.</param>
public sealed record GenerationStep(int Choice, int? Token, IReadOnlyList<AnswerPiece> Pieces, TokenLikelihood? Likelihood, FinishReason? Finish);

/// <summary>All places are taken and the queue is full.</summary>
/// <param name="waiting">Sequences that wait.</param>
/// <param name="retryAfter">When to try again.</param>
public sealed class QueueFullException(int waiting, TimeSpan retryAfter)
    : Exception($"The server is full: all places are taken and {waiting} requests wait. Try again in {Math.Ceiling(retryAfter.TotalSeconds)} seconds.")
{
    /// <summary>When a place may be free.</summary>
    public TimeSpan RetryAfter { get; } = retryAfter;
}
