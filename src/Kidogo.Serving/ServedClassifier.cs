// A classifier that is served: a hosted classifier and what clients call it. Knows no requests and no shapes.
using Kidogo.Inference.Classification;

namespace Kidogo.Serving;

/// <summary>An opened classifier in a place of its own. For any number of threads.</summary>
public sealed class ServedClassifier : Served
{
    /// <summary>Starts to serve a classifier, which belongs to the result from now on.</summary>
    /// <param name="id">What clients call it.</param>
    /// <param name="classifier">The classifier.</param>
    /// <param name="queueLength">Requests that may wait while another computes; one more is refused.</param>
    public ServedClassifier(string id, TextClassifier classifier, int queueLength = 64)
        : base(id, classifier.Text)
    {
        Hosted = new HostedClassifier(classifier, queueLength);
        Facts = FactsOf(classifier);
    }

    /// <inheritdoc/>
    public override ModelFacts Facts { get; }

    /// <summary>Computes.</summary>
    public HostedClassifier Hosted { get; }

    /// <summary>What is told of a classifier; its parameters are those of its head.</summary>
    public static ModelFacts FactsOf(TextClassifier classifier) =>
        new(classifier.Text.Tokenizer.VocabularySize, classifier.MaxTokens, classifier.MaxTokens, (classifier.Width + 1L) * classifier.Labels.Count) { Labels = classifier.Labels };

    /// <inheritdoc/>
    public override void Dispose() => Hosted.Dispose();
}
