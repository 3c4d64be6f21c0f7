// The slot for whatever decides which tokens may come next: a grammar, a schema, a list. Knows ids and logits only.
namespace Kidogo.Inference.Sampling;

/// <summary>Says which tokens may come next in one sequence, and hears which came.</summary>
/// <remarks>Belongs to one sequence and is called by one thread at a time. At least one token has to stay possible; an end token counts as one where the text may end.</remarks>
public interface ITokenMask
{
    /// <summary>Sets the logits of tokens that may not come next to negative infinity. Called before every draw.</summary>
    /// <param name="logits">[V]</param>
    void Apply(Span<float> logits);

    /// <summary>Remembers a token that was drawn; end tokens too.</summary>
    /// <param name="id">One that the mask had left possible.</param>
    void Accept(int id);
}
