// An encoder that is served: who may compute with it, and who waits. Knows no requests and no shapes.
using Kidogo.Inference;
using Kidogo.Inference.Scheduling;
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;

namespace Kidogo.Serving;

/// <summary>A loaded encoder in a place of its own. For any number of threads.</summary>
/// <remarks>One pass computes at a time; texts of several requests take turns, so that a long list does not hold up a short one.</remarks>
public sealed class ServedEncoder : Served
{
    private const int TextsOfTurn = 64;
    private const int MostWidths = 64;

    private readonly LoadedEncoder _loaded;
    private readonly ComputeContext _context;
    private readonly TextEmbedder _embedder;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly int _queueLength;
    private int _waiting;
    private bool _isDisposed;

    /// <summary>Starts to serve an encoder. It and the context belong to the result from now on.</summary>
    /// <param name="id">What clients call it.</param>
    /// <param name="loaded">The encoder.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="queueLength">Requests that may wait while another computes; one more is refused.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The folder has no vocabulary, or a malformed one.</exception>
    public ServedEncoder(string id, LoadedEncoder loaded, ComputeContext context, int queueLength = 64)
        : base(id, ModelText.Of(loaded.Folder))
    {
        _loaded = loaded;
        _context = context;
        _queueLength = queueLength;
        _embedder = new TextEmbedder(loaded, Tokenizer, context);
        Facts = FactsOf(loaded);
        Widths = loaded.Folder.Config is { } fields && fields.TryGetInts("matryoshka_dimensions", out int[] widths)
            ? [.. widths.Where(width => width > 0 && width < Dimensions).Take(MostWidths)] : [];
    }

    /// <inheritdoc/>
    public override ModelFacts Facts { get; }

    /// <summary>Numbers of a whole vector.</summary>
    public int Dimensions => _loaded.Model.Config.HiddenSize;

    /// <summary>Numbers that a vector may be cut to, since the encoder was trained so (Kusupati et al., arXiv 2205.13147); mostly none.</summary>
    public IReadOnlyList<int> Widths { get; }

    /// <summary>Tokens that it reads of a text, with the special ones around it.</summary>
    public int MaxTokens => _loaded.MaxTokens;

    /// <summary>Ids of the vocabulary.</summary>
    public int Vocabulary => Math.Min(Tokenizer.VocabularySize, _loaded.Model.Config.VocabSize);

    /// <summary>The ids of a text with the special ones around it.</summary>
    public int[] Encode(string text) => Tokenizer.Encode(text, addSpecial: true);

    /// <summary>The vectors of some texts, in their order.</summary>
    /// <param name="texts">Ids, of each text 1 to <see cref="MaxTokens"/>.</param>
    /// <param name="cancellation">Looked at between passes, and while it waits.</param>
    /// <exception cref="QueueFullException">Too many wait already.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">It is being let go of.</exception>
    public async Task<TextEmbedding[]> EmbedAsync(IReadOnlyList<int[]> texts, CancellationToken cancellation)
    {
        TextEmbedding[] results = new TextEmbedding[texts.Count];
        int[] order = [.. Enumerable.Range(0, texts.Count).OrderBy(i => texts[i].Length)]; // texts of one length share passes well
        if (Interlocked.Increment(ref _waiting) > _queueLength + 1)
        {
            Interlocked.Decrement(ref _waiting);
            throw new QueueFullException(_queueLength, TimeSpan.FromSeconds(1));
        }

        try
        {
            for (int first = 0; first < order.Length; first += TextsOfTurn)
            {
                int[] turn = order[first..Math.Min(first + TextsOfTurn, order.Length)];
                await _turn.WaitAsync(cancellation).ConfigureAwait(false);
                try
                {
                    ObjectDisposedException.ThrowIf(_isDisposed, this);
                    TextEmbedding[] done = await Task.Run(() => _embedder.Embed([.. turn.Select(i => texts[i])], cancellation), cancellation).ConfigureAwait(false);
                    for (int i = 0; i < turn.Length; i++)
                    {
                        results[turn[i]] = done[i];
                    }
                }
                finally
                {
                    _turn.Release();
                }
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }

        return results;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _turn.Wait(); // for the pass that runs
        bool was = _isDisposed;
        _isDisposed = true;
        _turn.Release(); // who waits still is told
        if (!was)
        {
            _loaded.Dispose();
            _context.Dispose();
        }
    }

    /// <summary>What is told of an encoder.</summary>
    public static ModelFacts FactsOf(LoadedEncoder loaded) =>
        new(loaded.Model.Config.VocabSize, loaded.MaxTokens, loaded.Model.Config.ContextLength, ParametersOf(loaded.Model.Config)) { Dimensions = loaded.Model.Config.HiddenSize };

    /// <summary>Weights and biases: the tables and their norm, and of each layer four matrices of attention, two of the feed-forward and two norms.</summary>
    private static long ParametersOf(EncoderConfig config)
    {
        long hidden = config.HiddenSize, inner = config.IntermediateSize;
        long tables = (config.VocabSize + (long)config.Positions + config.Types + 2) * hidden;
        return tables + (config.NumLayers * ((4 * hidden * (hidden + 1)) + (2 * hidden * inner) + inner + hidden + (4 * hidden)));
    }
}
