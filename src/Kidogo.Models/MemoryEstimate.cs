// What a model will need of memory, from its header alone. Measures nothing.
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>Bytes that running a model takes.</summary>
/// <param name="WeightBytes">The weights as they are computed with. Packed forms take about as much as in the file, those of 1 to 3 bits up to twice as much; what is packed is let go of in the file.</param>
/// <param name="CacheBytes">Keys and values of all sequences at their full context.</param>
/// <param name="WorkspaceBytes">Activations of one pass.</param>
public sealed record MemoryEstimate(long WeightBytes, long CacheBytes, long WorkspaceBytes)
{
    /// <summary>All together.</summary>
    public long TotalBytes => WeightBytes + CacheBytes + WorkspaceBytes;

    /// <summary>Estimates.</summary>
    /// <param name="config">The model.</param>
    /// <param name="weightBytes">Bytes of its tensors in memory.</param>
    /// <param name="contextLength">Positions of each sequence.</param>
    /// <param name="format">How keys and values are stored.</param>
    /// <param name="sequences">Sequences at once.</param>
    /// <param name="passRows">Tokens that go through the model in one pass.</param>
    public static MemoryEstimate For(DecoderConfig config, long weightBytes, int contextLength, KvFormat format, int sequences = 1, int passRows = 512)
    {
        long cache = config.Layers.Sum(layer => KvStore.BytesFor(contextLength, layer.NumKvHeads, layer.HeadDim, format, layer.SlidingWindow, passRows));
        long widest = config.Layers.Max(layer => Math.Max((3L * layer.QuerySize) + (3L * layer.KvSize), 3L * layer.IntermediateSize));
        long row = widest + (4L * config.HiddenSize); // the stream, its norm, what a part gives, and a copy in 8 bits
        long workspace = sizeof(float) * ((row * Math.Min(passRows, contextLength)) + ((long)config.VocabSize * sequences));
        return new MemoryEstimate(weightBytes, cache * sequences, workspace);
    }
}
