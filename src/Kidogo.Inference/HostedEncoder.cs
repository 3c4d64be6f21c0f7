// A loaded encoder with all that making vectors needs: its words, its widths, and who computes when. Knows no requests and no clients.
using System.Numerics.Tensors;
using Kidogo.Inference.Scheduling;
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference;

/// <summary>An encoder in a place of its own, that embeds for any number of callers. Safe for several threads.</summary>
/// <remarks>One pass computes at a time; texts of several callers take turns, so that a long list does not hold up a short one.</remarks>
public sealed class HostedEncoder : IDisposable
{
    private const int MostWidths = 64;

    private readonly LoadedEncoder _loaded;
    private readonly TextEmbedder _embedder;
    private readonly Turns _turns;

    /// <summary>Takes an encoder into service. It and the context belong to the result from now on.</summary>
    /// <param name="loaded">The encoder.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="queueLength">Calls that may wait while another computes; one more is refused.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The folder has no vocabulary, or a malformed one.</exception>
    public HostedEncoder(LoadedEncoder loaded, ComputeContext context, int queueLength)
    {
        ArgumentNullException.ThrowIfNull(loaded);
        _loaded = loaded;
        _turns = new Turns(queueLength, () =>
        {
            loaded.Dispose();
            context.Dispose();
        });
        Text = ModelText.Of(loaded.Folder);
        _embedder = new TextEmbedder(loaded, Tokenizer, context);
        Widths = loaded.Folder.Config is { } fields && fields.TryGetInts("matryoshka_dimensions", out int[] widths)
            ? [.. widths.Where(width => width > 0 && width < Dimensions).Take(MostWidths)] : [];
    }

    /// <summary>Its words.</summary>
    public ModelText Text { get; }

    /// <summary>Its vocabulary.</summary>
    public Tokenizer Tokenizer => Text.Tokenizer;

    /// <summary>Numbers of a whole vector.</summary>
    public int Dimensions => _loaded.Model.Config.HiddenSize;

    /// <summary>Numbers that a vector may be cut to, since the encoder was trained so (Kusupati et al., arXiv 2205.13147); mostly none.</summary>
    public IReadOnlyList<int> Widths { get; }

    /// <summary>Tokens that it reads of a text, with the special ones around it.</summary>
    public int MaxTokens => _loaded.MaxTokens;

    /// <summary>Ids of the vocabulary.</summary>
    public int Vocabulary => Math.Min(Tokenizer.VocabularySize, _loaded.Model.Config.VocabSize);

    /// <summary>Loads an encoder, as <see cref="KidogoOptions.EmbeddingModel"/> and the options beside it say.</summary>
    /// <exception cref="FileNotFoundException">There is no such model; the message has the nearest.</exception>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The folder is not what it should be, or holds no encoder.</exception>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    public static HostedEncoder Load(KidogoOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        string name = options.EmbeddingModel
            ?? throw new ArgumentException($"{nameof(KidogoOptions)}.{nameof(options.EmbeddingModel)} is not set: name a Hugging Face folder, or org/name of the model cache.", nameof(options));
        KidogoOptionsValidator.Check(options);
        string path = new ModelLocator(ModelPlaces.FromEnvironment()).Locate(name);
        ComputeContext context = ComputeContext.Inference(options.Threads, options.IsExact ? ComputePrecision.Exact : ComputePrecision.Fast);
        LoadedEncoder? encoder = null;
        try
        {
            encoder = LoadedEncoder.Load(path, context);
            return new HostedEncoder(encoder, context, options.QueueLength);
        }
        catch
        {
            encoder?.Dispose();
            context.Dispose();
            throw;
        }
    }

    /// <summary>The ids of a text with the special ones around it, as many as are read.</summary>
    /// <param name="text">Any characters.</param>
    /// <param name="whole">How many there are; more than <see cref="MaxTokens"/> where the text is cut.</param>
    /// <exception cref="TokenizerException">The text takes too long to cut into words.</exception>
    public int[] Encode(string text, out int whole) => Tokenizer.EncodeCut(text, MaxTokens, out whole);

    /// <summary>The vectors of some texts, in their order.</summary>
    /// <param name="texts">Ids, of each text 1 to <see cref="MaxTokens"/>.</param>
    /// <param name="width">Numbers of a vector: <see cref="Dimensions"/>, one of <see cref="Widths"/>, or null for all. Cut ones are brought to length 1 again.</param>
    /// <param name="cancellation">Looked at between passes, and while it waits.</param>
    /// <exception cref="QueueFullException">Too many wait already.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">It is being let go of.</exception>
    public async Task<TextEmbedding[]> EmbedAsync(IReadOnlyList<int[]> texts, int? width, CancellationToken cancellation)
    {
        int[] order = [.. Enumerable.Range(0, texts.Count).OrderBy(i => texts[i].Length)]; // texts of one length share passes well
        TextEmbedding[] done = await _turns.RunAsync(texts.Count, range => _embedder.Embed([.. order[range].Select(i => texts[i])], cancellation), cancellation).ConfigureAwait(false);
        TextEmbedding[] results = new TextEmbedding[texts.Count];
        for (int i = 0; i < order.Length; i++)
        {
            results[order[i]] = width is { } cut && cut < Dimensions ? done[i] with { Values = Cut(done[i].Values, cut) } : done[i];
        }

        return results;
    }

    /// <inheritdoc/>
    public void Dispose() => _turns.Dispose();

    private static float[] Cut(float[] values, int width)
    {
        float[] cut = values[..width];
        float length = TensorPrimitives.Norm<float>(cut);
        TensorPrimitives.Divide(cut, length > 0 ? length : 1, cut);
        return cut;
    }
}
