// What a text costs a model in bits a byte, from the text itself. Knows a tokenizer and a model; changes nothing.
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Evaluation;

/// <summary>What a text costs.</summary>
/// <param name="BitsPerByte">Bits a byte of the scored tokens; NaN where the text has fewer than two tokens.</param>
/// <param name="Tokens">Tokens of the whole text.</param>
public sealed record TextCost(double BitsPerByte, int Tokens);

/// <summary>Bits per byte, which models with different vocabularies can be compared by.</summary>
public static class TextBits
{
    /// <summary>Tokens of a window.</summary>
    public const int WindowLength = 512;

    /// <summary>Measures: windows of <see cref="WindowLength"/> tokens (of a shorter text one window), every token scored but the first of each, the last partial window dropped.</summary>
    /// <param name="loaded">The model.</param>
    /// <param name="context">Its surroundings.</param>
    /// <param name="text">UTF-8.</param>
    /// <param name="progress">Called after each window with the windows done and all; may be null.</param>
    /// <param name="cancellation">Ends it.</param>
    public static TextCost Measure(LoadedModel loaded, ComputeContext context, ReadOnlySpan<byte> text, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        Tokenizer tokenizer = ModelText.Of(loaded.Header).Tokenizer;
        int[] ids = tokenizer.Encode(text);
        int length = Math.Min(Math.Min(WindowLength, loaded.Config.ContextLength), ids.Length);
        if (length < 2)
        {
            return new TextCost(double.NaN, ids.Length);
        }

        PerplexityOptions options = new() { WindowLength = length, ScoreAll = true, Progress = progress, BytesOf = id => tokenizer.PieceBytes(id).Length };
        return new TextCost(Perplexity.Measure(loaded.Model, context, ids, options, cancellation).BitsPerByte, ids.Length);
    }

    /// <summary>The first bytes of a text, no more than <paramref name="most"/>, that end with a whole character.</summary>
    public static ReadOnlyMemory<byte> Beginning(ReadOnlyMemory<byte> text, int most)
    {
        int end = Math.Min(most, text.Length);
        while (end > 0 && end < text.Length && (text.Span[end] & 0xC0) == 0x80)
        {
            end--;
        }

        return text[..end];
    }
}
