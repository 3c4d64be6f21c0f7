// GPTQ: rounds the columns of a matrix one after the other, and lets those to come make the errors good. Knows no formats but as a grid.
using System.Numerics.Tensors;
using Tensor = Kidogo.Tensors.Tensor;

namespace Kidogo.Compression.Quantization;

/// <summary>How <see cref="Gptq"/> goes about it.</summary>
public sealed record GptqOptions
{
    /// <summary>What is added to the Hessian's diagonal, as a share of its mean; grows by itself where the factor does not exist. Default 0.01.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary>Whether columns go in the order of falling activation, so that the important ones are rounded while all others can still make good. Default false.</summary>
    public bool OrderByActivation { get; init; }

    /// <summary>Whether scales come from the weights as they were, for groups of neighbouring columns: what a file format with blocks needs when the order changes. Default false.</summary>
    public bool StaticGroups { get; init; }

    /// <summary>Columns whose errors are carried beyond them in one go. Scales of a group that begins inside a block do not see that block's corrections. Default 128.</summary>
    public int BlockColumns { get; init; } = 128;

    /// <summary>
    /// How often all columns are gone over once more in the end, each rounded to what is best beside what all others are now (coordinate descent; Behdin et al., arXiv 2309.01885): no round makes it worse. Needs
    /// <see cref="StaticGroups"/>. Default 0, which is GPTQ itself.
    /// </summary>
    public int Sweeps { get; init; }

    /// <summary>Whether weights that are 0 stay 0 where the grid has a 0, and take over no errors: for models that were pruned. Single weights only, no units of several. Default false.</summary>
    public bool KeepsZeros { get; init; }

    /// <summary>Threads. Default: one per processor.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>What formats with blocks are rounded with: the order of falling activation, scales of the weights as they were, and three rounds to the end.</summary>
    /// <param name="damping">As <see cref="Damping"/>.</param>
    /// <param name="threads">As <see cref="Threads"/>.</param>
    public static GptqOptions ForBlocks(double damping, int threads) => new() { Damping = damping, OrderByActivation = true, StaticGroups = true, Sweeps = 3, Threads = threads };
}

/// <summary>What <see cref="Gptq"/> decided for a matrix.</summary>
/// <param name="Order">The columns in the order in which they were rounded.</param>
/// <param name="GroupOfColumn">The group whose scales each column has.</param>
/// <param name="Damping">The damping that was needed, as a share of the mean diagonal.</param>
public sealed record GptqResult(int[] Order, int[] GroupOfColumn, double Damping);

/// <summary>GPTQ (Frantar et al., arXiv 2210.17323, algorithm 1).</summary>
public static class Gptq
{
    private const int RowsPerItem = 16; // rows that pass a row of U while it is in the first-level cache

    /// <summary>Rounds a matrix so that its outputs on the calibration change little.</summary>
    /// <param name="weights">[R, C]; holds the rounded weights afterwards.</param>
    /// <param name="hessian">[C, C]: 2 XᵀX of the layer's inputs, or any multiple of it.</param>
    /// <param name="grids">For each row its grid; holds the codes afterwards.</param>
    /// <param name="options">How.</param>
    /// <param name="factor">The Hessian's factor, where it is known (<see cref="Factor"/>, with the same options); null to find it.</param>
    /// <exception cref="InvalidDataException">The Hessian is damaged.</exception>
    public static GptqResult Quantize(Tensor weights, ReadOnlySpan<float> hessian, IReadOnlyList<IRowGrid> grids, GptqOptions options, ErrorPropagation? factor = null)
    {
        int columns = weights.Columns;
        if (hessian.Length != (long)columns * columns || grids.Count != weights.Rows)
        {
            throw new ArgumentException($"A matrix of {weights.Rows} x {columns} needs a Hessian of {columns} x {columns} and {weights.Rows} grids, not {hessian.Length} values and {grids.Count}.");
        }

        int unit = grids.Count == 0 ? 1 : grids[0].UnitColumns;
        if (columns % unit != 0 || options.BlockColumns % unit != 0 || grids.Any(grid => grid.UnitColumns != unit))
        {
            throw new ArgumentException($"Units of {unit} columns have to divide the {columns} columns and blocks of {options.BlockColumns}, and to be the same in all rows.", nameof(grids));
        }

        int[] order = OrderOf(hessian, columns, options.OrderByActivation, unit);
        ErrorPropagation propagation = factor ?? ErrorPropagation.Factor(hessian, order, options.Damping, options.Threads);
        bool[] isDead = new bool[columns];
        for (int c = 0; c < columns; c++)
        {
            isDead[c] = hessian[(c * columns) + c] == 0;
        }

        float[] cost = CostOf(propagation, order);
        Curvature? curvature = unit == 1 && options is { Sweeps: > 0, StaticGroups: true } ? Curvature.Of(hessian, columns, propagation.Damping) : null;
        int group = grids[0].GroupColumns;
        int items = (weights.Rows + RowsPerItem - 1) / RowsPerItem;
        Parallel.For(0, items, new ParallelOptions { MaxDegreeOfParallelism = options.Threads }, item =>
        {
            int first = item * RowsPerItem;
            new RowTile(weights, first, Math.Min(RowsPerItem, weights.Rows - first), grids, order, isDead, cost, options).Run(propagation, curvature);
        });

        int[] groupOf = new int[columns];
        for (int position = 0; position < columns; position++)
        {
            groupOf[order[position]] = (options.StaticGroups ? order[position] : position) / group;
        }

        return new GptqResult(order, groupOf, propagation.Damping);
    }

