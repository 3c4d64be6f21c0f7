// A model that is served: its words, its template, its defaults and its scheduler. Knows no requests.
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving.Tools;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving;

/// <summary>A loaded model in a place of its own.</summary>
public sealed class ServedModel : IDisposable
{
    private readonly LoadedModel _loaded;
    private readonly ComputeContext _context;

    /// <summary>Starts to serve a model. The model and the context belong to the result from now on.</summary>
    /// <param name="id">What clients call it.</param>
    /// <param name="loaded">The model.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="template">The chat template; null for none, then only texts are continued.</param>
    /// <param name="options">How it is shared. The model's own end tokens are added.</param>
    /// <param name="warn">Told in a sentence what is odd about the model.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The model's files have no vocabulary, or a malformed one.</exception>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    public ServedModel(string id, LoadedModel loaded, ComputeContext context, ChatTemplate? template, SchedulerOptions options, Action<string>? warn = null)
    {
        Id = id;
        _loaded = loaded;
        _context = context;
        Text = ModelText.Of(loaded.Header);
        Tokenizer = Text.Tokenizer;
        Chat = template is null ? null : new ChatPrompter(Text, template);
        ToolFormat = template is null ? null : ToolCallFormat.Of(template.Source);
        Grammars = new AnswerGrammars(Tokenizer, [.. options.EndTokens, .. loaded.Generation.EndTokens]);
        DefaultSampling = new SamplerOptions().WithModelDefaults(loaded.Generation.ToSampling(), warn);
        Scheduler = new Scheduler(loaded.Model, Tokenizer, context, options with { EndTokens = [.. options.EndTokens, .. loaded.Generation.EndTokens] });
    }

    /// <summary>What clients call it.</summary>
    public string Id { get; }

    /// <summary>When it was loaded.</summary>
    public DateTimeOffset Created { get; } = DateTimeOffset.UtcNow;

    /// <summary>Its words.</summary>
    public ModelText Text { get; }

    /// <summary>Its vocabulary.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Renders conversations; null where there is no template.</summary>
    public ChatPrompter? Chat { get; }

    /// <summary>What holds where a client says nothing.</summary>
    public SamplerOptions DefaultSampling { get; }

    /// <summary>Computes.</summary>
    public Scheduler Scheduler { get; }

    /// <summary>What the model does.</summary>
    public DecoderConfig Config => _loaded.Config;

    /// <summary>What answers can be held to.</summary>
    internal AnswerGrammars Grammars { get; }

    /// <summary>How the template has the model call tools; null where it knows none.</summary>
    internal ToolCallFormat? ToolFormat { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Scheduler.Dispose();
        _loaded.Dispose();
        _context.Dispose();
    }
}
