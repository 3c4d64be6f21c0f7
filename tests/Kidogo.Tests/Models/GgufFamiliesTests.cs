// GGUF files of all families: the reference folders converted as llama.cpp's converter does, and files that do not fit together.
using System.Runtime.InteropServices;
using Kidogo.Models;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Models;

public sealed class GgufFamiliesTests
{
    [SharedTheory]
    [InlineData("llama-linear", "llama")]
    [InlineData("llama-llama3", "llama")]
    [InlineData("llama-yarn", "llama")]
    [InlineData("mistral", "llama")]
    [InlineData("qwen2", "qwen2")]
    [InlineData("gemma", "gemma")]
    [InlineData("gemma2", "gemma2")]
    [InlineData("gemma3", "gemma3")]
    [InlineData("phi", "phi2")]
    [InlineData("phi3", "phi3")]
    [InlineData("gpt2", "gpt2")]
    [InlineData("gpt-neox", "gptneox")]
    public void Gguf_ConvertedFromFolder_ComputesTheSame(string name, string architecture)
    {
        GoldenDecoder golden = new(name);
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        string path = folder.Write("model.gguf", Convert(golden.Folder, architecture).Build());
        using LoadedModel loaded = ModelLoader.Load(path, context);
        golden.AssertEqual(1, GoldenDecoder.Score(loaded.Model, context, golden.Sequences[1]));
    }

    [Theory]
    [InlineData("llama.attention.head_count", 0u)]
    [InlineData("llama.attention.head_count", 3u)]
    [InlineData("llama.attention.head_count_kv", 0u)]
    [InlineData("llama.attention.head_count_kv", uint.MaxValue)]
    [InlineData("llama.block_count", 0u)]
    [InlineData("llama.block_count", 1025u)]
    [InlineData("llama.block_count", 2u)] // more than there are tensors for
    [InlineData("llama.embedding_length", 0u)]
    [InlineData("llama.embedding_length", 2147483648u)]
    [InlineData("llama.embedding_length", 64u)] // not the tensors' width
    [InlineData("llama.feed_forward_length", 0u)]
    [InlineData("llama.context_length", 0u)]
    [InlineData("llama.rope.dimension_count", 7u)]
    [InlineData("llama.rope.dimension_count", 18u)]
    [InlineData("llama.expert_count", 8u)]
    public void Gguf_WithAValueThatCannotBe_IsRefused(string key, uint value) =>
        Assert.Throws<ModelFormatException>(() => Load(Tiny(key, value)));

