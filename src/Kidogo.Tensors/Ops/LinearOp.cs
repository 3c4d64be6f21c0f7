// y = x Wᵀ + b, for one or several weights that read the same x. Knows no layers and no formats.
using System.Numerics.Tensors;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors.Ops;

/// <summary>Matrix products of activations with weights.</summary>
public static class LinearOp
{
    /// <summary>y = x Wᵀ + b.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, C]</param>
    /// <param name="weight">[R, C]</param>
    /// <param name="bias">[R], or null.</param>
    /// <returns>[T, R]</returns>
    public static Tensor Apply(ComputeContext context, Tensor x, Weight weight, Tensor? bias)
    {
        Tensor y = null!;
        ApplyAll(context, x, [weight], [bias], new Span<Tensor>(ref y));
        return y;
    }

    /// <summary>y = x Wᵀ + b with finer activations: where the weight's kernel rounds them to 8 bits, what the rounding leaves goes through it as a second row.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, C]</param>
    /// <param name="weight">[R, C]</param>
    /// <param name="bias">[R], or null.</param>
    /// <returns>[T, R]</returns>
    /// <remarks>For the one product whose errors nothing evens out, the head's. Both rows pass a panel while it is in the cache, so a decode step reads the weights once.</remarks>
    public static Tensor ApplyRefined(ComputeContext context, Tensor x, Weight weight, Tensor? bias)
    {
        if (context.IsTraining || weight.Activations != ActivationForm.Int8 || weight.Columns != x.Columns)
        {
            Tensor plain = null!;
            ApplyAll(context, x, [weight], [bias], new Span<Tensor>(ref plain), stores: false);
            return plain;
        }

        Tensor parts = context.Rent(2 * x.Rows, x.Columns); // row 2t as it is, row 2t + 1 what rounding it leaves
        for (int t = 0; t < x.Rows; t++)
        {
            x.Row(t).CopyTo(parts.Row(2 * t));
            Int8Rounding.Remainder(x.Row(t), parts.Row((2 * t) + 1));
        }

        Tensor products = Apply(context, parts, weight, null);
        Tensor y = context.Rent(x.Rows, weight.Rows);
        for (int t = 0; t < x.Rows; t++)
        {
            TensorPrimitives.Add(products.Row(2 * t), products.Row((2 * t) + 1), y.Row(t));
            if (bias is not null)
            {
                TensorPrimitives.Add(y.Row(t), bias.Span, y.Row(t));
            }
        }

        return y;
    }

    /// <summary>y_i = x W_iᵀ + b_i for several weights: x is brought into the form of the kernels once.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="x">[T, C]</param>
    /// <param name="weights">[R_i, C] each; at most four.</param>
    /// <param name="biases">[R_i] each, or null.</param>
    /// <param name="outputs">Receives the tensors [T, R_i].</param>
    public static void ApplyAll(ComputeContext context, Tensor x, ReadOnlySpan<Weight> weights, ReadOnlySpan<Tensor?> biases, Span<Tensor> outputs) =>
        ApplyAll(context, x, weights, biases, outputs, stores: true);

    private static void ApplyAll(ComputeContext context, Tensor x, ReadOnlySpan<Weight> weights, ReadOnlySpan<Tensor?> biases, Span<Tensor> outputs, bool stores)
    {
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i].Columns != x.Columns)
            {
                throw new ArgumentException($"Activations of {x.Columns} columns meet a weight of {weights[i].Rows} x {weights[i].Columns}.", nameof(weights));
            }

            if (biases[i] is { } bias && bias.Length != weights[i].Rows)
            {
                throw new ArgumentException($"A bias of {bias.Length} values meets a weight of {weights[i].Rows} rows.", nameof(biases));
            }

            outputs[i] = context.Rent(x.Rows, weights[i].Rows);
        }

        if (x.Rows == 0)
        {
            return;
        }

        if (context.IsTraining)
        {
            LinearTraining.Run(context, x, weights, biases, outputs, stores);
            return;
        }

        Multiply(context, x, weights, biases, outputs);
    }

    /// <summary>The products with weights in whatever form they have.</summary>
    internal static void Multiply(ComputeContext context, Tensor x, ReadOnlySpan<Weight> weights, ReadOnlySpan<Tensor?> biases, ReadOnlySpan<Tensor> outputs)
    {
        OpWorks works = context.Works;
        bool asFloats = false, asBytes = false;
        foreach (Weight weight in weights)
        {
            asFloats |= weight.Activations == ActivationForm.Float32;
            asBytes |= weight.Activations == ActivationForm.Int8;
        }

        if (asFloats)
        {
            works.Tiles.Run(context.Team, works.FloatTiles, ActivationForm.Float32, x);
        }

        if (asBytes)
        {
            works.Tiles.Run(context.Team, works.Int8Tiles, ActivationForm.Int8, x);
        }

        works.Linear.Run(context, x.Rows, weights, biases, outputs);
    }
}

