// PEFT's adapters over their base: beside it, merged into it, in batches with others, and through both kinds of files.
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models.Adapters;

public sealed class AdapterGoldenTests
{
    /// <summary>Merged against unmerged, in float32: what is asked of adapters.</summary>
    private const float MergeTolerance = 1e-5f;

    public static TheoryData<string, bool> Cases
    {
        get
        {
            TheoryData<string, bool> cases = [];
            foreach (string name in (string[])["lora", "rslora-all", "dora", "rank-pattern"])
            {
                cases.Add(name, false);
                cases.Add(name, true);
            }

            return cases;
        }
    }

    [SharedTheory]
    [MemberData(nameof(Cases))]
    public void Logits_WithAdapter_AreThoseOfPeft(string name, bool isGguf)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf), context);
        GoldenAdapters.AssertNear("base", GoldenAdapters.Expected("base"), GoldenAdapters.Score(loaded.Model, context), GoldenAdapters.LogitTolerance);
        loaded.Model.Adapters.Attach(GoldenAdapters.Open(GoldenAdapters.PathOf(name), loaded), context);
        GoldenAdapters.AssertNear(name, GoldenAdapters.Expected($"{name}.adapter"), GoldenAdapters.Score(loaded.Model, context), GoldenAdapters.LogitTolerance);
        loaded.Model.Adapters.UseByDefault(null);
        GoldenAdapters.AssertNear("base again", GoldenAdapters.Expected("base"), GoldenAdapters.Score(loaded.Model, context), GoldenAdapters.LogitTolerance);
    }

    [SharedTheory]
    [MemberData(nameof(Cases))]
    public void Merge_IntoFloat32_IsTheAdapterBesideTheBase(string name, bool isGguf)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(2, ComputePrecision.Exact);
        string path = GoldenAdapters.Base(folder, isGguf), merged = folder[isGguf ? "merged.gguf" : "merged"];
        using LoadedModel loaded = ModelLoader.Load(path, context);
        Adapter adapter = GoldenAdapters.Open(GoldenAdapters.PathOf(name), loaded);
        loaded.Model.Adapters.Attach(adapter, context);
        using (ModelHeader files = ModelHeader.Open(path))
        {
            AdapterMerge.Write(files, adapter, merged);
        }

        using LoadedModel whole = ModelLoader.Load(merged, context);
        float[] logits = GoldenAdapters.Score(whole.Model, context);
        GoldenAdapters.AssertNear("unmerged", GoldenAdapters.Score(loaded.Model, context), logits, MergeTolerance);
        GoldenAdapters.AssertNear("PEFT's", GoldenAdapters.Expected($"{name}.merged"), logits, GoldenAdapters.LogitTolerance);
    }

    [SharedTheory]
    [InlineData(ComputePrecision.Exact)]
    [InlineData(ComputePrecision.Fast)]
    public void Batch_SequencesWithDifferentAdapters_AreEachAsAlone(ComputePrecision precision)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(2, precision);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf: true), context);
        Adapter?[] adapters = [null, GoldenAdapters.Open(GoldenAdapters.PathOf("dora"), loaded), GoldenAdapters.Open(GoldenAdapters.PathOf("lora"), loaded), GoldenAdapters.Open(GoldenAdapters.PathOf("rslora-all"), loaded), Adapter.None];
        int[][] sequences = [.. adapters.Select((_, i) => GoldenAdapters.Sequences[i % 2][..(20 + i)])];
        float[] bare = GoldenDecoder.Score(loaded.Model, context, sequences[0]);
        foreach (Adapter adapter in adapters.OfType<Adapter>().Where(adapter => adapter != Adapter.None))
        {
            loaded.Model.Adapters.Attach(adapter, context, isDefault: false);
        }

        float[] together = Run([.. Enumerable.Range(0, adapters.Length)]);
        float[] alone = [.. Enumerable.Range(0, adapters.Length).SelectMany(i => Run(i))];
        Assert.Equal(alone, together);
        Assert.Equal(bare, alone[..bare.Length]);
        Assert.NotEqual(Run(1)[..100], Run(3)[..100]);

        float[] Run(params int[] which)
        {
            using SequenceBatch batch = new();
            foreach (int i in which)
            {
                batch.Add(null, sequences[i], LogitRows.All, adapters[i]);
            }

            return GoldenDecoder.Run(loaded.Model, context, batch);
        }
    }

    [SharedFact]
    public void Cache_OfAnotherAdapter_IsRefused()
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf: false), context);
        Adapter adapter = GoldenAdapters.Open(GoldenAdapters.PathOf("lora"), loaded);
        using KvCache cache = loaded.Model.CreateCache(16, KvFormat.F32);
        using SequenceBatch batch = new();
        batch.Add(cache, [1, 2, 3], LogitRows.Last, adapter);
        Assert.Contains("not attached", Assert.Throws<ArgumentException>(() => loaded.Model.Forward(context, batch)).Message, StringComparison.Ordinal);
        loaded.Model.Adapters.Attach(adapter, context, isDefault: false);
        GoldenDecoder.Run(loaded.Model, context, batch);
        batch.Clear();
        batch.Add(cache, [4], LogitRows.Last);
        Assert.Contains("another adapter", Assert.Throws<ArgumentException>(() => loaded.Model.Forward(context, batch)).Message, StringComparison.Ordinal);
        cache.Clear();
        GoldenDecoder.Run(loaded.Model, context, batch);
    }

    [SharedTheory]
    [MemberData(nameof(Cases))]
    public void PeftFolder_WrittenAndReadAgain_IsTheSame(string name, bool isGguf)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf), context);
        Adapter adapter = GoldenAdapters.Open(GoldenAdapters.PathOf(name), loaded);
        PeftFolder.Write(folder["written"], adapter, loaded.Config, loaded.Family);
        Adapter again = GoldenAdapters.Open(folder["written"], loaded);
        Assert.Equal(adapter.Changes.Count, again.Changes.Count);
        foreach ((string slot, SlotChange change) in adapter.Changes)
        {
            SlotChange other = again.Changes[slot];
            Assert.Equal(change.Change.A.Span, other.Change.A.Span);
            Assert.Equal(change.Change.B.Span, other.Change.B.Span);
            Assert.Equal(change.Change.Scale, other.Change.Scale, 1e-6f);
            Assert.Equal(change.Magnitudes?.Span.ToArray(), other.Magnitudes?.Span.ToArray());
        }

        IReadOnlyDictionary<string, FixtureTensor> expected = SafetensorsFixture.Read(Path.Combine(GoldenAdapters.PathOf(name), PeftFolder.WeightsName));
        IReadOnlyDictionary<string, FixtureTensor> written = SafetensorsFixture.Read(Path.Combine(folder["written"], PeftFolder.WeightsName));
        Assert.Equal(expected.Keys.Order(), written.Keys.Order());
        Assert.All(expected, tensor => Assert.Equal(tensor.Value.Bytes, written[tensor.Key].Bytes));
    }

    [SharedTheory]
    [InlineData("lora", false)]
    [InlineData("rslora-all", true)]
    [InlineData("rank-pattern", true)]
    public void GgufAdapter_WrittenForOneBase_IsTheSameOverTheOther(string name, bool isGguf)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        string path;
        using (LoadedModel first = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf), context))
        {
            path = folder.Write("adapter.gguf", GgufAdapter.ToBytes(GoldenAdapters.Open(GoldenAdapters.PathOf(name), first), first.Config, first.Family).ToArray());
        }

        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, !isGguf), context);
        loaded.Model.Adapters.Attach(GoldenAdapters.Open(path, loaded), context);
        GoldenAdapters.AssertNear(name, GoldenAdapters.Expected($"{name}.adapter"), GoldenAdapters.Score(loaded.Model, context), GoldenAdapters.LogitTolerance);
    }

    [SharedFact]
    public void GgufAdapter_OfMagnitudes_IsRefused()
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf: false), context);
        Adapter adapter = GoldenAdapters.Open(GoldenAdapters.PathOf("dora"), loaded);
        Assert.Contains("DoRA", Assert.Throws<NotSupportedException>(() => GgufAdapter.ToBytes(adapter, loaded.Config, loaded.Family)).Message, StringComparison.Ordinal);
    }

    /// <summary>A 4-bit file of the base takes its adapters, and what the merge costs is more than nothing.</summary>
    [SharedFact]
    public void Adapter_OverTheBaseInBlocks_IsNearPeft()
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using ModelHeader header = ModelHeader.Open(GoldenAdapters.Base(folder, isGguf: false));
        Kidogo.Compression.Quantization.Quantizer.Run(
            header, folder["q8.gguf"], new() { Mix = Kidogo.Models.Export.FormatMix.ForName("Q8_0")! }, new ModelWriteOptions());
        using LoadedModel loaded = ModelLoader.Load(folder["q8.gguf"], context);
        loaded.Model.Adapters.Attach(GoldenAdapters.Open(GoldenAdapters.PathOf("rslora-all"), loaded), context);
        const float EightBits = 0.15f; // of logits up to 10: half a step of 1/127 on every weight
        GoldenAdapters.AssertNear("over Q8_0", GoldenAdapters.Expected("rslora-all.adapter"), GoldenAdapters.Score(loaded.Model, context), EightBits);
    }
}