    [Theory]
    [InlineData("blk.0.attn_q.weight", "absent")]
    [InlineData("output_norm.weight", "absent")]
    public void Gguf_WithoutATensor_IsRefusedByName(string tensor, string problem)
    {
        string message = Assert.Throws<ModelFormatException>(() => Load(Tiny(without: tensor))).Message;
        Assert.Contains(tensor, message, StringComparison.Ordinal);
        Assert.Contains(problem, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gguf_WithATensorOfAnotherShape_IsRefusedWithBothShapes()
    {
        string message = Assert.Throws<ModelFormatException>(() => Load(Tiny(without: "blk.0.attn_v.weight").AddTensor("blk.0.attn_v.weight", 0, [16, 32], new byte[2048]))).Message;
        Assert.Contains("\"blk.0.attn_v.weight\" has the shape [32, 16]; expected [16, 32]", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gguf_WithATensorThatHasNoPlace_IsRefused()
    {
        string message = Assert.Throws<ModelFormatException>(() => Load(Tiny().AddTensor("blk.0.attn_q_norm.weight", 0, [16], new byte[64]))).Message;
        Assert.Contains("\"blk.0.attn_q_norm.weight\" has no place", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gguf_WithWeightsBeyondItsLayers_IsRefusedWithBothNumbers()
    {
        string message = Assert.Throws<ModelFormatException>(() => Load(Tiny().AddTensor("blk.2.attn_norm.weight", 0, [32], new byte[128]))).Message;
        Assert.Contains("weights for layer 2", message, StringComparison.Ordinal);
        Assert.Contains("speaks of 1 layers", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gguf_WithMoreTokensThanRows_IsRefusedWithBothNumbersAndFewerArePadding()
    {
        static string[] Tokens(int count) => [.. Enumerable.Range(0, count).Select(id => $"t{id}")];
        string message = Assert.Throws<ModelFormatException>(() => Load(Tiny().Add("tokenizer.ggml.tokens", Tokens(11)))).Message;
        Assert.Contains("has 11 tokens", message, StringComparison.Ordinal);
        Assert.Contains("has 10 rows", message, StringComparison.Ordinal);
        Load(Tiny().Add("tokenizer.ggml.tokens", Tokens(10)));
        Load(Tiny("llama.vocab_size", 9).Add("tokenizer.ggml.tokens", Tokens(9)));
    }

    [Fact]
    public void Gguf_CutWithinAStringOrAnArray_IsRefusedWithTheAdviceToGetItAgain()
    {
        byte[] whole = new GgufBuilder().Add("general.architecture", "llama").Add("ints", [.. Enumerable.Range(0, 100)]).Add("text", new string('x', 100)).Add("pieces", "first", new string('y', 100)).Build();
        using TestFolder folder = new();
        for (int length = 24; length < whole.Length - 32; length++)
        {
            string path = folder.Write("cut.gguf", whole[..length]);
            Assert.Contains("get it again", Assert.Throws<ModelFormatException>(() => GgufFile.Open(path).Dispose()).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Gguf_WithLongRopeFactors_ReadsBothSetsAndTheirFactor()
    {
        using TestFolder folder = new();
        byte[] shortFactors = MemoryMarshal.AsBytes<float>([1, 1, 1, 1, 1, 1, 1, 2]).ToArray();
        byte[] longFactors = MemoryMarshal.AsBytes<float>([3, 3, 3, 3, 3, 3, 3, 4]).ToArray();
        GgufBuilder builder = Tiny("llama.rope.scaling.original_context_length", 32).Add("llama.rope.scaling.attn_factor", 1.25f)
            .AddTensor("rope_factors_short.weight", 0, [8], shortFactors).AddTensor("rope_factors_long.weight", 0, [8], longFactors);
        using ModelHeader header = ModelHeader.Open(folder.Write("model.gguf", builder.Build()));
        LongRopeScaling scaling = Assert.IsType<LongRopeScaling>(header.Config.Layers[0].Rope!.Scaling);
        Assert.Equal((2f, 4f, 32, 1.25), (scaling.ShortFactors[7], scaling.LongFactors[7], scaling.OriginalContext, scaling.Attention));
    }

    [Fact]
    public void Gguf_Tiny_Loads() => Load(Tiny());

    private static void Load(GgufBuilder builder)
    {
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(folder.Write("model.gguf", builder.Build()), context);
        Assert.Equal(1, loaded.Config.NumLayers);
    }

    /// <summary>A llama of one layer and zeros, with one value or tensor other than it should be.</summary>
    private static GgufBuilder Tiny(string key = "", uint value = 0, string without = "")
    {
        GgufBuilder builder = new GgufBuilder().Add("general.architecture", "llama").Add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        (string Key, uint Value)[] values =
        [
            ("llama.block_count", 1), ("llama.embedding_length", 32), ("llama.attention.head_count", 2), ("llama.attention.head_count_kv", 1), ("llama.feed_forward_length", 48),
            ("llama.context_length", 64),
        ];
        foreach ((string own, uint number) in values.Where(pair => pair.Key != key))
        {
            builder.Add(own, number);
        }

        if (key.Length > 0)
        {
            builder.Add(key, value);
        }

        (string Name, ulong[] Dimensions)[] tensors =
        [
            ("token_embd.weight", [32, 10]), ("output_norm.weight", [32]), ("blk.0.attn_norm.weight", [32]), ("blk.0.ffn_norm.weight", [32]), ("blk.0.attn_q.weight", [32, 32]), ("blk.0.attn_k.weight", [32, 16]),
            ("blk.0.attn_v.weight", [32, 16]), ("blk.0.attn_output.weight", [32, 32]), ("blk.0.ffn_gate.weight", [32, 48]), ("blk.0.ffn_up.weight", [32, 48]), ("blk.0.ffn_down.weight", [48, 32]),
        ];
        foreach ((string name, ulong[] dimensions) in tensors.Where(tensor => tensor.Name != without))
        {
            builder.AddTensor(name, (uint)TensorType.F32, dimensions, new byte[4 * (int)dimensions.Aggregate((a, b) => a * b)]);
        }

        return builder;
    }

    private static GgufBuilder Convert(string path, string architecture)
    {
        using HuggingFaceFolder folder = HuggingFaceFolder.Open(path);
        using ModelHeader header = ModelHeader.Open(path);
        DecoderConfig config = header.Config;
        LayerConfig layer = config.Layers[0];
        GgufBuilder builder = new GgufBuilder().Add("general.architecture", architecture);
        void Int(string key, int value) => builder.Add($"{architecture}.{key}", (uint)value);
        void Float(string key, double value) => builder.Add($"{architecture}.{key}", (float)value);
        Int("block_count", config.NumLayers);
        Int("embedding_length", config.HiddenSize);
        Int("context_length", config.ContextLength);
        Int("feed_forward_length", layer.IntermediateSize);
        Int("attention.head_count", layer.NumHeads);
        Int("attention.head_count_kv", layer.NumKvHeads);
        Int("attention.key_length", layer.HeadDim);
        Int("attention.value_length", layer.HeadDim);
        Float(config.Norm.Kind == NormKind.Rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon", config.Norm.Epsilon);
        Float("attention.scale", layer.AttentionScale); // the reference's scale is none that converters have a rule for
        if (config.Layers.Max(each => each.SlidingWindow) is var window and > 0)
        {
            Int("attention.sliding_window", window);
        }

        if (architecture == "gemma3")
        {
            Int("attention.sliding_window_pattern", 3);
        }

        if (layer.AttentionSoftcap > 0)
        {
            Float("attn_logit_softcapping", layer.AttentionSoftcap);
            Float("final_logit_softcapping", config.LogitSoftcap);
        }

        if (config.Layers[^1].Rope is { } rope)
        {
            Int("rope.dimension_count", rope.RotaryDims);
            Float("rope.freq_base", rope.Theta);
            AddScaling(builder, architecture, rope);
        }

        foreach (StoredTensor tensor in folder.Tensors)
        {
            string name = header.Family.CanonicalName(tensor.Name)!;
            float[] values = Turned(tensor, name, header, architecture);
            bool turned = header.Family.IsInputMajor(name);
            ulong[] dimensions = tensor.Shape.Length == 1 ? [(ulong)tensor.Columns] : turned ? [(ulong)tensor.Rows, (ulong)tensor.Columns] : [(ulong)tensor.Columns, (ulong)tensor.Rows];
            builder.AddTensor(name, (uint)TensorType.F32, dimensions, MemoryMarshal.AsBytes<float>(values).ToArray());
        }

        return builder;
    }

    private static void AddScaling(GgufBuilder builder, string architecture, RopeConfig rope)
    {
        switch (rope.Scaling)
        {
            case LinearScaling linear:
                builder.Add($"{architecture}.rope.scaling.type", "linear").Add($"{architecture}.rope.scaling.factor", (float)linear.Factor);
                break;
            case YarnScaling yarn:
                builder.Add($"{architecture}.rope.scaling.type", "yarn").Add($"{architecture}.rope.scaling.factor", (float)yarn.Factor)
                    .Add($"{architecture}.rope.scaling.original_context_length", (uint)yarn.OriginalContext);
                break;
            case Llama3Scaling:
                double[] scaled = rope.Frequencies(0).InverseFrequencies;
                double[] plain = (rope with { Scaling = null }).Frequencies(0).InverseFrequencies;
                float[] factors = [.. plain.Zip(scaled, (a, b) => (float)(a / b))];
                builder.AddTensor("rope_freqs.weight", (uint)TensorType.F32, [(ulong)factors.Length], MemoryMarshal.AsBytes<float>(factors).ToArray());
                break;
        }
    }

    /// <summary>A tensor's values as a converter writes them.</summary>
    private static float[] Turned(StoredTensor tensor, string name, ModelHeader header, string architecture)
    {
        LayerConfig layer = header.Config.Layers[0];
        float[] values = MemoryMarshal.Cast<byte, float>(tensor.Data.Read(0, (int)tensor.Data.Length)).ToArray();
        bool isProjection = name.EndsWith("attn_q.weight", StringComparison.Ordinal) || name.EndsWith("attn_k.weight", StringComparison.Ordinal);
        if (architecture == "llama" && isProjection)
        {
            // Rows of a head: the first of the two halves, the second of the two halves, the first of ...
            int half = layer.HeadDim / 2;
            return Rows(values, (int)tensor.Columns, row => (row / layer.HeadDim * layer.HeadDim) + (row % layer.HeadDim / 2) + (row % 2 * half));
        }

        if (header.Config.Norm.UnitOffset && name.EndsWith("norm.weight", StringComparison.Ordinal))
        {
            return Array.ConvertAll(values, value => 1 + value);
        }

        if (name.Contains("attn_qkv", StringComparison.Ordinal) && header.Family.HuggingFaceFusedOrder == FusedOrder.PerHead)
        {
            int width = tensor.Shape.Length == 1 ? 1 : (int)tensor.Columns;
            int e = layer.HeadDim;
            return Rows(values, width, row => (row % layer.QuerySize / e * 3 * e) + (row / layer.QuerySize * e) + (row % e));
        }

        return header.Family.IsInputMajor(name) ? Transposed(values, (int)tensor.Rows, (int)tensor.Columns) : values;
    }

    private static float[] Rows(float[] values, int width, Func<int, int> source) =>
        [.. Enumerable.Range(0, values.Length / width).SelectMany(row => values.Skip(source(row) * width).Take(width))];

    private static float[] Transposed(float[] values, int rows, int columns) =>
        [.. Enumerable.Range(0, columns).SelectMany(column => Enumerable.Range(0, rows).Select(row => values[(row * columns) + column]))];
}
