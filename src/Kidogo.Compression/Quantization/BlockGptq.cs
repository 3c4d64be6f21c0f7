// GPTQ of the matrices of one block, one input after the other, each with what the quantised ones before it give. Knows no files.
using Kidogo.Compression.Calibration;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Ops;

namespace Kidogo.Compression.Quantization;

/// <summary>Quantises a block true sequentially: q, k and v, then o, then gate and up, then down.</summary>
/// <remarks>
/// Slots are replaced from outside. To see the inputs of one matrix, those before it are there with their quantised weights, and those behind give zeros without being computed; so every
/// kind of block works alike, be its parts one after the other or side by side, and nothing is kept but the residual stream.
/// </remarks>
/// <param name="model">The model.</param>
/// <param name="walk">Its blocks.</param>
/// <param name="context">A training context.</param>
/// <param name="ids">Whole sequences.</param>
/// <param name="options">How.</param>
internal sealed class BlockGptq(DecoderModel model, BlockWalk walk, ComputeContext context, ReadOnlyMemory<int> ids, ModelGptqOptions options)
{
    /// <summary>Quantises.</summary>
    /// <param name="block">The block.</param>
    /// <param name="states">What goes into it, in passes.</param>
    /// <param name="formatOf">The format of a slot; null to keep it.</param>
    /// <param name="advanced">Called after each pass over the text.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    public IReadOnlyList<QuantizedMatrix> Quantize(int block, Tensor[] states, Func<string, WeightFormat?> formatOf, Action<int> advanced, CancellationToken cancellation)
    {
        Dictionary<string, Linear> originals = Slots(block);
        Dictionary<string, Linear> current = new(originals);
        List<QuantizedMatrix> matrices = [];
        try
        {
            for (int input = 0; input < SlotInputs.Count; input++)
            {
                Linear[] own = [.. originals.Values.Where(slot => InputOf(slot) == input)];
                (Linear Slot, WeightFormat Format)[] targets = [.. own.Select(slot => (slot, Format: formatOf(slot.Name))).Where(each => each.Format is not null).Select(each => (each.slot, each.Format!))];
                if (targets.Length > 0)
                {
                    Tensor sums = Observe(block, states, current, own, cancellation);
                    foreach (QuantizedMatrix matrix in Round(targets, sums))
                    {
                        matrices.Add(matrix);
                        current[matrix.Slot] = Dense(matrix, originals[matrix.Slot]);
                    }
                }

                advanced(input + 1);
            }
        }
        finally
        {
            Release(originals, current);
        }

        return matrices;
    }

    /// <summary>Runs the block with its quantised matrices, in place of what went in.</summary>
    public void Advance(int block, Tensor[] states, IReadOnlyList<QuantizedMatrix> matrices, CancellationToken cancellation)
    {
        Dictionary<string, Linear> originals = Slots(block);
        Dictionary<string, Linear> current = new(originals);
        try
        {
            foreach (QuantizedMatrix matrix in matrices)
            {
                current[matrix.Slot] = Dense(matrix, originals[matrix.Slot]);
            }

            Put(current);
            Pass(block, states, (pass, output) => output.Span.CopyTo(states[pass].Span), cancellation);
        }
        finally
        {
            Release(originals, current);
        }
    }

    private static int InputOf(Linear slot) => SlotInputs.TryFind(slot.Name, out _, out int input) ? input : -1;

    private Dictionary<string, Linear> Slots(int block) => walk.Slots(block).OfType<Linear>().Where(slot => InputOf(slot) >= 0).ToDictionary(slot => slot.Name);

    private void Put(Dictionary<string, Linear> slots) => model.Replace(layer => slots.TryGetValue(layer.Name, out Linear? slot) ? slot : layer);

    private void Release(Dictionary<string, Linear> originals, Dictionary<string, Linear> current)
    {
        Put(originals);
        context.Forget();
        foreach ((string name, Linear slot) in current)
        {
            if (slot != originals[name])
            {
                slot.Weight.Dispose();
            }
        }
    }

