// A decoder that is served: a hosted model and what clients call it. Knows no requests.
using Kidogo.Inference;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Tools;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Serving.Api;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Serving;

/// <summary>A loaded decoder in a place of its own.</summary>
public sealed class ServedModel : Served
{
    private readonly HostedModel _hosted;

    /// <summary>Starts to serve a model. The model and the context belong to the result from now on.</summary>
    /// <param name="id">What clients call it.</param>
    /// <param name="loaded">The model; its adapters are attached already.</param>
    /// <param name="context">What it computes with; for nobody else.</param>
    /// <param name="template">The chat template; null for none, then only texts are continued.</param>
    /// <param name="options">How it is shared. The model's own end tokens are added.</param>
    /// <param name="warn">Told in a sentence what is odd about the model.</param>
    /// <param name="draft">A smaller model of the same vocabulary that guesses ahead; null for none. It belongs to the result too.</param>
    /// <exception cref="Kidogo.Models.Files.ModelFormatException">The model's files have no vocabulary, or a malformed one.</exception>
    /// <exception cref="ArgumentException">An option is outside its range, or the smaller model has other words.</exception>
    public ServedModel(string id, LoadedModel loaded, ComputeContext context, ChatTemplate? template, SchedulerOptions options, Action<string>? warn = null, LoadedModel? draft = null)
        : this(id, new HostedModel(loaded, context, template, options, warn, draft))
    {
    }

    private ServedModel(string id, HostedModel hosted)
        : base(id, hosted.Text)
    {
        _hosted = hosted;
        Facts = new ModelFacts(Config.VocabSize, Scheduler.ContextLength, Config.ContextLength, Config.ParameterCount);
    }

    /// <summary>The model with all that answering needs.</summary>
    internal HostedModel Hosted => _hosted;

    /// <inheritdoc/>
    public override ModelFacts Facts { get; }

    /// <summary>Renders conversations; null where there is no template.</summary>
    public ChatPrompter? Chat => _hosted.Chat;

    /// <summary>What holds where a client says nothing.</summary>
    public SamplerOptions DefaultSampling => _hosted.DefaultSampling;

    /// <summary>Computes.</summary>
    public Scheduler Scheduler => _hosted.Scheduler;

    /// <summary>What the model does.</summary>
    public DecoderConfig Config => _hosted.Config;

    /// <summary>The adapters that requests may name.</summary>
    public AdapterSet Adapters => _hosted.Adapters;

    /// <summary>Ids that a prompt may have.</summary>
    internal int Vocabulary => Math.Min(Tokenizer.VocabularySize, Config.VocabSize);

    /// <summary>Refuses a prompt that is so long that nobody has to count its tokens: that would take longer than the refusal may.</summary>
    /// <param name="characters">Characters of all its texts.</param>
    /// <exception cref="ApiException">The context cannot hold as many, whatever they are.</exception>
    internal void CheckLength(long characters)
    {
        int longest = Math.Max(1, Tokenizer.LongestPiece);
        if (characters > (Scheduler.ContextLength + 1L) * longest)
        {
            throw ApiException.TooLong((int)Math.Min(int.MaxValue, characters / longest), Scheduler.ContextLength);
        }
    }

    /// <summary>What answers can be held to.</summary>
    internal AnswerGrammars Grammars => _hosted.Grammars;

    /// <summary>How the template has the model call tools; null where it knows none.</summary>
    internal ToolCallFormat? ToolFormat => _hosted.ToolFormat;

    /// <inheritdoc/>
    public override void Dispose() => _hosted.Dispose();
}