    /// <summary>The factor of a Hessian, for those who round several matrices by it.</summary>
    /// <param name="hessian">[C, C]</param>
    /// <param name="options">How.</param>
    /// <param name="unit">Columns that the grids round together.</param>
    /// <exception cref="InvalidDataException">The Hessian is damaged.</exception>
    public static ErrorPropagation Factor(ReadOnlySpan<float> hessian, GptqOptions options, int unit = 1) =>
        ErrorPropagation.Factor(hessian, OrderOf(hessian, (int)Math.Sqrt(hessian.Length), options.OrderByActivation, unit), options.Damping, options.Threads);

    /// <summary>What the error of a column costs once those behind it have made good what they can: 1 / U², in shares of the mean (arXiv 2210.17323, equation 2). [C]</summary>
    private static float[] CostOf(ErrorPropagation propagation, int[] order)
    {
        double[] costs = new double[order.Length];
        for (int position = 0; position < order.Length; position++)
        {
            double upper = propagation.Row(position)[0];
            costs[order[position]] = 1 / (upper * upper);
        }

        double mean = costs.Average();
        return Array.ConvertAll(costs, cost => (float)(cost / mean));
    }

    /// <summary>Columns of a unit stay together: it goes by the sum of their activations.</summary>
    private static int[] OrderOf(ReadOnlySpan<float> hessian, int columns, bool byActivation, int unit)
    {
        double[] diagonal = new double[columns / unit];
        for (int c = 0; c < columns; c++)
        {
            diagonal[c / unit] += hessian[(c * columns) + c];
        }

        IEnumerable<int> all = Enumerable.Range(0, diagonal.Length);
        all = byActivation ? all.OrderByDescending(c => diagonal[c]) : all;
        return [.. all.SelectMany(c => Enumerable.Range(c * unit, unit))];
    }

    /// <summary>The Hessian as coordinate descent reads it.</summary>
    /// <param name="Rows">[C, C]</param>
    /// <param name="Ridge">What the damping adds to its diagonal.</param>
    private sealed record Curvature(float[] Rows, float Ridge)
    {
        public static Curvature Of(ReadOnlySpan<float> hessian, int columns, double damping)
        {
            double trace = 0;
            for (int c = 0; c < columns; c++)
            {
                float diagonal = hessian[(c * columns) + c];
                trace += diagonal == 0 ? 1 : diagonal; // as the factor has it
            }

            return new Curvature(hessian.ToArray(), (float)(damping * trace / columns));
        }
    }

    /// <summary>A few rows, which do not depend on any others.</summary>
    private sealed class RowTile
    {
        private readonly Tensor _target;
        private readonly int _first;
        private readonly int _rows;
        private readonly IReadOnlyList<IRowGrid> _grids;
        private readonly int[] _order;
        private readonly GptqOptions _options;
        private readonly float[] _cost; // [C] in the order of rounding
        private readonly int _columns;
        private readonly int _group;
        private readonly float[] _weights; // [rows, C] in the order of rounding; before a block what the blocks before it made of them
        private readonly float[] _block; // [C of a block]: the row's weights with the corrections of its own block
        private readonly float[] _errors; // [rows, C of a block]
        private readonly float[] _originals; // [rows, C]: the rows as they were, where columns are gone over again
        private readonly bool[] _isZero; // [rows, C]: weights that stay 0, where any do

        public RowTile(Tensor target, int first, int rows, IReadOnlyList<IRowGrid> grids, int[] order, bool[] isDead, float[] cost, GptqOptions options)
        {
            (_target, _first, _rows, _grids, _order, _options) = (target, first, rows, grids, order, options);
            _cost = Array.ConvertAll(order, column => cost[column]);
            _columns = target.Columns;
            _group = grids[0].GroupColumns;
            _weights = new float[rows * _columns];
            _block = new float[options.BlockColumns];
            _errors = new float[rows * options.BlockColumns];
            _originals = options.Sweeps > 0 ? new float[rows * _columns] : [];
            _isZero = options.KeepsZeros ? new bool[rows * _columns] : [];
            for (int r = 0; r < rows; r++)
            {
                Span<float> row = target.Row(first + r);
                if (_group >= _columns)
                {
                    grids[first + r].Fit(0, row, cost); // of the whole row, columns without activations included
                }

                for (int c = 0; c < _columns; c++)
                {
                    row[c] = isDead[c] ? 0 : row[c];
                    if (_isZero.Length > 0)
                    {
                        _isZero[(r * _columns) + c] = row[c] == 0;
                    }
                }

                if (_originals.Length > 0)
                {
                    row.CopyTo(_originals.AsSpan(r * _columns));
                }

                for (int start = 0; options.StaticGroups && _group < _columns && start < _columns; start += _group)
                {
                    grids[first + r].Fit(start / _group, row.Slice(start, Math.Min(_group, _columns - start)), cost.AsSpan(start, Math.Min(_group, _columns - start)));
                }

                for (int position = 0; position < _columns; position++)
                {
                    _weights[(r * _columns) + position] = row[order[position]];
                }
            }
        }