    private void Pass(int block, Tensor[] states, Action<int, Tensor> done, CancellationToken cancellation)
    {
        int first = 0;
        for (int pass = 0; pass < states.Length; pass++)
        {
            cancellation.ThrowIfCancellationRequested();
            done(pass, walk.Run(block, states[pass], ids.Span.Slice(first, states[pass].Rows), options.SequenceTokens));
            context.Forget();
            first += states[pass].Rows;
        }
    }

    /// <summary>Σ x xᵀ of what goes into some slots that read the same.</summary>
    private Tensor Observe(int block, Tensor[] states, Dictionary<string, Linear> current, Linear[] own, CancellationToken cancellation)
    {
        int input = InputOf(own[0]);
        Tensor sums = new(own[0].Weight.Columns, own[0].Weight.Columns);
        Dictionary<string, Linear> watched = new(current);
        foreach ((string name, Linear slot) in current)
        {
            if (InputOf(slot) >= input)
            {
                watched[name] = new ObservedLinear(slot, name == own[0].Name ? (surroundings, x) => GramSums.Add(surroundings, x, sums) : null, computes: false);
            }
        }

        Put(watched);
        Pass(block, states, (_, _) => { }, cancellation);
        return sums;
    }

    private IEnumerable<QuantizedMatrix> Round((Linear Slot, WeightFormat Format)[] targets, Tensor sums)
    {
        // Matrices that read the same and have blocks of one size, rounded alike, go in one: the factor of the Hessian is found once.
        foreach (IGrouping<(int Size, bool IsLattice), (Linear Slot, WeightFormat Format)> group in targets.GroupBy(each => (HasGrid(each.Format) ? each.Format.BlockSize : 0, each.Format.Lattice is not null)))
        {
            (Linear Slot, WeightFormat Format)[] own = [.. group];
            int columns = sums.Columns;
            Tensor weights = new(own.Sum(each => each.Slot.Weight.Rows), columns);
            UInt128[] keys = new UInt128[weights.Rows];
            WeightFormat[] formats = [.. own.SelectMany(each => Enumerable.Repeat(each.Format, each.Slot.Weight.Rows))];
            int row = 0;
            foreach ((Linear slot, WeightFormat format) in own)
            {
                for (int r = 0; r < slot.Weight.Rows; r++, row++)
                {
                    slot.Weight.DecodeRow(r, weights.Row(row));
                    RefuseNotFinite($"{slot.Name}.weight", r, weights.Row(row));
                    keys[row] = QuantizedRows.KeyOf(slot.Name, format, weights.Row(row));
                }
            }

            byte[][] rows = group.Key.Size == 0 ? Nearest(weights, formats, sums) : Propagated(own[0].Slot.Name, weights, formats, sums);
            row = 0;
            foreach ((Linear slot, WeightFormat format) in own)
            {
                int end = row + slot.Weight.Rows;
                yield return new QuantizedMatrix(slot.Name, format, columns, keys[row..end], Joined(rows.AsSpan(row..end)));
                row = end;
            }
        }
    }

    /// <summary>Rounds a head, some rows at a time: it is larger than all else.</summary>
    public static QuantizedMatrix RoundHead(string slot, Weight weight, WeightFormat format, Tensor sums, double damping, int threads)
    {
        const int RowsAtOnce = 4096;
        GptqOptions gptq = GptqOptions.ForBlocks(damping, threads);
        ErrorPropagation factor = Named(slot, () => Gptq.Factor(sums.Span, gptq, GridOf(format, weight.Columns).UnitColumns));
        int rowBytes = (int)format.RowBytes(weight.Columns);
        byte[] bytes = new byte[weight.Rows * (long)rowBytes];
        UInt128[] keys = new UInt128[weight.Rows];
        for (int first = 0; first < weight.Rows; first += RowsAtOnce)
        {
            Tensor part = new(Math.Min(RowsAtOnce, weight.Rows - first), weight.Columns);
            for (int r = 0; r < part.Rows; r++)
            {
                weight.DecodeRow(first + r, part.Row(r));
                RefuseNotFinite($"{slot}.weight", first + r, part.Row(r));
                keys[first + r] = QuantizedRows.KeyOf(slot, format, part.Row(r));
            }

            IStoredGrid[] grids = new IStoredGrid[part.Rows];
            for (int r = 0; r < grids.Length; r++)
            {
                grids[r] = GridOf(format, part.Columns);
            }

            Named(slot, () => Gptq.Quantize(part, sums.Span, grids, gptq, factor));
            for (int r = 0; r < grids.Length; r++)
            {
                grids[r].Bytes.CopyTo(bytes.AsSpan((first + r) * rowBytes));
            }
        }

        return new QuantizedMatrix(slot, format, weight.Columns, keys, bytes);
    }

