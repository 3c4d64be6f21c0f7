// What decoders and encoders that are served have in common. Knows no requests.
using Kidogo.Models;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving;

/// <summary>A loaded model in a place of its own.</summary>
public abstract class Served : IDisposable
{
    private protected Served(string id, ModelText text)
    {
        Id = id;
        Text = text;
        Tokenizer = text.Tokenizer;
    }

    /// <summary>What clients call it.</summary>
    public string Id { get; }

    /// <summary>When it was loaded.</summary>
    public DateTimeOffset Created { get; } = DateTimeOffset.UtcNow;

    /// <summary>Its words.</summary>
    public ModelText Text { get; }

    /// <summary>Its vocabulary.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>What is known of it without a request.</summary>
    public abstract ModelFacts Facts { get; }

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>What is told about a model, loaded or not.</summary>
/// <param name="Vocabulary">Rows of its embedding.</param>
/// <param name="Context">Tokens that a request may use.</param>
/// <param name="TrainedContext">Tokens that it was made for.</param>
/// <param name="Parameters">Weights.</param>
public sealed record ModelFacts(int Vocabulary, int Context, int TrainedContext, long Parameters)
{
    /// <summary>Numbers of a vector, of an encoder; null of others.</summary>
    public int? Dimensions { get; init; }

    /// <summary>What texts may be, of a classifier; null of others.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>What it makes of texts.</summary>
    public ModelKind Kind => Labels is not null ? ModelKind.Classifier : Dimensions is not null ? ModelKind.Encoder : ModelKind.Decoder;
}

/// <summary>What a model makes of texts.</summary>
public enum ModelKind
{
    /// <summary>More text.</summary>
    Decoder,

    /// <summary>Vectors.</summary>
    Encoder,

    /// <summary>Labels.</summary>
    Classifier,
}
