// A model that is loaded for a verb: memory looked at first, a bar while it loads. Knows no verb.
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Tensors;

namespace Kidogo.Cli.Shell;

/// <summary>How a verb wants its model.</summary>
/// <param name="Model">What was named; null for the default model.</param>
/// <param name="Threads">Threads; null for the physical cores.</param>
/// <param name="Exact">Float32 throughout.</param>
/// <param name="LoadAs">A mix of formats to quantise to while loading; null for as the files are.</param>
internal sealed record ModelRequest(string? Model, int? Threads, bool Exact, string? LoadAs = null)
{
    /// <summary>An adapter to compute with; null for none.</summary>
    public string? Adapter { get; init; }
}

/// <summary>A loaded model with its surroundings.</summary>
internal sealed class OpenModel : IDisposable
{
    private ModelText? _text;

    private OpenModel(ComputeContext context, LoadedModel loaded)
    {
        Context = context;
        Loaded = loaded;
    }

    public ComputeContext Context { get; }

    public LoadedModel Loaded { get; }

    public DecoderModel Model => Loaded.Model;

    public DecoderConfig Config => Loaded.Config;

    /// <summary>The model's words, read when first asked for.</summary>
    public ModelText Text => _text ??= ModelText.Of(Loaded.Header);

    /// <summary>Opens the files of a model, so that a verb can look before it loads.</summary>
    public static ModelHeader OpenHeader(ModelRequest request)
    {
        FormatMix? mix = Opt.MixOf(request.LoadAs);
        ModelHeader header = ModelHeader.Open(ModelChoice.Locate(request.Model));
        return mix is null ? header : ModelInMemory.Open(header, mix, request.Threads ?? MachineInfo.CountPhysicalCores());
    }

    /// <summary>Loads the model of a header, which the result owns.</summary>
    /// <param name="session">Where the bar goes.</param>
    /// <param name="request">How.</param>
    /// <param name="header">The files.</param>
    /// <param name="contextLength">Tokens that memory is looked at for.</param>
    /// <param name="format">How keys and values will be stored.</param>
    /// <param name="sequences">Sequences at once.</param>
    /// <exception cref="FailureException">It would not fit.</exception>
    public static OpenModel Load(Session session, ModelRequest request, ModelHeader header, int contextLength, KvFormat format, int sequences = 1)
    {
        if (MemoryCheck.Refusal(header, contextLength, format, MachineMemory.Read(), sequences) is { } refusal)
        {
            header.Dispose();
            throw new FailureException(refusal);
        }

        int threads = request.Threads ?? MachineInfo.CountPhysicalCores();
        ComputeContext context = ComputeContext.Inference(threads, request.Exact ? ComputePrecision.Exact : ComputePrecision.Fast);
        try
        {
            using ProgressBar bar = new(session, "loading", "layers");
            LoadedModel loaded = ModelLoader.Load(header, context, new LoadOptions
            {
                LayerLoaded = (done, total) =>
                {
                    session.Interrupted.ThrowIfCancellationRequested();
                    bar.Report(done, total);
                },
            });
            try
            {
                Attach(request.Adapter, loaded, context);
            }
            catch
            {
                loaded.Dispose();
                throw;
            }

            session.Models.Add(header.Path);
            return new OpenModel(context, loaded);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    private static void Attach(string? adapter, LoadedModel loaded, ComputeContext context)
    {
        if (adapter is not null)
        {
            string path = AdapterFiles.Locate(adapter, ModelPlaces.FromEnvironment());
            loaded.Model.Adapters.Attach(AdapterFiles.Open(path, loaded.Header, loaded.Model), context);
        }
    }

    public void Dispose()
    {
        _text?.Dispose();
        Context.Dispose();
        Loaded.Dispose();
    }
}
