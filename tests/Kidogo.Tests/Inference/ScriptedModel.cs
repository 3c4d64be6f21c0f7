// A model whose likeliest next token is known: each token is one basis vector, and the head turns it into the next. For tests of what is built on a model.
using System.Runtime.InteropServices;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Inference;

/// <summary>A tiny Llama file without attention and feed-forward to speak of, in which token t is followed by <c>next[t]</c>.</summary>
internal sealed class ScriptedModel : IDisposable
{
    public const int ContextLength = 64;

    private const uint Hidden = 64; // the most tokens: each has its own direction
    private const float Certainty = 4; // the next token's logit is 4 · √64 = 32, all others' 0
    private const uint NormalToken = 1, ControlToken = 3;

    private readonly TestFolder _folder = new();

    /// <summary>A model over the pieces; those in angle brackets with bars are control tokens, and the first of them ends a text.</summary>
    /// <param name="pieces">Pieces in the byte-level spelling. The model may have more rows than that: one for each of <paramref name="next"/>.</param>
    /// <param name="next">By token, the token that follows.</param>
    public ScriptedModel(string[] pieces, params int[] next)
    {
        bool IsControl(string piece) => piece.StartsWith("<|", StringComparison.Ordinal);
        GgufBuilder file = new GgufBuilder()
            .Add("general.architecture", "llama")
            .Add("llama.block_count", 1u)
            .Add("llama.embedding_length", Hidden)
            .Add("llama.context_length", (uint)ContextLength)
            .Add("llama.attention.head_count", 2u)
            .Add("llama.feed_forward_length", 32u)
            .Add("llama.attention.layer_norm_rms_epsilon", 0f)
            .Add("tokenizer.ggml.model", "gpt2")
            .Add("tokenizer.ggml.pre", "gpt-2")
            .Add("tokenizer.ggml.tokens", pieces)
            .Add("tokenizer.ggml.token_type", [.. pieces.Select(piece => (int)(IsControl(piece) ? ControlToken : NormalToken))])
            .AddArray("tokenizer.ggml.merges", 8, 0, []);
        int end = Array.FindIndex(pieces, IsControl);
        file = end < 0 ? file : file.Add("tokenizer.ggml.eos_token_id", (uint)end);
        float[] head = new float[next.Length * (int)Hidden];
        float[] embedding = new float[next.Length * (int)Hidden];
        for (int token = 0; token < next.Length; token++)
        {
            embedding[(token * (int)Hidden) + token] = 1;
            head[(next[token] * (int)Hidden) + token] = Certainty;
        }

        Add("token_embd.weight", next.Length, embedding);
        Add("output.weight", next.Length, head);
        Add("output_norm.weight", 1, Ones());
        Add("blk.0.attn_norm.weight", 1, Ones());
        Add("blk.0.ffn_norm.weight", 1, Ones());
        foreach (string matrix in (string[])["attn_q", "attn_k", "attn_v", "attn_output"])
        {
            Add($"blk.0.{matrix}.weight", (int)Hidden, new float[Hidden * Hidden]);
        }

        Add("blk.0.ffn_gate.weight", 32, new float[32 * Hidden]);
        Add("blk.0.ffn_up.weight", 32, new float[32 * Hidden]);
        file = file.AddTensor("blk.0.ffn_down.weight", (uint)TensorType.F32, [32, Hidden], new byte[Hidden * 32 * sizeof(float)]);
        Context = ComputeContext.Inference(1);
        Loaded = ModelLoader.Load(_folder.Write("model.gguf", file.Build()), Context);
        Tokenizer = GgufTokenizer.Read(Loaded.Header.Gguf!.Metadata);

        void Add(string name, int rows, float[] values) =>
            file = file.AddTensor(name, (uint)TensorType.F32, rows == 1 ? [Hidden] : [Hidden, (ulong)rows], MemoryMarshal.AsBytes<float>(values).ToArray());
    }

    /// <summary>A model without words that counts: token t is followed by t + 1, the last by the first.</summary>
    public static ScriptedModel Counting(int tokens) =>
        new([.. Enumerable.Range(0, tokens).Select(i => ((char)('!' + i)).ToString())], [.. Enumerable.Range(0, tokens).Select(i => (i + 1) % tokens)]);

    public ComputeContext Context { get; }

    public LoadedModel Loaded { get; }

    public DecoderModel Model => Loaded.Model;

    public Tokenizer Tokenizer { get; }

    public CachedSequence Sequence(int contextLength = 0) => new(Model, contextLength);

    public void Dispose()
    {
        Loaded.Dispose();
        Context.Dispose();
        _folder.Dispose();
    }

    private static float[] Ones() => [.. Enumerable.Repeat(1f, (int)Hidden)];
}
