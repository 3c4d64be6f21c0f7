// From a folder to an encoder that runs, with what the folder says about pooling. Knows no text.
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Encoders;

/// <summary>How the states of a text's tokens become one vector.</summary>
public enum Pooling
{
    /// <summary>The mean over all tokens.</summary>
    Mean,

    /// <summary>The first token's.</summary>
    Cls,

    /// <summary>The last token's.</summary>
    Last,
}

/// <summary>An encoder with the folder it is from, which stays open as long as it lives.</summary>
public sealed class LoadedEncoder : IDisposable
{
    private const int MaxConfigBytes = 1 << 20;

    private LoadedEncoder(EncoderModel model, HuggingFaceFolder folder)
    {
        Model = model;
        Folder = folder;
    }

    /// <summary>The model.</summary>
    public EncoderModel Model { get; }

    /// <summary>The folder, with the tokenizer's files.</summary>
    public HuggingFaceFolder Folder { get; }

    /// <summary>How its makers pool; the mean where they do not say.</summary>
    public Pooling Pooling { get; private init; }

    /// <summary>Whether vectors are brought to length 1: where the folder lists such a module, or no modules at all.</summary>
    public bool Normalizes { get; private init; }

    /// <summary>Tokens after which a text is cut: those of <c>sentence_bert_config.json</c>, at most the model's context.</summary>
    public int MaxTokens { get; private init; }

    /// <summary>Whether a folder holds an encoder.</summary>
    /// <exception cref="ModelFormatException">The folder or its config.json is not what it should be.</exception>
    public static bool IsEncoder(string path)
    {
        if (!Directory.Exists(path))
        {
            return false;
        }

        using HuggingFaceFolder folder = HuggingFaceFolder.Open(path);
        return folder.Config is { } config && EncoderFamily.Of(config) is not null;
    }

    /// <summary>Loads an encoder.</summary>
    /// <param name="path">A Hugging Face folder.</param>
    /// <param name="context">Says in which precision weights will be computed with, and lends its threads.</param>
    /// <exception cref="ModelFormatException">The folder is not what it should be, or holds no encoder that Kidogo runs.</exception>
    /// <exception cref="IOException">The folder is absent or cannot be read.</exception>
    public static LoadedEncoder Load(string path, ComputeContext context)
    {
        if (File.Exists(path))
        {
            throw new ModelFormatException(path, -1, "An encoder is read from a Hugging Face folder, and this is a file. Give the folder with config.json, model.safetensors and tokenizer.json.");
        }

        HuggingFaceFolder folder = HuggingFaceFolder.Open(path);
        try
        {
            JsonFields fields = folder.RequireConfig();
            EncoderFamily family = EncoderFamily.Of(fields) ?? throw fields.Refuse(
                "model_type", $"is no encoder that Kidogo runs. Known: {string.Join(", ", EncoderFamily.All.Select(each => each.ModelType))}. Decoders are for kidogo run.");
            EncoderConfig config = family.Read(fields).Check(fields.File);
            TensorSource source = new(path, folder.Tensors, family.CanonicalName, _ => false, FusedOrder.Concatenated);
            EncoderModel model = new Builder(config, source, context).Build();
            source.RefuseUnused(config.NumLayers);
            return new LoadedEncoder(model, folder)
            {
                Pooling = ReadPooling(folder),
                Normalizes = ReadNormalizes(folder),
                MaxTokens = Math.Min(config.ContextLength, folder.Json("sentence_bert_config.json", MaxConfigBytes)?.TryInt("max_seq_length", 1, ConfigLimits.Context) ?? config.ContextLength),
            };
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        Folder.Dispose();
    }

    private static Pooling ReadPooling(HuggingFaceFolder folder)
    {
        if (folder.Json("1_Pooling/config.json", MaxConfigBytes) is not { } fields)
        {
            return Pooling.Mean;
        }

        (string Field, Pooling Pooling)[] known = [("pooling_mode_mean_tokens", Pooling.Mean), ("pooling_mode_cls_token", Pooling.Cls), ("pooling_mode_lasttoken", Pooling.Last)];
        string[] asked = [.. fields.Names.Where(name => name.StartsWith("pooling_mode_", StringComparison.Ordinal) && fields.GetBool(name, false))];
        return asked.Length == 1 && known.FirstOrDefault(pair => pair.Field == asked[0]) is { Field: not null } found
            ? found.Pooling
            : throw fields.Refuse("pooling_mode", $"asks for {(asked.Length == 0 ? "nothing" : string.Join(" and ", asked))}; expected one of {string.Join(", ", known.Select(pair => pair.Field))}.");
    }

    private static bool ReadNormalizes(HuggingFaceFolder folder)
    {
        const int MaxModules = 1 << 16;
        return folder.FindFile("modules.json") is not { } path || System.Text.Encoding.UTF8.GetString(SmallFile.Read(path, MaxModules)).Contains("models.Normalize", StringComparison.Ordinal);
    }

    private sealed class Builder(EncoderConfig config, TensorSource source, ComputeContext context)
    {
        private readonly NormConfig _norm = new(NormKind.Layer, config.NormEpsilon, Bias: true);
        private readonly List<Weight> _opened = [];

        public EncoderModel Build()
        {
            try
            {
                TokenEmbedding? types = config.Types == 0 ? null : Table("token_types", config.Types);
                EncoderBlock[] blocks = [.. Enumerable.Range(0, config.NumLayers).Select(Block)];
                return new EncoderModel(config, Table("token_embd", config.VocabSize), Table("position_embd", config.Positions), types, MakeNorm("token_embd_norm"), blocks);
            }
            catch
            {
                _opened.ForEach(weight => weight.Dispose());
                throw;
            }
        }

        private EncoderBlock Block(int index)
        {
            string In(string name) => CanonicalNames.InLayer(index, name);
            int hidden = config.HiddenSize, headDim = hidden / config.NumHeads;
            AttentionShape shape = new(config.NumHeads, config.NumHeads, headDim, 1 / MathF.Sqrt(headDim), 0, 0, SeesAll: true);
            AttentionParts attention = new(
                MakeLinear(In("attn_q"), hidden, hidden), MakeLinear(In("attn_k"), hidden, hidden), MakeLinear(In("attn_v"), hidden, hidden), MakeLinear(In("attn_output"), hidden, hidden), null, null);
            FeedForward feedForward = new(
                config.Activation, null, MakeLinear(In("ffn_up"), config.IntermediateSize, hidden), MakeLinear(In("ffn_down"), hidden, config.IntermediateSize));
            return new EncoderBlock(shape, attention, feedForward, MakeNorm(In("attn_output_norm")), MakeNorm(In("layer_output_norm")));
        }

        private TokenEmbedding Table(string name, int rows) => new(name, Matrix(name, rows, config.HiddenSize), 1);

        private Linear MakeLinear(string name, int rows, int columns) => new(name, Matrix(name, rows, columns), source.ReadVector($"{name}.bias", rows));

        private Norm MakeNorm(string name) =>
            Norm.Create(name, _norm, source.ReadVector($"{name}.weight", config.HiddenSize), source.ReadVector($"{name}.bias", config.HiddenSize));

        private Weight Matrix(string name, int rows, int columns)
        {
            Weight weight = source.OpenMatrix($"{name}.weight", rows, columns, null, context);
            _opened.Add(weight);
            return weight;
        }
    }
}
