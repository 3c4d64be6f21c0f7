// A well-known model: what it is for, where it is, and what it takes at each format. Knows no disk and no network.
using Kidogo.Models;

namespace Kidogo.Catalog.Entries;

/// <summary>The sizes that memory follows from.</summary>
/// <param name="Layers">Number of layers.</param>
/// <param name="Width">Hidden size.</param>
/// <param name="FeedForward">Width of the feed-forward part.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Heads of keys and values.</param>
/// <param name="HeadDim">Values of a head.</param>
/// <param name="Vocabulary">Tokens.</param>
public sealed record CatalogueShape(int Layers, int Width, int FeedForward, int Heads, int KvHeads, int HeadDim, int Vocabulary)
{
    private const int PassRows = 512;

    /// <summary>Bytes of keys and values in float16 that a token leaves in the cache: 2 · layers · K · E · 2.</summary>
    public long CacheBytesPerToken => 2L * Layers * KvHeads * HeadDim * sizeof(ushort);

    /// <summary>Bytes of activations of one pass, as <see cref="MemoryEstimate"/> counts them.</summary>
    public long WorkspaceBytes(int context)
    {
        long widest = Math.Max((3L * Heads * HeadDim) + (3L * KvHeads * HeadDim), 3L * FeedForward);
        return sizeof(float) * (((widest + (4L * Width)) * Math.Min(PassRows, context)) + Vocabulary);
    }
}

/// <summary>A file's size at a format.</summary>
/// <param name="Format">The format.</param>
/// <param name="Bytes">What the weights take.</param>
public sealed record CatalogueFormat(string Format, long Bytes);

/// <summary>A model of the catalogue.</summary>
public sealed record CatalogueEntry
{
    /// <summary>What the catalogue calls it: <c>gemma-2-2b</c>.</summary>
    public required string Name { get; init; }

    /// <summary>What its makers call it.</summary>
    public required string Title { get; init; }

    /// <summary>The original weights: <c>org/name</c>.</summary>
    public required string Repository { get; init; }

    /// <summary>A copy in GGUF files; null where none is known.</summary>
    public required string? Gguf { get; init; }

    /// <summary>The short name of its licence.</summary>
    public required string Licence { get; init; }

    /// <summary>Whether the licence has to be accepted before the original can be fetched.</summary>
    public required bool IsGated { get; init; }

    /// <summary>ISO 639 codes of the languages that it is meant for.</summary>
    public required IReadOnlyList<string> Languages { get; init; }

    /// <summary>What a task may ask of it, 1 to 4: completing and sorting, short answers and extraction, summaries and chat, several steps.</summary>
    public required int Level { get; init; }

    /// <summary>What it is good at.</summary>
    public required string GoodAt { get; init; }

    /// <summary>What it is bad at.</summary>
    public required string BadAt { get; init; }

    /// <summary>Tokens that it was made for.</summary>
    public required int Context { get; init; }

    /// <summary>Number of parameters.</summary>
    public required long Parameters { get; init; }

    /// <summary>Its sizes.</summary>
    public required CatalogueShape Shape { get; init; }

    /// <summary>Files at each format, the smallest first.</summary>
    public required IReadOnlyList<CatalogueFormat> Formats { get; init; }

    /// <summary>What <c>kidogo pull</c> fetches by the entry's name: the GGUF copy, else the original.</summary>
    public string Source => Gguf ?? Repository;

    /// <summary>What the weights take at a format; null where the catalogue does not say.</summary>
    public long? BytesAt(string format) => Formats.FirstOrDefault(each => each.Format.Equals(format, StringComparison.OrdinalIgnoreCase))?.Bytes;

    /// <summary>Memory that running it takes: weights, keys and values, activations.</summary>
    /// <param name="format">A file at a format.</param>
    /// <param name="context">Tokens of a conversation.</param>
    /// <param name="conversations">Conversations at once.</param>
    public long MemoryBytes(CatalogueFormat format, int context, int conversations = 1)
    {
        int tokens = Math.Min(context, Context);
        return format.Bytes + (conversations * tokens * Shape.CacheBytesPerToken) + Shape.WorkspaceBytes(tokens);
    }
}
