// From texts to the vectors that a classifier decides by, of an encoder or a decoder. Knows no labels.
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Text.Tokenizers;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Inference.Classification;

/// <summary>Makes a vector of each text with a model that stays as it is. Not for several threads at once.</summary>
/// <remarks>A text's vector does not depend on the texts beside it.</remarks>
public abstract class TextFeatures : IDisposable
{
    /// <summary>Values of a vector.</summary>
    public abstract int Width { get; }

    /// <summary>How states become one vector.</summary>
    public abstract Pooling Pooling { get; }

    /// <summary>The words of the model.</summary>
    public abstract ModelText Text { get; }

    /// <summary>Tokens that it reads of a text, with the special ones around it.</summary>
    public abstract int MaxTokens { get; }

    /// <summary>The vectors of some texts, in their order.</summary>
    /// <param name="texts">Any texts; those longer than the model reads are cut.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    public abstract TextEmbedding[] Of(IReadOnlyList<string> texts, CancellationToken cancellation = default);

    /// <summary>Opens a model: a folder with an encoder, or anything that holds a decoder.</summary>
    /// <param name="path">Where it lies.</param>
    /// <param name="pooling">How states become one vector; null for an encoder's own way, and the mean of a decoder's.</param>
    /// <param name="context">How to compute; stays the caller's.</param>
    /// <exception cref="ModelFormatException">It is no model.</exception>
    public static TextFeatures Open(string path, Pooling? pooling, ComputeContext context) =>
        LoadedEncoder.IsEncoder(path) ? OfEncoder.Load(path, pooling, context) : OfDecoder.Load(path, pooling ?? Pooling.Mean, context);

    /// <inheritdoc/>
    public abstract void Dispose();

    private sealed class OfEncoder(LoadedEncoder encoder, ModelText text, TextEmbedder embedder) : TextFeatures
    {
        public override int Width => encoder.Model.Config.HiddenSize;

        public override Pooling Pooling => embedder.Pooling;

        public override ModelText Text => text;

        public override int MaxTokens => encoder.MaxTokens;

        public static OfEncoder Load(string path, Pooling? pooling, ComputeContext context)
        {
            LoadedEncoder encoder = LoadedEncoder.Load(path, context);
            ModelText text = ModelText.Of(encoder.Folder);
            return new OfEncoder(encoder, text, new TextEmbedder(encoder, text.Tokenizer, context) { Pooling = pooling ?? encoder.Pooling });
        }

        public override TextEmbedding[] Of(IReadOnlyList<string> texts, CancellationToken cancellation) => embedder.Embed(texts, cancellation);

        public override void Dispose()
        {
            text.Dispose();
            encoder.Dispose();
        }
    }

    /// <summary>A decoder's states after the last layer.</summary>
    private sealed class OfDecoder(LoadedModel loaded, ModelText text, Pooling pooling, ComputeContext context) : TextFeatures
    {
        private const int MostTokens = 512; // of a text
        private readonly SequenceBatch _batch = new() { Taps = new LayerTaps([loaded.Config.NumLayers - 1], []) };

        public override int Width => loaded.Config.HiddenSize;

        public override Pooling Pooling => pooling;

        public override ModelText Text => text;

        public override int MaxTokens => Math.Min(MostTokens, loaded.Config.ContextLength);

        public static OfDecoder Load(string path, Pooling pooling, ComputeContext context)
        {
            LoadedModel loaded = ModelLoader.Load(path, context);
            ModelText text = ModelText.Of(loaded.Header);
            if (text.HasTokenizer)
            {
                return new OfDecoder(loaded, text, pooling, context);
            }

            loaded.Dispose();
            throw new ModelFormatException(path, -1, "The model has no tokenizer, so it cannot read texts. Give one that has.");
        }

        public override TextEmbedding[] Of(IReadOnlyList<string> texts, CancellationToken cancellation) => [.. texts.Select(line => Of(line, cancellation))];

        public override void Dispose()
        {
            _batch.Dispose();
            loaded.Dispose();
        }

        private TextEmbedding Of(string line, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            Tokenizer tokenizer = text.Tokenizer;
            int[] ids = tokenizer.EncodeCut(line, MaxTokens, out int whole);
            ids = ids.Length > 0 ? ids : [tokenizer.BosId ?? tokenizer.EosId ?? 0]; // an empty line
            _batch.Clear();
            _batch.Add(null, ids, LogitRows.None);
            int mark = context.Mark();
            loaded.Model.Forward(context, _batch);
            context.ReleaseTo(mark);
            Tensor states = _batch.Taps!.Hidden(loaded.Config.NumLayers - 1);
            float[] pooled = new float[states.Columns];
            if (pooling == Pooling.Mean)
            {
                for (int row = 0; row < states.Rows; row++)
                {
                    TensorPrimitives.Add(pooled, states.Row(row), pooled);
                }

                TensorPrimitives.Divide(pooled, states.Rows, pooled);
            }
            else
            {
                states.Row(pooling == Pooling.Cls ? 0 : states.Rows - 1).CopyTo(pooled);
            }

            return new TextEmbedding(pooled, ids.Length, whole);
        }
    }
}
