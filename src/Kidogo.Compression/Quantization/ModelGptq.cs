// GPTQ over a whole model, block by block in bounded memory, going on where it was interrupted. Knows no command line and writes no model.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Kidogo.Compression.Calibration;
using Kidogo.Models;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;

namespace Kidogo.Compression.Quantization;

/// <summary>How <see cref="ModelGptq"/> goes about it.</summary>
public sealed record ModelGptqOptions
{
    /// <summary>The folder of the blocks that are done. Another run with the same model, text, formats and options goes on from there.</summary>
    public required string WorkFolder { get; init; }

    /// <summary>Tokens of a sequence; a last one that is shorter is left out. Default 512.</summary>
    public int SequenceTokens { get; init; } = 512;

    /// <summary>What is added to the diagonals of Hessians, as a share of their mean. Default 0.01.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary>
    /// What is added to the diagonal of the Hessian of a head that is also the embedding, as a share of its mean: so much does an error of a weight count in itself, for the embedding's sake, beside what
    /// the head's inputs make of it. Default 0.1; <see cref="Search.ModelCosts.HeadRidge"/> is what a model was measured to need.
    /// </summary>
    public double HeadRidge { get; init; } = 0.1;

    /// <summary>As <see cref="GptqOptions.KeepsZeros"/>: for models that were pruned. Default false.</summary>
    public bool KeepsZeros { get; init; }

    /// <summary>Called with the steps done and all; may be null.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>GPTQ (Frantar et al., arXiv 2210.17323) of the matrices in the blocks of a model, and of its head, into formats with blocks.</summary>
/// <remarks>
/// Columns go in the order of falling activation, scales come from the weights as they were, found with the cost that an error has after all that can be made good
/// (1 / U², as the importance of the format's own encoder). In memory are the model, the residual stream of the text (4 bytes for each token and hidden channel), and one block's matrices.
/// </remarks>
public static class ModelGptq
{

    /// <summary>Quantises.</summary>
    /// <param name="model">The model; its slots are replaced meanwhile and put back.</param>
    /// <param name="context">A training context: nothing is recorded, but everything is in float32.</param>
    /// <param name="ids">The text to calibrate on, cut into sequences from its beginning.</param>
    /// <param name="formatOf">The format of a slot (<c>blk.0.attn_q</c>); null to keep it as it is.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">Looked at between passes; blocks that are done stay in the folder.</param>
    /// <exception cref="CalibrationException">The text is too short, or activations are damaged.</exception>
    /// <exception cref="Models.Export.ModelTensorException">A weight is not finite, or cannot be stored.</exception>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public static QuantizedRows Run(DecoderModel model, ComputeContext context, ReadOnlyMemory<int> ids, Func<string, WeightFormat?> formatOf, ModelGptqOptions options, CancellationToken cancellation = default)
    {
        const int Steps = SlotInputs.Count + 1; // of a block: its inputs, and going on
        ids = ImportanceCollector.Whole(ids, options.SequenceTokens, model);
        using BlockWalk walk = new(model, context);
        QuantizedRows rows = new(options.WorkFolder);
        try
        {
            Tensor[] states = ImportanceCollector.Embedded(walk, context, ids, options.SequenceTokens);
            BlockGptq gptq = new(model, walk, context, ids, options);
            byte[] key = FirstKey(model, ids, options);
            long total = (long)walk.Blocks * Steps;
            for (int block = 0; block < walk.Blocks; block++)
            {
                long before = (long)block * Steps;
                key = NextKey(key, walk.Slots(block), formatOf);
                IReadOnlyList<QuantizedMatrix>? matrices = rows.Find(block, key);
                if (matrices is null)
                {
                    matrices = gptq.Quantize(block, states, formatOf, step => options.Progress?.Invoke(before + step, total), cancellation);
                    rows.Add(block, key, matrices);
                }

                gptq.Advance(block, states, matrices, cancellation);
                options.Progress?.Invoke(before + Steps, total);
            }

            Head(model, walk, context, states, formatOf, options, rows, key);
            return rows;
        }
        catch
        {
            rows.Dispose();
            throw;
        }
    }

