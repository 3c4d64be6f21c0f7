// A model that is served: a hosted model and what clients call it. Knows no requests.
using Kidogo.Inference;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Tools;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving;

/// <summary>A loaded model in a place of its own.</summary>
public sealed class ServedModel : IDisposable
{
    private readonly HostedModel _hosted;

    /// <summary>Starts to serve a model. The model and the context belong to the result from now on.</summary>
    /// <param name="id">What clients call it.</param>
    /// <param name="loaded">The model.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="template">The chat template; null for none, then only texts are continued.</param>
    /// <param name="options">How it is shared. The model's own end tokens are added.</param>
    /// <param name="warn">Told in a sentence what is odd about the model.</param>
    /// <param name="draft">A smaller model of the same vocabulary that guesses ahead; null for none. It belongs to the result too.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The model's files have no vocabulary, or a malformed one.</exception>
    /// <exception cref="ArgumentException">An option is outside its range, or the smaller model has other words.</exception>
    public ServedModel(string id, LoadedModel loaded, ComputeContext context, ChatTemplate? template, SchedulerOptions options, Action<string>? warn = null, LoadedModel? draft = null)
    {
        Id = id;
        _hosted = new HostedModel(loaded, context, template, options, warn, draft);
    }

    /// <summary>What clients call it.</summary>
    public string Id { get; }

    /// <summary>When it was loaded.</summary>
    public DateTimeOffset Created { get; } = DateTimeOffset.UtcNow;

    /// <summary>Its words.</summary>
    public ModelText Text => _hosted.Text;

    /// <summary>Its vocabulary.</summary>
    public Tokenizer Tokenizer => _hosted.Tokenizer;

    /// <summary>Renders conversations; null where there is no template.</summary>
    public ChatPrompter? Chat => _hosted.Chat;

    /// <summary>What holds where a client says nothing.</summary>
    public SamplerOptions DefaultSampling => _hosted.DefaultSampling;

    /// <summary>Computes.</summary>
    public Scheduler Scheduler => _hosted.Scheduler;

    /// <summary>What the model does.</summary>
    public DecoderConfig Config => _hosted.Config;

    /// <summary>What answers can be held to.</summary>
    internal AnswerGrammars Grammars => _hosted.Grammars;

    /// <summary>How the template has the model call tools; null where it knows none.</summary>
    internal ToolCallFormat? ToolFormat => _hosted.ToolFormat;

    /// <inheritdoc/>
    public void Dispose() => _hosted.Dispose();
}
