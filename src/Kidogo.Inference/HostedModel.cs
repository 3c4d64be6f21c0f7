// A loaded model with all that answering needs: its words, its template, its defaults, its scheduler. Knows no requests and no clients.
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Speculation;
using Kidogo.Inference.Tools;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Inference;

/// <summary>A model in a place of its own, that answers any number of callers at once. Safe for several threads.</summary>
public sealed class HostedModel : IDisposable
{
    private const int UsualContext = 8192;

    private readonly LoadedModel _loaded;
    private readonly LoadedModel? _draft;
    private readonly DraftModel? _drafter;
    private readonly ComputeContext _context;

    /// <summary>Takes a model into service. The models and the context belong to the result from now on.</summary>
    /// <param name="loaded">The model.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="template">The chat template; null for none, then only texts are continued.</param>
    /// <param name="options">How it is shared. The model's own end tokens are added.</param>
    /// <param name="warn">Told in a sentence what is odd about the model.</param>
    /// <param name="draft">A smaller model of the same vocabulary that guesses ahead; null for none.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The model's files have no vocabulary, or a malformed one.</exception>
    /// <exception cref="ArgumentException">An option is outside its range, or the smaller model has other words.</exception>
    public HostedModel(LoadedModel loaded, ComputeContext context, ChatTemplate? template, SchedulerOptions options, Action<string>? warn = null, LoadedModel? draft = null)
    {
        if (draft is not null)
        {
            _draft = draft;
            _drafter = new DraftModel(draft, loaded, context, options.ContextLength, isCertain: true);
            options = options with { Drafter = _drafter.Another };
        }

        _loaded = loaded;
        _context = context;
        Text = ModelText.Of(loaded.Header);
        Tokenizer = Text.Tokenizer;
        Chat = template is null ? null : new ChatPrompter(Text, template);
        ToolFormat = template is null ? null : ToolCallFormat.Of(template.Source);
        options = options with { EndTokens = [.. options.EndTokens, .. loaded.Generation.EndTokens] };
        Grammars = new AnswerGrammars(Tokenizer, options.EndTokens, MarkersOf(template?.ReasoningTags));
        DefaultSampling = new SamplerOptions().WithModelDefaults(loaded.Generation.ToSampling(), warn);
        Scheduler = new Scheduler(loaded.Model, Tokenizer, context, options);
    }

    /// <summary>Its words.</summary>
    public ModelText Text { get; }

    /// <summary>Its vocabulary.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Renders conversations; null where there is no template.</summary>
    public ChatPrompter? Chat { get; }

    /// <summary>What holds where a caller says nothing: the model's own recommendations.</summary>
    public SamplerOptions DefaultSampling { get; }

    /// <summary>Computes.</summary>
    public Scheduler Scheduler { get; }

    /// <summary>What answers can be held to.</summary>
    public AnswerGrammars Grammars { get; }

    /// <summary>How the template has the model call tools; null where it knows none.</summary>
    public ToolCallFormat? ToolFormat { get; }

    /// <summary>What the model does.</summary>
    public DecoderConfig Config => _loaded.Config;

    /// <summary>The adapters that requests may name.</summary>
    public AdapterSet Adapters => _loaded.Model.Adapters;

    /// <summary>Loads a model, as <see cref="KidogoOptions.Model"/> and the options beside it say.</summary>
    /// <exception cref="FileNotFoundException">There is no such model or adapter; the message has the nearest.</exception>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The files are not what they should be.</exception>
    /// <exception cref="InsufficientMemoryException">The model would not fit into this machine's memory; the message has both numbers.</exception>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    public static HostedModel Load(KidogoOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        KidogoOptionsValidator.Check(options);
        ModelPlaces places = ModelPlaces.FromEnvironment();
        ModelHeader header = ModelHeader.Open(new ModelLocator(places).Locate(options.Model));
        ComputeContext? context = null;
        LoadedModel? loaded = null, draft = null;
        try
        {
            KvFormat format = options.CacheFormat ?? (options.IsExact ? KvFormat.F32 : KvFormat.F16);
            int length = ContextOf(options, header);
            CheckMemory(header, length, format, options.Parallel);
            ChatTemplate? template = TemplateOf(options.ChatTemplate, ModelText.Of(header));
            context = ComputeContext.Inference(options.Threads, options.IsExact ? ComputePrecision.Exact : ComputePrecision.Fast);
            loaded = ModelLoader.Load(header, context);
            if (options.Adapter is { } adapter)
            {
                loaded.Model.Adapters.Attach(AdapterFiles.Open(AdapterFiles.Locate(adapter, places), header, loaded.Model), context);
            }

            draft = options.DraftModel is { } small ? ModelLoader.Load(new ModelLocator(places).Locate(small), context) : null;
            return new HostedModel(loaded, context, template, options.Scheduling(length, format), options.Warn, draft);
        }
        catch
        {
            draft?.Dispose();
            loaded?.Dispose();
            context?.Dispose();
            header.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Scheduler.Dispose();
        _drafter?.Dispose();
        _draft?.Dispose();
        _loaded.Dispose();
        _context.Dispose();
    }

    /// <summary>Control tokens that are text to a grammar of calls: those around them, and around reasoning. Where calls have no marker, none that only some models put before one.</summary>
    private HashSet<int> MarkersOf(ReasoningTags? reasoning) => [.. reasoning?.Ids(Tokenizer) ?? [], .. ToolFormat is { Open.Length: > 0 } ? ToolFormat.SpelledOut(Tokenizer) : []];

    private static int ContextOf(KidogoOptions options, ModelHeader header)
    {
        int most = header.Config.ContextLength;
        return options.ContextLength == 0 ? Math.Min(most, UsualContext)
            : options.ContextLength <= most ? options.ContextLength
            : throw new ArgumentException($"{nameof(KidogoOptions)}.{nameof(options.ContextLength)} is {options.ContextLength}, but the model was made for {most} tokens. Use at most that, or 0 for the model's own.");
    }

    private static void CheckMemory(ModelHeader header, int contextLength, KvFormat format, int sequences)
    {
        const double MiB = 1024 * 1024;
        long needed = header.Estimate(contextLength, format, sequences).TotalBytes;
        long there = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (needed > there)
        {
            throw new InsufficientMemoryException(string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"The model needs {needed / MiB:0} MiB for {sequences} answers of {contextLength} tokens, and {there / MiB:0} MiB can be had. Use a smaller one, or a smaller {nameof(KidogoOptions.ContextLength)} or {nameof(KidogoOptions.Parallel)}."));
        }
    }

    private static ChatTemplate? TemplateOf(string? given, ModelText text) => given is null ? text.ChatTemplate()
        : File.Exists(given) ? ChatTemplate.Parse(File.ReadAllText(given))
        : text.ChatTemplate(given) ?? ChatTemplate.BuiltIn(given) ?? throw new ArgumentException(
            $"{nameof(KidogoOptions)}.{nameof(KidogoOptions.ChatTemplate)} is \"{given}\", which is no file and no name of a template. Names: {string.Join(", ", text.ChatTemplates.Keys.Concat(ChatTemplate.BuiltInNames).Distinct())}.");
}