        public void Run(ErrorPropagation propagation, Curvature? curvature)
        {
            for (int start = 0; start < _columns; start += _options.BlockColumns)
            {
                int width = Math.Min(_options.BlockColumns, _columns - start);
                for (int r = 0; r < _rows; r++)
                {
                    RoundBlock(r, start, width, propagation);
                }

                for (int i = 0; i < width && start + width < _columns; i++)
                {
                    ReadOnlySpan<float> upper = propagation.Row(start + i)[(width - i)..];
                    for (int r = 0; r < _rows; r++)
                    {
                        Span<float> rest = _weights.AsSpan((r * _columns) + start + width, upper.Length);
                        TensorPrimitives.MultiplyAdd(upper, -_errors[(r * _options.BlockColumns) + i], rest, rest);
                    }
                }
            }

            for (int r = 0; curvature is not null && r < _rows; r++)
            {
                Descend(r, curvature);
            }
        }

        /// <summary>Goes over the columns of a row: with the error d of all weights and g = H d, the best place for weight c is where g[c] would be 0.</summary>
        private void Descend(int r, Curvature curvature)
        {
            Span<float> row = _target.Row(_first + r);
            Span<float> difference = _weights.AsSpan(r * _columns, _columns); // not needed any more
            TensorPrimitives.Subtract(row, _originals.AsSpan(r * _columns, _columns), difference);
            Span<float> slope = new float[_columns];
            TensorPrimitives.Multiply(difference, curvature.Ridge, slope);
            for (int c = 0; c < _columns; c++)
            {
                TensorPrimitives.MultiplyAdd(curvature.Rows.AsSpan(c * _columns, _columns), difference[c], slope, slope);
            }

            for (int sweep = 0, changed = 1; sweep < _options.Sweeps && changed > 0; sweep++)
            {
                changed = 0;
                foreach (int c in _order)
                {
                    ReadOnlySpan<float> hessian = curvature.Rows.AsSpan(c * _columns, _columns);
                    if (hessian[c] == 0 || (_isZero.Length > 0 && _isZero[(r * _columns) + c]))
                    {
                        continue; // an input that is never there, or a weight that is gone
                    }

                    float rounded = _grids[_first + r].Round(c / _group, c, row[c] - (slope[c] / (hessian[c] + curvature.Ridge)));
                    float step = rounded - row[c];
                    if (step == 0)
                    {
                        continue;
                    }

                    TensorPrimitives.MultiplyAdd(hessian, step, slope, slope);
                    slope[c] += step * curvature.Ridge;
                    row[c] = rounded;
                    changed++;
                }
            }
        }

        private void RoundBlock(int r, int start, int width, ErrorPropagation propagation)
        {
            IRowGrid grid = _grids[_first + r];
            Span<float> row = _weights.AsSpan(r * _columns, _columns);
            Span<float> block = _block.AsSpan(0, width);
            Span<float> result = _target.Row(_first + r);
            row.Slice(start, width).CopyTo(block);
            int unit = grid.UnitColumns;
            Span<float> rounded = stackalloc float[unit];
            Span<float> within = stackalloc float[unit * unit];
            for (int i = 0; i < width; i += unit)
            {
                int position = start + i;
                bool isOwn = !_options.StaticGroups && _group < _columns;
                if (isOwn && position % _group == 0)
                {
                    grid.Fit(position / _group, row.Slice(position, Math.Min(_group, _columns - position)), _cost.AsSpan(position, Math.Min(_group, _columns - position)));
                }

                for (int j = 0; j < unit; j++)
                {
                    propagation.Row(position + j)[..(unit - j)].CopyTo(within[((j * unit) + j)..]);
                }

                int column = _order[position];
                if (unit == 1 && _isZero.Length > 0 && _isZero[(r * _columns) + column])
                {
                    block[i] = 0; // what others could not make good is left, as in SparseGPT it is of weights that are gone
                }

                grid.RoundUnit((isOwn ? position : column) / _group, column, block.Slice(i, unit), within, rounded);
                for (int j = 0; j < unit; j++)
                {
                    ReadOnlySpan<float> upper = propagation.Row(position + j)[..(width - i - j)];
                    float error = (block[i + j] - rounded[j]) / upper[0];
                    TensorPrimitives.MultiplyAdd(upper, -error, block[(i + j)..], block[(i + j)..]);
                    _errors[(r * _options.BlockColumns) + i + j] = error;
                    result[column + j] = rounded[j];
                }
            }
        }
    }
}
