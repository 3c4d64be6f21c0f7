// Scores of structure against the reference, what a plan keeps, and that cutting a part equals silencing it, in every family and both kinds of files.
using Kidogo.Compression.Pruning;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;
using Kidogo.Tests.Models.Files;
using Kidogo.Tests.Training;

namespace Kidogo.Tests.Compression.Pruning;

public sealed class StructureTests
{
    /// <summary>The reference's own statement.</summary>
    private const double ScoreTolerance = 1e-4;

    /// <summary>Sums over fewer columns are taken in another order.</summary>
    private const float LogitTolerance = 2e-5f;

    private static readonly Lazy<IReadOnlyDictionary<string, FixtureTensor>> s_golden = new(() => SafetensorsFixture.Read(SharedFolder.PathOf("golden/compression/structured.safetensors")));

    [SharedFact]
    public void ActivationScores_GiveTheReference()
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Training(2);
        using LoadedModel loaded = ModelLoader.Load(Trained(folder), context);
        ActivationScores scores = ActivationScores.Run(loaded.Model, context, Ids(), 32);
        AssertClose("minitron_hidden", scores.Hidden);
        AssertClose("block_influence", [.. scores.Layers.Select(layer => layer.BlockInfluence)]);
        for (int i = 0; i < 3; i++)
        {
            AssertClose($"layer{i}.neuron_scores", scores.Layers[i].Neurons);
            AssertClose($"layer{i}.minitron_neuron", scores.Layers[i].NeuronActivations);
            AssertClose($"layer{i}.minitron_head", scores.Layers[i].Heads);
            int[] kept = s_golden.Value[$"layer{i}.neurons_kept"].As<int>();
            Assert.Equal(kept, StructurePlan.Best(scores.Layers[i].Neurons, kept.Length));
        }
    }

    [SharedTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void TaylorScores_GiveTheReference(bool isGate)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Training(2);
        using LoadedModel loaded = ModelLoader.Load(Trained(folder), context);
        StructureScores scores = TaylorScores.Run(loaded.Model, context, Ids(), 32, isGate);
        for (int i = 0; i < 3; i++)
        {
            AssertClose($"layer{i}.{(isGate ? "head_gate" : "head_taylor")}", scores.Layers[i].QueryHeads);
            AssertClose($"layer{i}.key_value_taylor", scores.Layers[i].KeysAndValues);
        }
    }

    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Reshape_OfAnyFamilyToEitherForm_EqualsTheModelWithThosePartsSilenced(string name)
    {
        GoldenDecoder golden = new(name);
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using ModelHeader header = ModelHeader.Open(golden.Folder);
        KeptLayer[] layers = Part(header.Config);
        ModelReshape reshape = new(header.Config, layers);
        Assert.False(reshape.Config.HasEqualLayers);
        ChangedModel.Write(header, folder["silenced"], new ChangedModelOptions { Change = tensor => Silenced(tensor, header.Config, layers) });
        float[] expected = Score(folder["silenced"], context, golden.Sequences[1]);
        foreach (string form in (string[])["part", "part.gguf"])
        {
            ChangedModel.Write(header, folder[form], new ChangedModelOptions { Reshape = reshape });
            AssertClose(expected, Score(folder[form], context, golden.Sequences[1]));
        }

        // On from the file, whose layers differ already.
        using ModelHeader part = ModelHeader.Open(folder["part.gguf"]);
        Assert.Equal(reshape.Config.ParameterCount, part.Config.ParameterCount);
        ModelReshape all = new(part.Config, [.. Enumerable.Range(0, part.Config.NumLayers).Select(i => new KeptLayer(i))]);
        ChangedModel.Write(part, folder["again.gguf"], new ChangedModelOptions { Reshape = all });
        AssertClose(expected, Score(folder["again.gguf"], context, golden.Sequences[1]));
        using ModelHeader back = ModelHeader.Open(folder["again.gguf"]);
        ModelConverter.Convert(back, folder["back"]);
        AssertClose(expected, Score(folder["back"], context, golden.Sequences[1]));
    }

    [SharedFact]
    public void Reshape_OfTheHiddenWidth_GivesANarrowerModelThatRuns()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "llama", "model.gguf"));
        int[] hidden = [.. Enumerable.Range(0, header.Config.HiddenSize).Where(c => c % 4 != 3)];
        ModelReshape reshape = new(header.Config, [.. Enumerable.Range(0, header.Config.NumLayers).Select(i => new KeptLayer(i))], hidden);
        ChangedModel.Write(header, folder["narrow.gguf"], new ChangedModelOptions { Reshape = reshape });
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(folder["narrow.gguf"], context);
        Assert.Equal(header.Config.HiddenSize * 3 / 4, loaded.Config.HiddenSize);
        Assert.All(GoldenDecoder.Score(loaded.Model, context, [1, 2, 3]), logit => Assert.True(float.IsFinite(logit)));
    }

    [SharedTheory]
    [InlineData("\"intermediate_size\": [80, 80]", "one for each of the 3 layers")]
    [InlineData("\"intermediate_size\": [80, 0, 80]", "for layer 1")]
    [InlineData("\"intermediate_size\": [80, \"x\", 80]", "expected an integer")]
    [InlineData("\"intermediate_size\": [80, 64, 80]", "shape")]
    [InlineData("\"num_attention_heads\": [4, 3, 4]", "do not divide")]
    [InlineData("\"num_key_value_heads\": []", "one for each of the 3 layers")]
    public void Config_WithListsThatDoNotFit_IsRefused(string field, string problem)
    {
        using TestFolder folder = new();
        string source = SharedFolder.PathOf("golden", "families", "llama");
        string name = field[..(field.IndexOf(':', StringComparison.Ordinal) + 1)];
        string[] lines = [.. File.ReadAllLines(Path.Combine(source, "config.json")).Select(line => line.TrimStart().StartsWith(name, StringComparison.Ordinal) ? $"  {field}," : line)];
        Assert.Contains($"  {field},", lines);
        folder.Write("bad/config.json", string.Join('\n', lines));
        folder.Write("bad/model.safetensors", File.ReadAllBytes(Path.Combine(source, "model.safetensors")));
        Assert.Contains(problem, Assert.Throws<Kidogo.Models.Files.ModelFormatException>(() => ModelHeader.Open(folder["bad"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new[] { 1, 0 })]
    [InlineData(new[] { 0, 0 })]
    [InlineData(new int[0])]
    [InlineData(new[] { 0, 99 })]
    public void Reshape_OfWhatCannotStay_IsRefused(int[] neurons) => Assert.Throws<ArgumentException>(() => new ModelReshape(Config(), [new KeptLayer(0, neurons)]));

    [Fact]
    public void Reshape_ToUnequalGroups_IsRefused() =>
        Assert.Throws<ArgumentException>(() => new ModelReshape(Config(), [new KeptLayer(0, QueryHeads: [0, 1, 2])])); // 2 groups of 2: one would keep 2, the other 1

    [Fact]
    public void Plan_ByShares_KeepsTheBestInMultiples()
    {
        DecoderConfig config = Config();
        ModelReshape part = new StructurePlan(config, Scores(config), new StructurePlanOptions { Multiple = 4 }).Choose(new StructureShares { Neurons = 0.5, QueryHeads = 0.5, Layers = 1 });
        Assert.Equal(config.NumLayers - 1, part.Config.NumLayers);
        Assert.All(part.Config.Layers, layer => Assert.Equal((16, 2, 2), (layer.IntermediateSize, layer.NumHeads, layer.NumKvHeads)));
        ModelReshape all = new StructurePlan(config, Scores(config), new StructurePlanOptions()).Choose(new StructureShares { Neurons = 1, KvHeads = 1, Hidden = 1, Layers = config.NumLayers - 1 });
        Assert.Equal((1, 1, 1), (all.Config.NumLayers, all.Config.Layers[0].NumHeads / 2, all.Config.Layers[0].NumKvHeads));
        Assert.True(all.Config.Layers[0].IntermediateSize >= 1 && all.Config.HiddenSize >= 1);
        Assert.Throws<PruningException>(() => new StructurePlan(config, Scores(config), new StructurePlanOptions()).Choose(new StructureShares { Layers = config.NumLayers }));
    }

    [Theory]
    [InlineData(0.05, 0, 0, 0, "0.125 or more")] // 32 neurons in multiples of 4
    [InlineData(0, 0.2, 0, 0, "0.5 or more")] // 2 query heads in a group
    [InlineData(0, 0, 0.2, 0, "0.5 or more")] // 2 groups
    [InlineData(0, 0, 0, 0.05, "0.125 or more")] // 32 channels
    [InlineData(0.5, 0.2, 0, 0, "--heads 0.2")] // what takes nothing is not hidden by what does
    [InlineData(0, 0, 0, 0, "nothing would go")]
    public void Check_SharesThatTakeNothing_AreRefusedWithOneThatDoes(double neurons, double heads, double groups, double hidden, string says)
    {
        StructureShares shares = new() { Neurons = neurons, QueryHeads = heads, KvHeads = groups, Hidden = hidden };
        StructurePlan plan = new(Config(), StructureScores.Equal(Config()), new StructurePlanOptions());
        Assert.Contains(says, Assert.Throws<PruningException>(() => plan.Check(shares)).Message, StringComparison.Ordinal);
        plan.Check(new StructureShares { Neurons = 0.125, QueryHeads = 0.5, KvHeads = 0.5, Hidden = 0.125 });
    }

    [Fact]
    public void Check_OneQueryHeadForEachKey_NamesTheOptionThatTakesBoth()
    {
        DecoderConfig config = Config();
        config = config with { Layers = [.. config.Layers.Select(layer => layer with { NumKvHeads = layer.NumHeads })] };
        StructurePlan plan = new(config, StructureScores.Equal(config), new StructurePlanOptions());
        Assert.Contains("--groups", Assert.Throws<PruningException>(() => plan.Check(new StructureShares { QueryHeads = 0.5 })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_AcrossLayers_TakesNeuronsWhereTheyMatterLeast()
    {
        DecoderConfig config = Config();
        StructureScores scores = Scores(config) with { AreComparable = true };
        scores = scores with { Layers = [.. scores.Layers.Select((layer, i) => layer with { Neurons = [.. layer.Neurons.Select(score => score * Math.Pow(10, i))] })] };
        ModelReshape part = new StructurePlan(config, scores, new StructurePlanOptions { Multiple = 4, AcrossLayers = true }).Choose(new StructureShares { Neurons = 0.5 });
        int[] widths = [.. part.Config.Layers.Select(layer => layer.IntermediateSize)];
        Assert.Equal(widths.Order(), widths);
        Assert.True(widths[0] < widths[^1]);
    }

    [Fact]
    public void Target_OfParameters_IsReachedOrTheSmallestIsSaid()
    {
        DecoderConfig config = Config();
        StructurePlan plan = new(config, Scores(config), new StructurePlanOptions { Multiple = 4 });
        long most = config.ParameterCount * 3 / 4;
        ModelReshape found = new StructureTarget(most, "parameters", reshape => reshape.Config.ParameterCount).Find(plan, StructureKinds.Neurons | StructureKinds.KvHeads, config.NumLayers);
        Assert.InRange(found.Config.ParameterCount, most * 8 / 10, most);
        string message = Assert.Throws<PruningException>(() => new StructureTarget(10, "parameters", reshape => reshape.Config.ParameterCount).Find(plan, StructureKinds.Neurons | StructureKinds.KvHeads, config.NumLayers)).Message;
        long smallest = plan.Choose(new StructureShares { Neurons = 1, KvHeads = 1 }).Config.ParameterCount;
        Assert.Contains($"{smallest}", message, StringComparison.Ordinal);
        Assert.Contains("neurons, groups", message, StringComparison.Ordinal);
        StructureTarget speed = new(0.01, "of a token's time", reshape => reshape.Config.ParameterCount == config.ParameterCount ? 1 : 0.5) { Show = time => $"{1 / time}x the speed" };
        message = Assert.Throws<PruningException>(() => speed.Find(plan, StructureKinds.Neurons, config.NumLayers)).Message;
        Assert.StartsWith("100x the speed cannot be reached", message, StringComparison.Ordinal);
        Assert.Contains("the smallest that can is 2x the speed", message, StringComparison.Ordinal);
    }

    private static DecoderConfig Config()
    {
        LayerConfig layer = new() { NumHeads = 4, NumKvHeads = 2, HeadDim = 8, IntermediateSize = 32, AttentionScale = 1, Activation = Kidogo.Tensors.Ops.Activation.Silu };
        return new DecoderConfig { VocabSize = 20, HiddenSize = 32, ContextLength = 16, Layers = [layer, layer, layer], Norm = new NormConfig(NormKind.Rms, 1e-5f), TiedHead = true };
    }

    private static StructureScores Scores(DecoderConfig config) => new(
        [.. config.Layers.Select((layer, i) => new LayerScores([.. Enumerable.Range(0, layer.IntermediateSize).Select(j => (double)((j * 7) % 32) + 1)], [1, 2, 3, 4], [1, 2], i))],
        [.. Enumerable.Range(0, config.HiddenSize).Select(c => (double)c)]);

    /// <summary>Layers that come to differ: fewer neurons in the first, fewer heads in the second, and one layer less where there are three.</summary>
    private static KeptLayer[] Part(DecoderConfig config)
    {
        List<KeptLayer> layers = [];
        for (int i = 0; i < config.NumLayers; i++)
        {
            LayerConfig layer = config.Layers[i];
            int[] half = [.. Enumerable.Range(0, layer.IntermediateSize).Where(j => j % 2 == 0)];
            int[]? keys = layer.NumKvHeads > 1 ? [.. Enumerable.Range(1, layer.NumKvHeads - 1)] : null;
            if (i == 0)
            {
                layers.Add(new KeptLayer(i, half));
            }
            else if (i == config.NumLayers - 1)
            {
                layers.Add(new KeptLayer(i, null, keys));
            }
        }

        return [.. layers];
    }

    private static ModelTensor Silenced(ModelTensor tensor, DecoderConfig config, KeptLayer[] layers)
    {
        if (!Kidogo.Models.Families.CanonicalNames.TrySplitLayer(tensor.Name, out int index, out string rest) || !(rest.StartsWith("attn_output.", StringComparison.Ordinal) || rest.StartsWith("ffn_down.", StringComparison.Ordinal)))
        {
            return tensor;
        }

        KeptLayer? kept = layers.FirstOrDefault(layer => layer.Index == index);
        LayerConfig whole = config.Layers[index];
        bool Stays(int column) => kept is not null && (rest.StartsWith("ffn_down.", StringComparison.Ordinal)
            ? kept.Neurons is null || kept.Neurons.Contains(column)
            : kept.KvHeads is null || kept.KvHeads.Contains(column / whole.HeadDim / (whole.NumHeads / whole.NumKvHeads)));
        float[] values = tensor.ReadFloats();
        if (tensor.IsVector)
        {
            return kept is null ? ModelTensor.Vector(tensor.Name, new float[values.Length]) : tensor;
        }

        return ModelTensor.Matrix(tensor.Name, tensor.Rows, tensor.Columns, (row, destination) =>
        {
            for (int c = 0; c < tensor.Columns; c++)
            {
                destination[c] = Stays(c) ? values[(row * tensor.Columns) + c] : 0;
            }
        });
    }

    private static float[] Score(string path, ComputeContext context, int[] ids)
    {
        using LoadedModel loaded = ModelLoader.Load(path, context);
        return GoldenDecoder.Score(loaded.Model, context, ids);
    }

    private static void AssertClose(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(Enumerable.Range(0, expected.Length), i => Assert.Equal(expected[i], actual[i], LogitTolerance * (1 + MathF.Abs(expected[i]))));
    }

    private static void AssertClose(string name, double[] actual)
    {
        float[] expected = s_golden.Value[name].As<float>();
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(Enumerable.Range(0, expected.Length), i => Assert.Equal(expected[i], actual[i], ScoreTolerance * Math.Abs(expected[i])));
    }

    private static int[] Ids() => s_golden.Value["ids"].As<int>();

    private static string Trained(TestFolder folder)
    {
        folder.Write("trained/config.json", File.ReadAllBytes(GoldenRun.PathOf("config.json")));
        folder.Write("trained/model.safetensors", File.ReadAllBytes(GoldenRun.PathOf("final.safetensors")));
        return folder["trained"];
    }
}
