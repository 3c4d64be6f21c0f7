// A decoder that is served: its words, its template, its defaults and its scheduler. Knows no requests.
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Serving.Tools;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Serving;

/// <summary>A loaded decoder in a place of its own.</summary>
public sealed class ServedModel : Served
{
    private readonly LoadedModel _loaded;
    private readonly ComputeContext _context;

    /// <summary>Starts to serve a model. The model and the context belong to the result from now on.</summary>
    /// <param name="id">What clients call it.</param>
    /// <param name="loaded">The model; its adapters are attached already.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="template">The chat template; null for none, then only texts are continued.</param>
    /// <param name="options">How it is shared. The model's own end tokens are added.</param>
    /// <param name="warn">Told in a sentence what is odd about the model.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The model's files have no vocabulary, or a malformed one.</exception>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    public ServedModel(string id, LoadedModel loaded, ComputeContext context, ChatTemplate? template, SchedulerOptions options, Action<string>? warn = null)
        : base(id, ModelText.Of(loaded.Header))
    {
        _loaded = loaded;
        _context = context;
        Chat = template is null ? null : new ChatPrompter(Text, template);
        ToolFormat = template is null ? null : ToolCallFormat.Of(template.Source);
        Markers = MarkersOf(ToolFormat, template?.ReasoningTags);
        Grammars = new AnswerGrammars(Tokenizer, [.. options.EndTokens, .. loaded.Generation.EndTokens]);
        DefaultSampling = new SamplerOptions().WithModelDefaults(loaded.Generation.ToSampling(), warn);
        Scheduler = new Scheduler(loaded.Model, Tokenizer, context, options with { EndTokens = [.. options.EndTokens, .. loaded.Generation.EndTokens] });
        Facts = new ModelFacts(Config.VocabSize, Scheduler.ContextLength, Config.ContextLength, Config.ParameterCount);
    }

    /// <inheritdoc/>
    public override ModelFacts Facts { get; }

    /// <summary>Renders conversations; null where there is no template.</summary>
    public ChatPrompter? Chat { get; }

    /// <summary>What holds where a client says nothing.</summary>
    public SamplerOptions DefaultSampling { get; }

    /// <summary>Computes.</summary>
    public Scheduler Scheduler { get; }

    /// <summary>What the model does.</summary>
    public DecoderConfig Config => _loaded.Config;

    /// <summary>The adapters that requests may name.</summary>
    public AdapterSet Adapters => _loaded.Model.Adapters;

    /// <summary>Ids that a prompt may have.</summary>
    internal int Vocabulary => Math.Min(Tokenizer.VocabularySize, Config.VocabSize);

    /// <summary>What answers can be held to.</summary>
    internal AnswerGrammars Grammars { get; }

    /// <summary>How the template has the model call tools; null where it knows none.</summary>
    internal ToolCallFormat? ToolFormat { get; }

    /// <summary>Control tokens that are text to a grammar of calls: those around them, and around reasoning. Where calls have no marker, none that only some models put before one.</summary>
    internal IReadOnlyCollection<int> Markers { get; }

    private HashSet<int> MarkersOf(ToolCallFormat? format, ReasoningTags? reasoning)
    {
        IEnumerable<int> tags = (reasoning is null ? [] : (string[])[reasoning.Open, reasoning.Close]).Select(Tokenizer.FindPiece).OfType<int>();
        return [.. tags.Where(id => !Tokenizer.IsEndOfGeneration(id)), .. format is { Open.Length: > 0 } ? format.SpelledOut(Tokenizer) : []];
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Scheduler.Dispose();
        _loaded.Dispose();
        _context.Dispose();
    }
}
