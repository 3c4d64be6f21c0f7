// The losses of preferences, over how likely answers are to a model and to its reference. Knows no tokens.
namespace Kidogo.Tensors.Ops;

/// <summary>DPO (Rafailov et al., arXiv 2305.18290) and KTO (Ethayarajh et al., arXiv 2402.01306). A reward is β (log p - log p of the reference).</summary>
public static class PreferenceLossOp
{
    /// <summary>The mean over pairs of -log σ(reward of the chosen - reward of the rejected) (equation 7).</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="answers">[2·N, 1] The logarithms of answers' probabilities: chosen, rejected, chosen …</param>
    /// <param name="reference">[2·N] The reference's.</param>
    /// <param name="beta">β, above 0.</param>
    /// <param name="count">What the sum over pairs is divided by; 0 for the pairs.</param>
    /// <exception cref="ArgumentException">The numbers do not belong together.</exception>
    public static FeatureLoss Pairs(ComputeContext context, Tensor answers, ReadOnlySpan<double> reference, double beta, long count = 0)
    {
        Check(answers, reference, beta, count, isPaired: true);
        int pairs = answers.Rows / 2;
        double divisor = count > 0 ? count : pairs, value = 0;
        float[] slopes = new float[answers.Rows];
        for (int i = 0; i < pairs; i++)
        {
            double margin = beta * (answers.Span[2 * i] - reference[2 * i] - (answers.Span[(2 * i) + 1] - reference[(2 * i) + 1]));
            value += LogOfOneAndExp(-margin) / divisor;
            slopes[2 * i] = (float)(-beta * Sigmoid(-margin) / divisor);
            slopes[(2 * i) + 1] = -slopes[2 * i];
        }

        return Finish(context, answers, slopes, value);
    }

    /// <summary>The mean over answers of λ (1 - σ(r - z)) where the answer is liked, and of λ (1 - σ(z - r)) where it is not (equation 8), with r its reward
    /// and z, 0 or more, the divergence from the reference.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="answers">[N, 1] The logarithms of answers' probabilities.</param>
    /// <param name="reference">[N] The reference's.</param>
    /// <param name="options">Which are liked, and the numbers.</param>
    /// <param name="count">What the sum over answers is divided by; 0 for the answers.</param>
    /// <exception cref="ArgumentException">The numbers do not belong together.</exception>
    public static FeatureLoss Singles(ComputeContext context, Tensor answers, ReadOnlySpan<double> reference, SinglePreferences options, long count = 0)
    {
        Check(answers, reference, options.Beta, count, isPaired: false);
        if (options.AreLiked.Count != answers.Rows || !(options.Divergence >= 0))
        {
            throw new ArgumentException($"{options.AreLiked.Count} labels and a divergence of {options.Divergence} (0 or more) meet {answers.Rows} answers.", nameof(options));
        }

        double divisor = count > 0 ? count : answers.Rows, value = 0, z = options.Beta * options.Divergence;
        float[] slopes = new float[answers.Rows];
        for (int i = 0; i < slopes.Length; i++)
        {
            double sign = options.AreLiked[i] ? 1 : -1, weight = options.AreLiked[i] ? options.LikedWeight : options.DislikedWeight;
            double x = sign * ((options.Beta * (answers.Span[i] - reference[i])) - z);
            value += weight * Sigmoid(-x) / divisor;
            slopes[i] = (float)(-weight * sign * options.Beta * Sigmoid(x) * Sigmoid(-x) / divisor);
        }

        return Finish(context, answers, slopes, value);
    }

    private static void Check(Tensor answers, ReadOnlySpan<double> reference, double beta, long count, bool isPaired)
    {
        if (answers.Columns != 1 || answers.Rows == 0 || answers.Rows != reference.Length || (isPaired && answers.Rows % 2 != 0) || !(beta > 0) || count < 0)
        {
            throw new ArgumentException($"{answers.Rows} x {answers.Columns} answers meet {reference.Length} of the reference, with a beta of {beta} (above 0) and a count of {count}.", nameof(answers));
        }
    }

    private static FeatureLoss Finish(ComputeContext context, Tensor answers, float[] slopes, double value)
    {
        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)value;
        if (context.Records(answers))
        {
            Record(context, answers, slopes, loss);
        }

        return new FeatureLoss(loss, value);
    }

    private static void Record(ComputeContext context, Tensor answers, float[] slopes, Tensor loss) => context.Record(loss, () =>
    {
        Span<float> gradient = context.GradientOf(answers).Span;
        for (int i = 0; i < slopes.Length; i++)
        {
            gradient[i] += loss.Gradient!.Span[0] * slopes[i];
        }
    });

    private static double Sigmoid(double x) => x >= 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x));

    /// <summary>log(1 + exp x), whatever x.</summary>
    private static double LogOfOneAndExp(double x) => Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));
}

/// <summary>What is known of single answers.</summary>
/// <param name="AreLiked">For each whether it is liked.</param>
/// <param name="Beta">β, above 0.</param>
/// <param name="Divergence">z before β: the mean over unrelated answers of log p - log p of the reference, at least 0; no gradient flows through it.</param>
/// <param name="LikedWeight">λ of liked answers.</param>
/// <param name="DislikedWeight">λ of disliked ones.</param>
public sealed record SinglePreferences(IReadOnlyList<bool> AreLiked, double Beta, double Divergence, double LikedWeight = 1, double DislikedWeight = 1);
