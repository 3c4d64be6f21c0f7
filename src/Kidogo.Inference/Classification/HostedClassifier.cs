// An opened classifier and who computes with it when. Knows no requests and no clients.
using Kidogo.Inference.Scheduling;

namespace Kidogo.Inference.Classification;

/// <summary>A classifier in a place of its own, that says for any number of callers what texts are. Safe for several threads.</summary>
/// <param name="classifier">The classifier; it belongs to the result from now on.</param>
/// <param name="queueLength">Calls that may wait while another computes; one more is refused.</param>
public sealed class HostedClassifier(TextClassifier classifier, int queueLength) : IDisposable
{
    private readonly Turns _turns = new(queueLength, classifier.Dispose);

    /// <summary>The classifier, to be asked about itself only.</summary>
    public TextClassifier Classifier => classifier;

    /// <summary>What some texts are, in their order.</summary>
    /// <param name="texts">Any texts; those longer than the model reads are cut.</param>
    /// <param name="cancellation">Looked at between passes, and while it waits.</param>
    /// <exception cref="QueueFullException">Too many wait already.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">It is being let go of.</exception>
    public Task<TextClass[]> ClassifyAsync(IReadOnlyList<string> texts, CancellationToken cancellation) =>
        _turns.RunAsync(texts.Count, range => classifier.Classify([.. texts.Take(range)], cancellation), cancellation);

    /// <inheritdoc/>
    public void Dispose() => _turns.Dispose();
}