    private static bool HasGrid(WeightFormat format) => format.CodeCount > 0 || format.Lattice is not null;

    private static IStoredGrid GridOf(WeightFormat format, int columns) => format.Lattice is null ? new BlockFormatGrid(format, columns) : new LatticeGrid(format, columns);

    private static byte[] Joined(ReadOnlySpan<byte[]> rows)
    {
        byte[] all = new byte[rows.Length * rows[0].Length];
        for (int row = 0; row < rows.Length; row++)
        {
            rows[row].CopyTo(all, row * rows[0].Length);
        }

        return all;
    }

    private byte[][] Propagated(string slot, Tensor weights, WeightFormat[] formats, Tensor sums)
    {
        IStoredGrid[] grids = Array.ConvertAll(formats, format => GridOf(format, weights.Columns));
        Named(slot, () => Gptq.Quantize(weights, sums.Span, grids, GptqOptions.ForBlocks(options.Damping, context.Team.Threads) with { KeepsZeros = options.KeepsZeros }));
        return Array.ConvertAll(grids, grid => grid.Bytes.ToArray());
    }

    /// <summary>Rounds with messages that name the slot.</summary>
    private static T Named<T>(string slot, Func<T> round)
    {
        try
        {
            return round();
        }
        catch (InvalidDataException damage)
        {
            throw new CalibrationException($"{slot}: {damage.Message}", damage);
        }
        catch (AggregateException failures) when (failures.InnerExceptions.FirstOrDefault(each => each is WeightEncodingException) is { } failure)
        {
            throw new ModelTensorException($"{slot}: {failure.Message}", failure);
        }
    }

    /// <summary>For formats of floating-point numbers: rounded to nearest, with the mean squares of the inputs as importance.</summary>
    private byte[][] Nearest(Tensor weights, WeightFormat[] formats, Tensor sums)
    {
        float[] importance = new float[sums.Columns];
        for (int c = 0; c < importance.Length; c++)
        {
            importance[c] = sums.Row(c)[c] / ids.Length;
        }

        byte[][] rows = new byte[weights.Rows][];
        Parallel.For(0, weights.Rows, new ParallelOptions { MaxDegreeOfParallelism = context.Team.Threads }, row =>
        {
            rows[row] = new byte[formats[row].RowBytes(weights.Columns)];
            formats[row].Encode(weights.Row(row), importance, rows[row]);
        });
        return rows;
    }

    private static Linear Dense(QuantizedMatrix matrix, Linear original)
    {
        Tensor values = new(matrix.Keys.Length, matrix.Columns);
        matrix.Format.Decode(matrix.Bytes, values.Span);
        return new Linear(original.Name, Weight.FromDense(values), original.Bias);
    }

    /// <summary>Refuses a row that no format holds.</summary>
    internal static void RefuseNotFinite(string tensor, int row, ReadOnlySpan<float> values)
    {
        for (int c = 0; c < values.Length; c++)
        {
            if (!float.IsFinite(values[c]))
            {
                throw new ModelTensorException($"The tensor {tensor} has {values[c]} in row {row}, column {c}, which is no number that can be stored. The file is damaged, or training went wrong; nothing was written.");
            }
        }
    }
}
