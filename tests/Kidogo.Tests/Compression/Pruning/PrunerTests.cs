// Whole prunings: what is written holds what is reported, runs, and stays sparse through training, merging and rounding.
using Kidogo.Compression.Passports;
using Kidogo.Compression.Pruning;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Layers;
using Kidogo.Models.Passports;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;
using Kidogo.Tests.Models.Files;
using Kidogo.Tests.Training;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Tests.Compression.Pruning;

public sealed class PrunerTests
{
    private static string Tiny => SharedFolder.PathOf("golden", "families", "llama", "model.gguf");

    [SharedTheory]
    [InlineData(WeightCriterion.Magnitude, "0.5")]
    [InlineData(WeightCriterion.Magnitude, "2:4")]
    [InlineData(WeightCriterion.Wanda, "0.5")]
    [InlineData(WeightCriterion.Wanda, "2:4")]
    [InlineData(WeightCriterion.SparseGpt, "0.5")]
    [InlineData(WeightCriterion.SparseGpt, "2:4")]
    public void Run_OfWeights_WritesTheZerosThatItReports(WeightCriterion criterion, string sparsity)
    {
        using TestFolder folder = new();
        foreach (string output in (string[])["out.gguf", "out"])
        {
            using ModelHeader header = ModelHeader.Open(Tiny);
            PruneReport report = Pruner.Run(header, folder[output], Request(header, new WeightPruning(criterion, Sparsity.TryParse(sparsity))));
            Assert.InRange(report.Sparsity, 0.5 - 1e-3, 0.51);
            Assert.Equal(report.ParametersBefore, report.Parameters);
            Assert.InRange(ZerosOf(folder[output]), 0.5 - 1e-3, 0.51);
            AssertGroups(folder[output], sparsity);
        }
    }

