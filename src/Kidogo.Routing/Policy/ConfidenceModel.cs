// How sure this machine's model is of an answer: signs, their weights, and a calibrated file of them. Knows no texts.
using System.Globalization;
using System.Text.Json;

namespace Kidogo.Routing.Policy;

/// <summary>What can be seen of an answer's certainty.</summary>
/// <param name="Mean">Mean log-probability of its tokens, in nats.</param>
/// <param name="Spread">Standard deviation of the same.</param>
/// <param name="Lowest">The lowest.</param>
/// <param name="Agreement">Share of further answers that say the same, 0 to 1; null where none were drawn.</param>
public readonly record struct ConfidenceSigns(double Mean, double Spread, double Lowest, double? Agreement = null)
{
    /// <summary>The signs of an answer's tokens.</summary>
    /// <param name="logProbabilities">Their log-probabilities, in nats; at least one.</param>
    /// <param name="agreement">Share of further answers that say the same.</param>
    public static ConfidenceSigns Of(IReadOnlyCollection<double> logProbabilities, double? agreement = null)
    {
        double mean = logProbabilities.Average();
        double spread = Math.Sqrt(logProbabilities.Average(value => (value - mean) * (value - mean)));
        return new ConfidenceSigns(mean, spread, logProbabilities.Min(), agreement);
    }
}

/// <summary>Weights that turn signs into the probability that an answer is right: logistic regression.</summary>
/// <param name="Bias">Added.</param>
/// <param name="Mean">Weight of the mean log-probability.</param>
/// <param name="Spread">Weight of its spread.</param>
/// <param name="Lowest">Weight of the lowest.</param>
/// <param name="Agreement">Weight of the agreement.</param>
public sealed record ConfidenceModel(double Bias, double Mean, double Spread, double Lowest, double Agreement)
{
    private const int MaxBytes = 1 << 22;

    /// <summary>The probability, 0 to 1, that an answer with these signs is right.</summary>
    public double Score(ConfidenceSigns signs) => 1 / (1 + Math.Exp(-(Bias + (Mean * signs.Mean) + (Spread * signs.Spread) + (Lowest * signs.Lowest) + (Agreement * (signs.Agreement ?? 0)))));

    /// <summary>The score where nothing is calibrated: the geometric mean of the tokens' probabilities, and half of the agreement where there is one.</summary>
    public static double Plain(ConfidenceSigns signs) => signs.Agreement is { } agreement ? (Math.Exp(signs.Mean) + agreement) / 2 : Math.Exp(signs.Mean);

    /// <summary>Fits weights to answers that are known to be right or wrong, by Newton's method with a ridge of one over the variance of ten.</summary>
    /// <param name="answers">Signs of answers, and whether each was right.</param>
    public static ConfidenceModel Fit(IReadOnlyList<(ConfidenceSigns Signs, bool IsRight)> answers)
    {
        const int Size = 5, Rounds = 30;
        const double Ridge = 0.1;
        double[] weights = new double[Size];
        for (int round = 0; round < Rounds; round++)
        {
            double[,] curvature = new double[Size, Size];
            double[] slope = new double[Size];
            for (int i = 0; i < Size; i++)
            {
                curvature[i, i] = i == 0 ? 1e-6 : Ridge;
                slope[i] = i == 0 ? 0 : -Ridge * weights[i];
            }

            foreach ((ConfidenceSigns signs, bool isRight) in answers)
            {
                double[] x = [1, signs.Mean, signs.Spread, signs.Lowest, signs.Agreement ?? 0];
                double p = 1 / (1 + Math.Exp(-x.Zip(weights, (a, b) => a * b).Sum()));
                for (int i = 0; i < Size; i++)
                {
                    slope[i] += ((isRight ? 1 : 0) - p) * x[i];
                    for (int j = 0; j < Size; j++)
                    {
                        curvature[i, j] += Math.Max(p * (1 - p), 1e-9) * x[i] * x[j];
                    }
                }
            }

            double[] step = Solve(curvature, slope);
            double length = step.Max(Math.Abs);
            for (int i = 0; i < Size; i++)
            {
                weights[i] += length > 5 ? step[i] * 5 / length : step[i]; // a set that is split perfectly has no best weights
            }

            if (length < 1e-9)
            {
                break;
            }
        }

        return new ConfidenceModel(weights[0], weights[1], weights[2], weights[3], weights[4]);
    }

    /// <summary>Reads a calibration that <c>kidogo route calibrate</c> wrote.</summary>
    /// <exception cref="RoutingException">It is none.</exception>
    internal static ConfidenceRule ReadFile(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > MaxBytes)
            {
                throw new RoutingException($"{path} has {stream.Length} bytes; a calibration has at most {MaxBytes}.");
            }

            using JsonDocument document = JsonDocument.Parse(stream, new JsonDocumentOptions { MaxDepth = 8 });
            JsonElement root = document.RootElement, weights = root.GetProperty("weights");
            ConfidenceRule rule = new()
            {
                Threshold = Number(root, "threshold"),
                LookAhead = (int)Number(root, "look_ahead"),
                Samples = (int)Number(root, "samples"),
                Model = new ConfidenceModel(Number(weights, "bias"), Number(weights, "mean"), Number(weights, "spread"), Number(weights, "lowest"), Number(weights, "agreement")),
            };
            return rule is { Threshold: >= 0 and <= 2, LookAhead: >= 1 and <= 4096, Samples: >= 0 and <= 8 } ? rule : throw new RoutingException($"{path}: threshold, look_ahead or samples is outside its range.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new RoutingException($"{path} is no calibration: {failure.Message} Write one with kidogo route calibrate.", failure);
        }
    }

    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject("weights");
        json.WriteNumber("bias", Bias);
        json.WriteNumber("mean", Mean);
        json.WriteNumber("spread", Spread);
        json.WriteNumber("lowest", Lowest);
        json.WriteNumber("agreement", Agreement);
        json.WriteEndObject();
    }

    private static double Number(JsonElement element, string name) => element.GetProperty(name).GetDouble() is var value && double.IsFinite(value) ? value : throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"{name} is {value}."));

    private static double[] Solve(double[,] matrix, double[] right)
    {
        int n = right.Length;
        for (int column = 0; column < n; column++)
        {
            int pivot = Enumerable.Range(column, n - column).MaxBy(row => Math.Abs(matrix[row, column]));
            for (int j = 0; j < n; j++)
            {
                (matrix[column, j], matrix[pivot, j]) = (matrix[pivot, j], matrix[column, j]);
            }

            (right[column], right[pivot]) = (right[pivot], right[column]);
            for (int row = 0; row < n; row++)
            {
                double factor = row == column || matrix[column, column] == 0 ? 0 : matrix[row, column] / matrix[column, column];
                for (int j = column; j < n; j++)
                {
                    matrix[row, j] -= factor * matrix[column, j];
                }

                right[row] -= factor * right[column];
            }
        }

        return [.. Enumerable.Range(0, n).Select(i => matrix[i, i] == 0 ? 0 : right[i] / matrix[i, i])];
    }
}
