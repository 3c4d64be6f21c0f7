// W' = W + BA, worked on matrices that are typed. Knows no models and no training.
namespace Kidogo.Evaluation.Explanations;

/// <summary>What a low-rank adapter does to a matrix (Hu et al., arXiv 2106.09685, section 4.1).</summary>
/// <param name="Weights">W [D, C], which stays as it is.</param>
/// <param name="Up">B [D, R]</param>
/// <param name="Down">A [R, C]</param>
/// <param name="Alpha">α: the product is multiplied by α / R.</param>
/// <param name="Change">α / R · BA [D, C]</param>
/// <param name="Adapted">W' [D, C]</param>
public sealed record LowRankExample(TypedMatrix Weights, TypedMatrix Up, TypedMatrix Down, double Alpha, TypedMatrix Change, TypedMatrix Adapted)
{
    /// <summary>The W of the built-in example.</summary>
    public static TypedMatrix BuiltInWeights { get; } = new(4, 4, [1, 0, 2, 0, 0, 1, 0, 2, 2, 0, 1, 0, 0, 2, 0, 1]);

    /// <summary>The B of the built-in example.</summary>
    public static TypedMatrix BuiltInUp { get; } = new(4, 1, [1, 0, -1, 2]);

    /// <summary>The A of the built-in example.</summary>
    public static TypedMatrix BuiltInDown { get; } = new(1, 4, [0.5f, 0, -0.5f, 1]);

    /// <summary>R</summary>
    public int Rank => Down.Rows;

    /// <summary>Numbers in W.</summary>
    public int WeightCount => Weights.Values.Length;

    /// <summary>Numbers that are trained: those of B and A.</summary>
    public int TrainedCount => Up.Values.Length + Down.Values.Length;

    /// <summary>Numbers that would be trained in a matrix of another size.</summary>
    /// <param name="rows">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    public long TrainedCountOf(long rows, long columns) => Rank * (rows + columns);

    /// <summary>Works the example.</summary>
    /// <param name="weights">W</param>
    /// <param name="up">B</param>
    /// <param name="down">A</param>
    /// <param name="alpha">α, above 0; null for R, so that W' = W + BA.</param>
    /// <exception cref="ExplanationException">The shapes do not belong together.</exception>
    public static LowRankExample Work(TypedMatrix weights, TypedMatrix up, TypedMatrix down, double? alpha)
    {
        if (up.Rows != weights.Rows || down.Columns != weights.Columns || up.Columns != down.Rows)
        {
            throw new ExplanationException($"W is {weights.Rows} x {weights.Columns}, B is {up.Rows} x {up.Columns} and A is {down.Rows} x {down.Columns}. With a rank of {down.Rows}, "
                + $"B has to be {weights.Rows} x {down.Rows} and A {down.Rows} x {weights.Columns}.");
        }

        double factor = (alpha ?? down.Rows) / down.Rows;
        float[] change = new float[weights.Values.Length], adapted = new float[weights.Values.Length];
        for (int row = 0; row < weights.Rows; row++)
        {
            for (int column = 0; column < weights.Columns; column++)
            {
                double sum = 0;
                for (int r = 0; r < down.Rows; r++)
                {
                    sum += (double)up.Row(row)[r] * down.Row(r)[column];
                }

                int at = (row * weights.Columns) + column;
                change[at] = (float)(factor * sum);
                adapted[at] = (float)(weights.Values[at] + (factor * sum));
            }
        }

        return Array.TrueForAll(adapted, float.IsFinite)
            ? new LowRankExample(weights, up, down, alpha ?? down.Rows, weights with { Values = change }, weights with { Values = adapted })
            : throw new ExplanationException("The product of B and A is too large for float32. Give smaller numbers.");
    }
}