    [SharedFact]
    public void SparseGpt_WithAFormat_RoundsInOnePassAndKeepsTheZeros()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(Trained(folder));
        PruneReport report = Pruner.Run(header, folder["out.gguf"], Request(header, new WeightPruning(WeightCriterion.SparseGpt, Sparsity.TryParse("2:4"))) with { Format = FormatMix.ForName("Q8_0") });
        Assert.InRange(report.Sparsity, 0.5, 0.6);
        AssertGroups(folder["out.gguf"], "2:4");
        using ModelHeader written = ModelHeader.Open(folder["out.gguf"]);
        Assert.All(ChangedModel.Tensors(written).Where(tensor => tensor.Name.EndsWith("ffn_up.weight", StringComparison.Ordinal)), tensor => Assert.Equal("Q8_0", tensor.Format.Name));
    }

    [SharedFact]
    public void Run_FromACalibration_NeedsNoText()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(Tiny);
        Kidogo.Compression.Calibration.ImportanceMatrix calibration;
        using (ComputeContext context = ComputeContext.Training(1))
        using (LoadedModel loaded = ModelLoader.Load(Tiny, context))
        {
            calibration = Kidogo.Compression.Calibration.ImportanceCollector.Run(loaded.Model, context, Request(header, null).Ids, new Kidogo.Compression.Calibration.CalibrationOptions { SequenceTokens = 32 });
            StructureScores expected = ActivationScores.Run(loaded.Model, context, Request(header, null).Ids, 32).Scores(header.Config, isMinitron: false);
            StructureScores found = CalibratedScores.OfNeurons(header, calibration);
            Assert.All(Enumerable.Range(0, header.Config.NumLayers), i => Assert.All(expected.Layers[i].Neurons.Zip(found.Layers[i].Neurons), pair => Assert.Equal(pair.First, pair.Second, 1e-4 * pair.First)));
        }

        PruneRequest request = new() { Weights = new WeightPruning(WeightCriterion.Wanda, Sparsity.TryParse("2:4")), Calibration = calibration };
        Assert.InRange(Pruner.Run(header, folder["out.gguf"], request).Sparsity, 0.5 - 1e-3, 0.51);
        AssertGroups(folder["out.gguf"], "2:4");
    }

    [SharedFact]
    public void Run_IntoAFormatWithoutAZero_IsRefusedBeforeAnyWork()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(Tiny);
        PruneRequest request = Request(header, new WeightPruning(WeightCriterion.Magnitude, Sparsity.TryParse("0.5"))) with { Format = FormatMix.ForName("Q4_1") };
        Assert.Contains("has no zero", Assert.Throws<PruningException>(() => Pruner.Run(header, folder["out.gguf"], request)).Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [SharedTheory]
    [InlineData(StructureCriterion.Activation, "out.gguf")]
    [InlineData(StructureCriterion.Taylor, "out")]
    public void Run_OfStructure_GivesTheShapeThatItReports(StructureCriterion criterion, string output)
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(Tiny);
        StructurePruning structure = new() { Shares = new StructureShares { Neurons = 0.5, KvHeads = 0.5, Layers = 1 }, Criterion = criterion, Plan = new StructurePlanOptions { Multiple = 8 } };
        PruneReport report = Pruner.Run(header, folder[output], Request(header, null) with { Structure = structure });
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel loaded = ModelLoader.Load(folder[output], context);
        Assert.Equal(report.Parameters, loaded.Config.ParameterCount);
        Assert.True(report.Parameters < report.ParametersBefore && report.Bytes > 0);
        Assert.Equal(header.Config.NumLayers - 1, loaded.Config.NumLayers);
        Assert.NotEmpty(report.Gone);
        Assert.All(GoldenDecoder.Score(loaded.Model, context, [1, 2, 3]), logit => Assert.True(float.IsFinite(logit)));
    }

    [SharedFact]
    public void Run_WhatCannotBe_IsRefusedBeforeAnythingIsScored()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(Tiny);
        StructurePruning[] impossible =
        [
            new() { Parameters = 100 },
            new() { Parameters = 100, Plan = new StructurePlanOptions { AcrossLayers = true } },
            new() { Share = 0.01, Kinds = StructureKinds.Neurons },
            new() { Shares = new StructureShares { Layers = header.Config.NumLayers } },
            new() { Shares = new StructureShares { Neurons = 0.001 } },
            new() { Speed = 100 },
        ];
        foreach (StructurePruning structure in impossible)
        {
            PruneRequest request = Request(header, null) with { Structure = structure, Progress = (stage, _, _) => Assert.Fail(stage) };
            Assert.Throws<PruningException>(() => Pruner.Run(header, folder["out.gguf"], request));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [SharedTheory]
    [InlineData("empty.txt", 0)]
    [InlineData("missing.txt", 0)]
    [InlineData("texts.txt", 100)] // more layers than there are
    public void Run_HealingThatCannotBe_IsRefusedBeforeAnythingIsScoredAndLeavesNothing(string texts, int layers)
    {
        using TestFolder folder = new();
        folder.Write("empty.txt", "");
        folder.Write("texts.txt", "A river.\n\nA hill.\n");
        using ModelHeader header = ModelHeader.Open(Tiny);
        HealRequest heal = new() { Fields = [new("data", [folder[texts]])], Steps = 2, WorkFolder = folder["out.work"] };
        PruneRequest request = Request(header, null) with
        {
            Structure = new StructurePruning { Shares = new StructureShares { Neurons = 0.5, Layers = layers } },
            Heal = heal,
            Progress = (stage, _, _) => Assert.Fail(stage),
        };
        Exception refused = Assert.ThrowsAny<Exception>(() => Pruner.Run(header, folder["out.gguf"], request));
        Assert.True(refused is PruningException or FileNotFoundException, $"{refused}");
        Assert.False(Path.Exists(heal.WorkFolder));
    }

    [SharedFact]
    public void Run_ToASizeInBytes_HitsItFromBelow()
    {
        using TestFolder folder = new();
        using ModelHeader header = ModelHeader.Open(Tiny);
        long target = header.WeightBytes * 8 / 10;
        StructurePruning structure = new() { Bytes = new FileInfo(Tiny).Length - (header.WeightBytes - target), Plan = new StructurePlanOptions { Multiple = 8 } };
        PruneReport report = Pruner.Run(header, folder["out.gguf"], Request(header, null) with { Structure = structure });
        Assert.Equal(report.Bytes, new FileInfo(folder["out.gguf"]).Length);
        Assert.InRange(report.Bytes, structure.Bytes!.Value * 7 / 10, structure.Bytes.Value);
    }

    [SharedFact]
    public void Wanda_OnCorrelatedActivations_LosesLessThanMagnitudeAndSparseGptLeast()
    {
        using TestFolder folder = new();
        string model = Trained(folder);
        int[] ids = SafetensorsFixture.Read(GoldenRun.PathOf("batches.safetensors"))["ids"].As<int>();
        double Loss(WeightCriterion criterion)
        {
            using ModelHeader header = ModelHeader.Open(model);
            string output = folder[$"{criterion}"];
            Pruner.Run(header, output, new PruneRequest { Weights = new WeightPruning(criterion, Sparsity.TryParse("0.6")), Ids = ids.AsMemory(0, 2048), SequenceTokens = 32 });
            using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
            using LoadedModel loaded = ModelLoader.Load(output, context);
            return Kidogo.Evaluation.Perplexity.Measure(loaded.Model, context, ids.AsSpan(4096, 1024), new Kidogo.Evaluation.PerplexityOptions { WindowLength = 32 }).MeanNll;
        }

        double magnitude = Loss(WeightCriterion.Magnitude), wanda = Loss(WeightCriterion.Wanda), sparseGpt = Loss(WeightCriterion.SparseGpt);
        Assert.True(wanda < magnitude, $"Wanda {wanda}, magnitude {magnitude}");
        Assert.True(sparseGpt < magnitude, $"SparseGPT {sparseGpt}, magnitude {magnitude}");
    }

    [SharedTheory]
    [InlineData(OptimizerKind.AdamW)]
    [InlineData(OptimizerKind.Muon)]
    [InlineData(OptimizerKind.Sgd)]
    public void KeptZeros_WhateverTheOptimiser_StayWhileOthersLearn(OptimizerKind kind)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Training(1);
        using LoadedModel loaded = ModelLoader.Load(Trained(folder), context);
        IReadOnlyList<ModelParameter> parameters = ModelParameters.MakeTrainable(loaded.Model);
        foreach (ModelParameter parameter in parameters.Where(parameter => parameter.IsMatrix && parameter.Name.StartsWith("blk.", StringComparison.Ordinal)))
        {
            WeightMask mask = Magnitude.Mask(parameter.Values, new Sparsity(0.5), PruneScope.Layer);
            for (int row = 0; row < parameter.Values.Rows; row++)
            {
                mask.Apply(row, parameter.Values.Row(row));
            }
        }

        float[][] before = [.. parameters.Select(parameter => parameter.Values.Span.ToArray())];
        KeptZeros zeros = new(parameters);
        Assert.Equal(before.Zip(parameters).Where(pair => pair.Second.Name.StartsWith("blk.", StringComparison.Ordinal)).Sum(pair => (long)pair.First.Count(value => value == 0)), zeros.Count);
        OptimizerRecipe recipe = new() { Kind = kind, LearningRate = 1e-2, WeightDecay = 0.1 };
        using TrainingStep step = new(loaded.Model, context, OptimizerFactory.Create(recipe, parameters), new StepOptions(), null, zeros);
        double norm = 0;
        for (int s = 0; s < 3; s++)
        {
            norm = step.Run(GoldenRun.Batches(new GoldenVariant(recipe), s), 1).GradientNorm;
        }

        Assert.True(norm > 0);
        for (int i = 0; i < before.Length; i++)
        {
            bool isMasked = parameters[i].IsMatrix && parameters[i].Name.StartsWith("blk.", StringComparison.Ordinal);
            float[] after = parameters[i].Values.Span.ToArray();
            Assert.True(!before[i].AsSpan().SequenceEqual(after), $"{parameters[i].Name} did not learn");
            Assert.True(!isMasked || !before[i].Where((value, j) => value == 0 && after[j] != 0).Any(), $"{parameters[i].Name} lost zeros");
        }
    }

    [SharedFact]
    public void SparseModel_OfAPrunedFile_IsKnownByItsPassport()
    {
        using TestFolder folder = new();
        using (ModelHeader header = ModelHeader.Open(Tiny))
        {
            Assert.False(SparseModel.IsOne(header));
            PassportRequest passport = Derivation.Begin(header, new DerivationOptions { Verb = SparseModel.Verb, Options = [("method", "magnitude"), ("sparsity", "0.5")] });
            Pruner.Run(header, folder["sparse.gguf"], Request(header, new WeightPruning(WeightCriterion.Magnitude, Sparsity.TryParse("0.5"))), new ModelWriteOptions { Passport = passport });
        }

        using ModelHeader sparse = ModelHeader.Open(folder["sparse.gguf"]);
        Assert.True(SparseModel.IsOne(sparse));
        PassportRequest next = Derivation.Begin(sparse, new DerivationOptions { Verb = "quantize" });
        Quantizer.Run(sparse, folder["small.gguf"], new QuantizeOptions { Mix = FormatMix.ForName("Q8_0")! }, new ModelWriteOptions { Passport = next });
        using ModelHeader small = ModelHeader.Open(folder["small.gguf"]);
        Assert.True(SparseModel.IsOne(small));
        Assert.InRange(ZerosOf(folder["small.gguf"]), 0.5 - 1e-3, 0.6);
    }

    private static PruneRequest Request(ModelHeader header, WeightPruning? weights)
    {
        Random random = new(3);
        return new PruneRequest { Weights = weights, Ids = Enumerable.Range(0, 512).Select(_ => random.Next(header.Config.VocabSize)).ToArray(), SequenceTokens = 32 };
    }

    private static string Trained(TestFolder folder)
    {
        folder.Write("trained/config.json", File.ReadAllBytes(GoldenRun.PathOf("config.json")));
        folder.Write("trained/model.safetensors", File.ReadAllBytes(GoldenRun.PathOf("final.safetensors")));
        return folder["trained"];
    }

    private static double ZerosOf(string path)
    {
        long zeros = 0, all = 0;
        foreach ((_, float[] row) in Rows(path))
        {
            zeros += row.Count(value => value == 0);
            all += row.Length;
        }

        return (double)zeros / all;
    }

    private static void AssertGroups(string path, string sparsity)
    {
        if (Sparsity.TryParse(sparsity) is not { IsGrouped: true } grouped)
        {
            return;
        }

        Assert.All(Rows(path), pair => Assert.All(pair.Row.Chunk(grouped.Of), group => Assert.True(group.Count(value => value == 0) >= grouped.Zeros, pair.Slot)));
    }

    private static IEnumerable<(string Slot, float[] Row)> Rows(string path)
    {
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(path, context);
        foreach (Linear slot in loaded.Model.Slots().OfType<Linear>().Where(slot => slot.Name.StartsWith("blk.", StringComparison.Ordinal)))
        {
            for (int r = 0; r < slot.Weight.Rows; r++)
            {
                float[] row = new float[slot.Weight.Columns];
                slot.Weight.DecodeRow(r, row);
                yield return (slot.Name, row);
            }
        }
    }
}