    /// <summary>The head, by what goes into it.</summary>
    private static void Head(DecoderModel model, BlockWalk walk, ComputeContext context, Tensor[] states, Func<string, WeightFormat?> formatOf, ModelGptqOptions options, QuantizedRows rows, byte[] key)
    {
        IReadOnlyList<Layer> slots = model.Slots();
        Layer head = slots.FirstOrDefault(slot => slot is Linear && slot.Name == "output") ?? slots.First(slot => slot is TokenEmbedding);
        if (formatOf(head.Name) is not { } format)
        {
            return;
        }

        Tensor sums = new(model.Config.HiddenSize, model.Config.HiddenSize);
        ColumnSums columns = new(model.Config.HiddenSize);
        foreach (Tensor state in states)
        {
            Tensor normed = walk.Finish(state);
            columns.Add(normed);
            GramSums.Add(context, normed, sums);
            context.Forget();
        }

        if (format.CodeCount == 0)
        {
            rows.HeadImportance = columns.Importance("the head").MeanSquares;
            return;
        }

        key = NextKey([.. key, .. BitConverter.GetBytes(options.HeadRidge)], [head], formatOf);
        if (rows.Find(walk.Blocks, key) is null)
        {
            Weight weight = head is Linear linear ? linear.Weight : ((TokenEmbedding)head).Weight;
            double damping = head is Linear ? options.Damping : Math.Max(options.Damping, options.HeadRidge);
            rows.Add(walk.Blocks, key, [BlockGptq.RoundHead(head.Name, weight, format, sums, damping, context.Team.Threads)]);
        }

        rows.HeadTensor = $"{head.Name}.weight";
    }

    private static byte[] FirstKey(DecoderModel model, ReadOnlyMemory<int> ids, ModelGptqOptions options)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"gptq 2 {options.Damping:R} {options.SequenceTokens}{(options.KeepsZeros ? " zeros" : "")}")));
        hash.AppendData(MemoryMarshal.AsBytes(ids.Span));
        foreach (TokenEmbedding embedding in model.Slots().OfType<TokenEmbedding>())
        {
            AddValues(hash, embedding);
        }

        return hash.GetHashAndReset();
    }

    private static byte[] NextKey(byte[] key, IReadOnlyList<Layer> layers, Func<string, WeightFormat?> formatOf)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(key);
        foreach (Layer layer in layers)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{layer.Name} {formatOf(layer.Name)?.Name}"));
            AddValues(hash, layer);
        }

        return hash.GetHashAndReset();
    }

    /// <summary>Adds all values of a slot to a hash.</summary>
    internal static void AddValues(IncrementalHash hash, Layer layer)
    {
        switch (layer)
        {
            case TokenEmbedding embedding:
                AddRows(hash, embedding.Weight);
                break;
            case Linear linear:
                AddRows(hash, linear.Weight);
                hash.AppendData(MemoryMarshal.AsBytes(linear.Bias is null ? [] : linear.Bias.Span));
                break;
            case RmsNorm norm:
                hash.AppendData(MemoryMarshal.AsBytes(norm.Weight.Span));
                break;
            case LayerNorm norm:
                hash.AppendData(MemoryMarshal.AsBytes(norm.Weight.Span));
                hash.AppendData(MemoryMarshal.AsBytes(norm.Bias is null ? [] : norm.Bias.Span));
                break;
        }
    }

    private static void AddRows(IncrementalHash hash, Weight weight)
    {
        float[] row = new float[weight.Columns];
        for (int r = 0; r < weight.Rows; r++)
        {
            weight.DecodeRow(r, row);
            hash.AppendData(MemoryMarshal.AsBytes<float>(row));
        }
    }
}
