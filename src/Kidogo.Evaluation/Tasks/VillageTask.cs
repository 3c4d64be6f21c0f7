// Asks a model about stories of the village. Changes nothing; knows no reports.
using System.Text.Json;
using Kidogo.Data.Village;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Evaluation.Tasks;

/// <summary>What is asked.</summary>
public sealed record VillageTaskOptions
{
    /// <summary>The stories; by default a test split should be given.</summary>
    public required VillageOptions Village { get; init; }

    /// <summary>Stories, 1 or more. Default 50.</summary>
    public int Stories { get; init; } = 50;

    /// <summary>Called with the logits before each token of each right answer, in order: for divergence between models; may be null.</summary>
    public Action<ReadOnlyMemory<float>>? AnswerLogits { get; init; }

    /// <summary>Called with the stories done and all; may be null.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>Question answering, honest not-knowing, endings and summaries, scored exactly: the simulated village knows the answers.</summary>
public static class VillageTask
{
    private const int MostGreedyTokens = 48;

    /// <summary>Asks.</summary>
    /// <param name="model">The model.</param>
    /// <param name="text">Its words: questions are asked by its chat template, or, where it has none, as text with a line end before the answer.</param>
    /// <param name="context">Its surroundings.</param>
    /// <param name="options">What is asked.</param>
    /// <param name="cancellation">Looked at between stories.</param>
    /// <exception cref="ArgumentException">A story does not fit the model's context.</exception>
    /// <exception cref="ChatTemplateException">The model's template refuses a plain question.</exception>
    public static VillageReport Measure(DecoderModel model, ModelText text, ComputeContext context, VillageTaskOptions options, CancellationToken cancellation = default)
    {
        Tokenizer tokenizer = text.Tokenizer;
        ChatPrompter? prompter = text.ChatTemplate() is { } template ? new ChatPrompter(text, template) : null;
        int[] Encode(string words) => tokenizer.Encode(words);
        int[] Prompt(VillageStory story, string question)
        {
            string words = VillageFiles.Prompt(story, question);
            return prompter is null ? tokenizer.Encode(words + "\n", addSpecial: true) : [.. prompter.Build((JsonElement[])[new ChatMessage("user", words).ToJson()]).Ids];
        }

        bool IsEnd(int id) => tokenizer.IsEndOfGeneration(id) || (prompter is null && tokenizer.TokenText(id).Contains('\n', StringComparison.Ordinal));
        using AnswerScorer scorer = new(model, context);
        string Greedy(int[] prompt) => tokenizer.Decode(scorer.Greedy(prompt, MostGreedyTokens, IsEnd), skipSpecial: true).Trim();
        List<VillageAnswer> answers = [];
        double sum = 0;
        long tokens = 0;
        int summaries = 0;
        VillageGenerator generator = new(options.Village);
        foreach (VillageStory story in generator.Stories(options.Stories))
        {
            cancellation.ThrowIfCancellationRequested();
            IEnumerable<VillageQuestion> questions = options.Village.Level == VillageLevel.Full ? [.. story.Questions, story.Ending] : story.Questions;
            foreach (VillageQuestion question in questions)
            {
                int[] prompt = Prompt(story, question.Text);
                int right = question.Choices.ToList().IndexOf(question.Answer);
                int[][] choices = [.. question.Choices.Select(Encode)];
                double[] scores = scorer.LogProbabilities(prompt, choices, options.AnswerLogits is null ? null : (choice, logits, _) => Tell(options.AnswerLogits, choice == right, logits));
                sum -= scores[right];
                tokens += choices[right].Length;
                answers.Add(Judged(story, question, scores, Greedy(prompt)));
            }

            if (options.Village.Level == VillageLevel.Full)
            {
                summaries += Greedy(Prompt(story, story.SummaryQuestion)) == story.Summary ? 1 : 0;
            }

            options.Progress?.Invoke(story.Number + 1, options.Stories);
        }

        return new VillageReport
        {
            Answers = answers,
            AnswerNll = sum / tokens,
            Summaries = options.Village.Level == VillageLevel.Full ? (double)summaries / options.Stories : double.NaN,
        };
    }

    private static void Tell(Action<ReadOnlyMemory<float>> told, bool isRight, ReadOnlySpan<float> logits)
    {
        if (isRight)
        {
            told(logits.ToArray());
        }
    }

    private static VillageAnswer Judged(VillageStory story, VillageQuestion question, double[] scores, string greedy)
    {
        double largest = scores.Max();
        double[] shares = [.. scores.Select(score => Math.Exp(score - largest))];
        double total = shares.Sum();
        int best = Array.IndexOf(scores, largest);
        bool hasUnknown = question.Kind != VillageQuestionKind.Ending;
        return new VillageAnswer(story.Text, question, question.Choices[best], shares[best] / total, hasUnknown ? shares[^1] / total : 0, greedy);
    }
}