/// <summary>Fills the tiles of activations.</summary>
internal sealed class TileWork : SharedWork
{
    private ActivationTiles? _tiles;
    private Tensor? _x;

    public void Run(WorkerTeam team, ActivationTiles tiles, ActivationForm form, Tensor x)
    {
        tiles.Begin(form, x.Rows, x.Columns);
        if (x.Rows < ActivationTiles.WideTile)
        {
            for (int i = 0; i < tiles.Tiles; i++)
            {
                tiles.Fill(i, x);
            }

            return;
        }

        _tiles = tiles;
        _x = x;
        Items = tiles.Tiles;
        team.Run(this);
        _tiles = null;
        _x = null;
    }

    public override void Do(int item, int worker) => _tiles!.Fill(item, _x!);
}

/// <summary>The panels of some weights times the tiles of tokens: an item is a few panels by at most 120 tokens.</summary>
internal sealed class LinearWork : SharedWork
{
    private const int MostWeights = 4;
    private const int TilesPerItem = 10; // of 12 tokens, 120 in all: their activations stay in the second-level cache while the panels pass
    private const int ItemsPerThread = 6; // of each chunk of tokens: enough that threads end together, few enough that taking them costs nothing

    private readonly Weight?[] _weights = new Weight?[MostWeights];
    private readonly Tensor?[] _biases = new Tensor?[MostWeights];
    private readonly Tensor?[] _outputs = new Tensor?[MostWeights];
    private readonly int[] _firstGroup = new int[MostWeights + 1];
    private OpWorks? _works;
    private int _count;
    private int _panelsPerItem;
    private int _groups;
    private int _chunks;

    public void Run(ComputeContext context, int tokens, ReadOnlySpan<Weight> weights, ReadOnlySpan<Tensor?> biases, ReadOnlySpan<Tensor> outputs)
    {
        if (weights.Length > MostWeights)
        {
            throw new ArgumentException($"{weights.Length} weights at once; at most {MostWeights} can share their activations.", nameof(weights));
        }

        _works = context.Works;
        _count = weights.Length;
        int panels = 0;
        bool decodes = false;
        for (int i = 0; i < _count; i++)
        {
            _weights[i] = weights[i];
            _biases[i] = biases[i];
            _outputs[i] = outputs[i];
            panels += weights[i].Panels;
            decodes |= weights[i].DecodesPanels;
        }

        const int ChunkTokens = TilesPerItem * ActivationTiles.WideTile;
        _chunks = decodes ? 1 : (tokens + ChunkTokens - 1) / ChunkTokens;
        _panelsPerItem = Math.Max(1, panels / (context.Team.Threads * ItemsPerThread));
        _groups = 0;
        for (int i = 0; i < _count; i++)
        {
            _firstGroup[i] = _groups;
            _groups += (weights[i].Panels + _panelsPerItem - 1) / _panelsPerItem;
        }

        _firstGroup[_count] = _groups;
        Items = _groups * _chunks;
        context.Team.Run(this);
        Array.Clear(_weights);
        Array.Clear(_biases);
        Array.Clear(_outputs);
        _works = null;
    }

    public override void Do(int item, int worker)
    {
        int group = item % _groups; // neighbouring items share their tokens
        int chunk = item / _groups;
        int index = 0;
        while (group >= _firstGroup[index + 1])
        {
            index++;
        }

        Weight weight = _weights[index]!;
        Tensor y = _outputs[index]!;
        ActivationTiles x = weight.Activations == ActivationForm.Int8 ? _works!.Int8Tiles : _works!.FloatTiles;
        int firstTile = chunk * TilesPerItem;
        int tiles = chunk == _chunks - 1 ? x.Tiles - firstTile : TilesPerItem; // the last has the small tiles of the last tokens, however many
        int firstPanel = (group - _firstGroup[index]) * _panelsPerItem;
        int endPanel = Math.Min(firstPanel + _panelsPerItem, weight.Panels);
        weight.Multiply(firstPanel, endPanel - firstPanel, x, firstTile, tiles, y, _works.Scratch[worker]);

        if (_biases[index] is { } bias)
        {
            int firstRow = firstPanel * weight.PanelRows;
            int rows = Math.Min(endPanel * weight.PanelRows, weight.Rows) - firstRow;
            (int firstToken, _) = x.Tile(firstTile);
            (int lastToken, int lastCount) = x.Tile(firstTile + tiles - 1);
            for (int t = firstToken; t < lastToken + lastCount; t++)
            {
                Span<float> part = y.Row(t).Slice(firstRow, rows);
                TensorPrimitives.Add(part, bias.Span.Slice(firstRow, rows), part);
            }
        }
    }
}
