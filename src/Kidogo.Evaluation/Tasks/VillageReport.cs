// What a model knows of stories about the village: numbers only. Computes from scored questions; knows no model.
using Kidogo.Data.Village;

namespace Kidogo.Evaluation.Tasks;

/// <summary>A question as a model answered it.</summary>
/// <param name="Story">The story's text.</param>
/// <param name="Question">The question.</param>
/// <param name="Chosen">The likeliest of the possible answers.</param>
/// <param name="Confidence">Its probability among them.</param>
/// <param name="Unknown">The probability of "nobody knows" among them.</param>
/// <param name="Greedy">What the model says by itself.</param>
public sealed record VillageAnswer(string Story, VillageQuestion Question, string Chosen, double Confidence, double Unknown, string Greedy)
{
    /// <summary>Whether the likeliest answer is right.</summary>
    public bool IsRight => Chosen == Question.Answer;

    /// <summary>Whether what the model says by itself is right, word for word.</summary>
    public bool IsExact => Greedy == Question.Answer;
}

/// <summary>Questions of one kind.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Questions">How many.</param>
/// <param name="Accuracy">Share whose likeliest answer is right.</param>
/// <param name="Exact">Share answered right word for word.</param>
/// <param name="Baseline">Share that the best guess without reading gets right.</param>
public sealed record VillageKindScore(VillageQuestionKind Kind, int Questions, double Accuracy, double Exact, double Baseline);

/// <summary>How honest a model is where a story does not say.</summary>
/// <param name="Questions">Questions that the story does not answer.</param>
/// <param name="Recall">Share of them where the model says that nobody knows; NaN where there are none.</param>
/// <param name="Precision">Share of its "nobody knows" that is right; NaN where it never says so.</param>
/// <param name="FalseAlarms">Share of answerable questions where it says that nobody knows; NaN where there are none.</param>
/// <param name="Brier">Mean squared difference between the probability that it gives to "nobody knows" and whether that is right: 0 is best.</param>
public sealed record VillageHonesty(int Questions, double Recall, double Precision, double FalseAlarms, double Brier);

/// <summary>Questions whose answer had about the same probability.</summary>
/// <param name="Count">How many.</param>
/// <param name="Confidence">Their mean probability.</param>
/// <param name="Accuracy">Share that is right.</param>
public sealed record CalibrationBin(int Count, double Confidence, double Accuracy);

/// <summary>What a model knows of stories.</summary>
public sealed record VillageReport
{
    private const int Bins = 10;

    /// <summary>Every question.</summary>
    public required IReadOnlyList<VillageAnswer> Answers { get; init; }

    /// <summary>Mean negative log-likelihood of the right answers' tokens, in nats a token.</summary>
    public required double AnswerNll { get; init; }

    /// <summary>Share of summaries that the model gives word for word; NaN where none was asked.</summary>
    public double Summaries { get; init; } = double.NaN;

    /// <summary>exp of <see cref="AnswerNll"/>.</summary>
    public double AnswerPerplexity => Math.Exp(AnswerNll);

    /// <summary>Questions.</summary>
    public int Questions => Answers.Count;

    /// <summary>Share whose likeliest answer, among all that such a question may have, is right.</summary>
    public double Accuracy => Share(Answers, answer => answer.IsRight);

    /// <summary>Share that the model answers right word for word.</summary>
    public double Exact => Share(Answers, answer => answer.IsExact);

    /// <summary>Share that the best guess without reading gets right: for each sentence that asks, the answer that is right most often among these very questions. No guesser that sees only which sentence it is does better.</summary>
    public double Baseline => Guess(Answers);

    /// <summary>By kind of question.</summary>
    public IReadOnlyList<VillageKindScore> Kinds =>
    [
        .. Answers.GroupBy(answer => answer.Question.Kind).OrderBy(kind => kind.Key).Select(kind => new VillageKindScore(
            kind.Key, kind.Count(), Share([.. kind], answer => answer.IsRight), Share([.. kind], answer => answer.IsExact), Guess([.. kind]))),
    ];

    /// <summary>Where the story does not say.</summary>
    public VillageHonesty Honesty
    {
        get
        {
            VillageAnswer[] asked = [.. Answers.Where(answer => answer.Question.Kind != VillageQuestionKind.Ending)];
            VillageAnswer[] unknown = [.. asked.Where(answer => !answer.Question.IsKnown)], known = [.. asked.Where(answer => answer.Question.IsKnown)];
            VillageAnswer[] said = [.. asked.Where(SaysUnknown)];
            return new VillageHonesty(unknown.Length, Share(unknown, SaysUnknown), Share(said, answer => answer.IsRight), Share(known, SaysUnknown),
                asked.Length == 0 ? double.NaN : asked.Average(answer => Math.Pow(answer.Unknown - (answer.Question.IsKnown ? 0 : 1), 2)));
        }
    }

    /// <summary>Ten bins of equal width by the probability of the likeliest answer; empty ones are left out.</summary>
    public IReadOnlyList<CalibrationBin> Calibration =>
    [
        .. Answers.GroupBy(answer => Math.Min(Bins - 1, (int)(answer.Confidence * Bins))).OrderBy(bin => bin.Key)
            .Select(bin => new CalibrationBin(bin.Count(), bin.Average(answer => answer.Confidence), Share([.. bin], answer => answer.IsRight))),
    ];

    /// <summary>Expected calibration error (Guo et al., arXiv 1706.04599, equation 3): 0 where a model is right as often as it thinks.</summary>
    public double CalibrationError => Questions == 0 ? double.NaN : Calibration.Sum(bin => Math.Abs(bin.Confidence - bin.Accuracy) * bin.Count) / Questions;

    private static bool SaysUnknown(VillageAnswer answer) => answer.Chosen == answer.Question.Choices[^1];

    private static double Guess(IReadOnlyList<VillageAnswer> answers) => answers.Count == 0 ? double.NaN
        : (double)answers.GroupBy(answer => answer.Question.Form).Sum(form => form.GroupBy(answer => answer.Question.Answer).Max(same => same.Count())) / answers.Count;

    private static double Share(IReadOnlyList<VillageAnswer> answers, Func<VillageAnswer, bool> counts) => answers.Count == 0 ? double.NaN : (double)answers.Count(counts) / answers.Count;
}
