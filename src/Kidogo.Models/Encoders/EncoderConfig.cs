// What an encoder does. Describes behaviour, never names.
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Encoders;

/// <summary>An encoder of BERT's kind (Devlin et al., arXiv 1810.04805): everything that <see cref="EncoderModel"/> needs to know beside the weights.</summary>
public sealed record EncoderConfig
{
    /// <summary>Token ids, V.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Width of the states, D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Number of layers.</summary>
    public required int NumLayers { get; init; }

    /// <summary>Heads of attention; divides <see cref="HiddenSize"/>.</summary>
    public required int NumHeads { get; init; }

    /// <summary>Inner width of the feed-forward, F.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Rows of the table of positions.</summary>
    public required int Positions { get; init; }

    /// <summary>The id that fills short texts up, where positions begin after it and pass over it, as RoBERTa's; null where positions are places.</summary>
    public int? PaddingId { get; init; }

    /// <summary>Kinds of segments; 0 where there is no table of them.</summary>
    public required int Types { get; init; }

    /// <summary>Added to the variance before the root.</summary>
    public required float NormEpsilon { get; init; }

    /// <summary>The nonlinearity of the feed-forward.</summary>
    public required Activation Activation { get; init; }

    /// <summary>The most tokens of a text.</summary>
    public int ContextLength => Positions - FirstPosition;

    /// <summary>The position of a text's first token.</summary>
    internal int FirstPosition => PaddingId is { } id ? id + 1 : 0;

    /// <summary>Checks what single values cannot show.</summary>
    /// <exception cref="ModelFormatException">The values do not belong together.</exception>
    internal EncoderConfig Check(string file)
    {
        string? problem = HiddenSize % NumHeads != 0 ? $"The hidden size {HiddenSize} is no multiple of the {NumHeads} heads."
            : ContextLength < 1 ? $"The {Positions} positions leave none for tokens after the padding id {PaddingId}."
            : PaddingId is { } id && (id < 0 || id >= VocabSize) ? $"The padding id {id} lies outside the vocabulary of {VocabSize}."
            : null;
        return problem is null ? this : throw new ModelFormatException(file, -1, problem);
    }
}
