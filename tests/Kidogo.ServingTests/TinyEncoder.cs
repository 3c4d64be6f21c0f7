// A small encoder with random weights and a vocabulary of letters, as a folder. For tests of what is built on an encoder.
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Kidogo.Models.Encoders;
using Kidogo.Models.Files;
using Kidogo.Serving;
using Kidogo.Tensors;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

/// <summary>Makes the encoder: BERT with one layer, a token for each letter and digit, and vectors that may be cut to <see cref="Cut"/> numbers.</summary>
internal static class TinyEncoder
{
    public const int Dimensions = 32, Cut = 8, Context = 64;

    private const int Inner = 48;
    private const string Characters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!";

    private static readonly string[] s_special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

    /// <summary>Ids of the vocabulary: the special ones, then each character at a word's beginning and within one.</summary>
    public static int Vocabulary => s_special.Length + (2 * Characters.Length);

    /// <summary>Writes the encoder's files.</summary>
    /// <returns>The encoder's folder.</returns>
    public static string Write(TestFolder folder, string name = "tiny-encoder")
    {
        folder.Write($"{name}/config.json", $$"""
            {"architectures":["BertModel"],"model_type":"bert","hidden_size":{{Dimensions}},"intermediate_size":{{Inner}},"num_hidden_layers":1,"num_attention_heads":2,"hidden_act":"gelu",
            "layer_norm_eps":1e-12,"max_position_embeddings":{{Context}},"type_vocab_size":2,"vocab_size":{{Vocabulary}},"pad_token_id":0,"matryoshka_dimensions":[{{Cut}},{{Dimensions}}]}
            """);
        folder.Write($"{name}/tokenizer.json", Tokenizer().ToJsonString());
        TensorToWrite[] tensors = Tensors();
        using FileStream stream = File.Create(folder[$"{name}/model.safetensors"]);
        SafetensorsWriter.Write(stream, tensors);
        return folder[name];
    }

    /// <summary>The encoder of a folder, being served.</summary>
    public static ServedEncoder Serve(string path, string id = "tiny-encoder")
    {
        ComputeContext context = ComputeContext.Inference(1);
        return new ServedEncoder(id, LoadedEncoder.Load(path, context), context);
    }

    private static JsonObject Tokenizer()
    {
        JsonObject vocabulary = [];
        foreach (string piece in (IEnumerable<string>)[.. s_special, .. Characters.Select(c => c.ToString()), .. Characters.Select(c => $"##{c}")])
        {
            vocabulary.Add(piece, vocabulary.Count);
        }

        JsonArray added = [.. s_special.Select((piece, id) => new JsonObject { ["id"] = id, ["special"] = true, ["content"] = piece, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false })];
        JsonObject Special(string piece) => new() { ["SpecialToken"] = new JsonObject { ["id"] = piece, ["type_id"] = 0 } };
        JsonObject Ids(string piece) => new() { ["id"] = piece, ["ids"] = new JsonArray(Array.IndexOf(s_special, piece)), ["tokens"] = new JsonArray(piece) };
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = added,
            ["normalizer"] = new JsonObject { ["type"] = "BertNormalizer", ["clean_text"] = true, ["handle_chinese_chars"] = true, ["strip_accents"] = null, ["lowercase"] = true },
            ["pre_tokenizer"] = new JsonObject { ["type"] = "BertPreTokenizer" },
            ["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = new JsonArray(Special("[CLS]"), new JsonObject { ["Sequence"] = new JsonObject { ["id"] = "A", ["type_id"] = 0 } }, Special("[SEP]")),
                ["pair"] = new JsonArray(),
                ["special_tokens"] = new JsonObject { ["[CLS]"] = Ids("[CLS]"), ["[SEP]"] = Ids("[SEP]") },
            },
            ["decoder"] = new JsonObject { ["type"] = "WordPiece", ["prefix"] = "##", ["cleanup"] = true },
            ["model"] = new JsonObject { ["type"] = "WordPiece", ["unk_token"] = "[UNK]", ["continuing_subword_prefix"] = "##", ["max_input_chars_per_word"] = 100, ["vocab"] = vocabulary },
        };
    }

    private static TensorToWrite[] Tensors()
    {
        Random random = new(11);
        List<TensorToWrite> tensors = [];
        void Add(string name, params long[] shape)
        {
            float[] values = new float[shape.Aggregate(1L, (product, size) => product * size)];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = name.EndsWith("LayerNorm.weight", StringComparison.Ordinal) ? 1 : (float)((random.NextDouble() - 0.5) * 0.5);
            }

            tensors.Add(TensorToWrite.Of($"bert.{name}", shape, "F32", MemoryMarshal.AsBytes<float>(values).ToArray()));
        }

        void AddLinear(string name, int rows, int columns)
        {
            Add($"{name}.weight", rows, columns);
            Add($"{name}.bias", rows);
        }

        void AddNorm(string name)
        {
            Add($"{name}.LayerNorm.weight", Dimensions);
            Add($"{name}.LayerNorm.bias", Dimensions);
        }

        Add("embeddings.word_embeddings.weight", Vocabulary, Dimensions);
        Add("embeddings.position_embeddings.weight", Context, Dimensions);
        Add("embeddings.token_type_embeddings.weight", 2, Dimensions);
        AddNorm("embeddings");
        foreach (string part in (string[])["query", "key", "value"])
        {
            AddLinear($"encoder.layer.0.attention.self.{part}", Dimensions, Dimensions);
        }

        AddLinear("encoder.layer.0.attention.output.dense", Dimensions, Dimensions);
        AddNorm("encoder.layer.0.attention.output");
        AddLinear("encoder.layer.0.intermediate.dense", Inner, Dimensions);
        AddLinear("encoder.layer.0.output.dense", Dimensions, Inner);
        AddNorm("encoder.layer.0.output");
        return [.. tensors];
    }
}
