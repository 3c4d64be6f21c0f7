// The real SmolLM2, loaded once for each precision and for all tests of this folder. Knows where the reference data is, not what is tested.
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;

namespace Kidogo.Tests.RealModel;

/// <summary>The models of the collection. Loaded when first asked for: the fixture is made even where all tests skip.</summary>
public sealed class RealModels : IDisposable
{
    private const int Threads = 1; // two of them spin for nothing where the machine is busy; that two and three compute the same is tested

    private readonly Lazy<PreparedModel> _exact = new(() => new PreparedModel(ComputePrecision.Exact, Threads));
    private readonly Lazy<PreparedModel> _fast = new(() => new PreparedModel(ComputePrecision.Fast, Threads));

    /// <summary>The file.</summary>
    public static string ModelPath => SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf");

    /// <summary>All in float32.</summary>
    internal PreparedModel Exact => _exact.Value;

    /// <summary>The default.</summary>
    internal PreparedModel Fast => _fast.Value;

    /// <summary>The model in a precision.</summary>
    internal PreparedModel In(ComputePrecision precision) => precision == ComputePrecision.Exact ? Exact : Fast;

    /// <summary>A reference file, read whole.</summary>
    internal static JsonElement Golden(string name)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "real", name)));
        return json.RootElement.Clone();
    }

    /// <summary>The texts whose logits are stored.</summary>
    internal static JsonElement Text(string name) =>
        Golden("smollm2-logits.json").GetProperty("texts").EnumerateArray().Single(text => text.GetProperty("name").GetString() == name);

    /// <summary>The first ids of WikiText-2's test set.</summary>
    internal static int[] WikiText() =>
        [.. File.ReadAllText(SharedFolder.PathOf("golden", "real", "wikitext-2-test.ids.txt")).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)];

    internal static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetInt32())];

    internal static double[] Doubles(JsonElement array) => [.. array.EnumerateArray().Select(item => item.GetDouble())];

    public void Dispose()
    {
        foreach (Lazy<PreparedModel> model in (Lazy<PreparedModel>[])[_exact, _fast])
        {
            if (model.IsValueCreated)
            {
                model.Value.Dispose();
            }
        }
    }
}

/// <summary>Tests of the real model run one after the other and beside no others: each is heavy, and one counts what the process allocates.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class RealModelGroup : ICollectionFixture<RealModels>
{
    public const string Name = "real model";
}

/// <summary>The model in one precision, with ways to run it.</summary>
internal sealed class PreparedModel : IDisposable
{
    public PreparedModel(ComputePrecision precision, int threads)
    {
        Context = ComputeContext.Inference(threads, precision);
        Loaded = ModelLoader.Load(RealModels.ModelPath, Context);
    }

    public ComputeContext Context { get; }

    public LoadedModel Loaded { get; }

    public DecoderModel Model => Loaded.Model;

    public int Vocabulary => Loaded.Config.VocabSize;

    /// <summary>How keys and values are kept in this precision.</summary>
    public KvFormat CacheFormat => Context.Precision == ComputePrecision.Exact ? KvFormat.F32 : KvFormat.F16;

    /// <summary>An empty sequence.</summary>
    public CachedSequence Sequence(int contextLength = 512) => new(Model, contextLength, CacheFormat);

    /// <summary>Logits [T, V] of a whole sequence, in one pass without a cache.</summary>
    public float[] Score(ReadOnlySpan<int> ids, ComputeContext? context = null)
    {
        using SequenceBatch batch = new();
        batch.Add(null, ids, LogitRows.All);
        return Run(batch, context ?? Context);
    }

    /// <summary>Logits [V] after a sequence that goes into a cache in pieces.</summary>
    public float[] LastOfPieces(ReadOnlySpan<int> ids, int piece, KvFormat? format = null)
    {
        using KvCache cache = Model.CreateCache(ids.Length, format ?? CacheFormat);
        using SequenceBatch batch = new();
        float[] last = [];
        for (int first = 0; first < ids.Length; first += piece)
        {
            int count = Math.Min(piece, ids.Length - first);
            batch.Clear();
            batch.Add(cache, ids.Slice(first, count), first + count == ids.Length ? LogitRows.Last : LogitRows.None);
            last = Run(batch, Context);
        }

        return last;
    }

    /// <summary>Logits of all rows of a batch that have them.</summary>
    public float[] Run(SequenceBatch batch, ComputeContext context)
    {
        int mark = context.Mark();
        float[] logits = Model.Forward(context, batch).Span.ToArray();
        context.ReleaseTo(mark);
        return logits;
    }

    /// <summary>The likeliest tokens one after another.</summary>
    public int[] Greedy(CachedSequence sequence, int[] prompt, int count, ComputeContext? context = null)
    {
        using Generator generator = new(Model, context ?? Context);
        Sampler sampler = new(SamplerOptions.Greedy, Vocabulary, sequence.ContextLength);
        return [.. generator.Generate(sequence, prompt, sampler, new GeneratorOptions { MaxTokens = count })];
    }

    public void Dispose()
    {
        Loaded.Dispose();
        Context.Dispose();
    }
}
