// A short text of the model as it is now, the same for the same weights and step. Changes no weight.
using Kidogo.Data;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Training;

/// <summary>Asks the model for texts while it trains.</summary>
internal static class TextSampler
{
    private const int PromptTokens = 8;
    private const int MaxTokens = 64;

    /// <summary>Continues a prompt.</summary>
    public static string Continue(DecoderModel model, Tokenizer tokenizer, int threads, int[] prompt, ulong seed)
    {
        using ComputeContext context = ComputeContext.Inference(threads, ComputePrecision.Exact);
        int length = Math.Min(model.Config.ContextLength, prompt.Length + MaxTokens);
        using CachedSequence sequence = new(model, length, KvFormat.F32);
        using TextGenerator generator = new(model, tokenizer, context);
        GenerationOptions generation = new() { MaxTokens = length - prompt.Length, Sampling = new SamplerOptions { Seed = seed } };
        AnswerOptions options = new() { Generation = generation };
        return string.Concat(generator.Generate(sequence, prompt, options, out _).Select(piece => piece.Text));
    }

    /// <summary>The ids that samples begin with: the prompt that was given, else the beginning of a held-out text.</summary>
    public static int[] Prompt(string? given, Tokenizer tokenizer, PreparedData data, int contextLength)
    {
        int most = Math.Max(1, Math.Min(contextLength / 2, given is null ? PromptTokens : int.MaxValue));
        if (given is not null && tokenizer.Encode(given) is { Length: > 0 } ids)
        {
            return [.. ids.Take(most)];
        }

        TokenBatch batch = new(1, data.Options.Context);
        return (data.OpenHeldOut().Next(batch) || data.OpenTraining().Next(batch)) && batch.Segments.Count > 0
            ? batch.Ids.AsSpan(batch.Segments[0].First, Math.Min(most, batch.Segments[0].Length)).ToArray()
            : [tokenizer.BosId ?? tokenizer.EosId ?? 0];
    }
}
