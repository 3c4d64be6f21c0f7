// Which ratings are learned from, and which are held out to judge by. Knows no model and no files.
using System.Security.Cryptography;
using System.Text;
using Kidogo.Privacy;
using Kidogo.Serving.Feedback;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Cli.Learning;

/// <summary>An answer to learn, or to learn to avoid.</summary>
/// <param name="Owner">Whose rating it is.</param>
/// <param name="Prompt">The conversation before it.</param>
/// <param name="Answer">The answer.</param>
/// <param name="IsLiked">Whether it was liked.</param>
internal sealed record Example(string Owner, IReadOnlyList<ChatMessage> Prompt, string Answer, bool IsLiked)
{
    /// <summary>Whether there is personal data in it, in a message or across them.</summary>
    public bool IsPersonal(PersonalDataFinder finder)
    {
        string[] texts = [.. Prompt.Select(message => message.Content), Answer];
        return texts.Append(string.Join('\n', texts)).Any(text => finder.Find(text).Count > 0);
    }

    /// <summary>A number from 0 to 1 that depends on the prompt alone: all answers to a prompt are on the same side, in every version.</summary>
    public double Place => BitConverter.ToUInt32(HashOf(Prompt, ""), 0) / (double)uint.MaxValue;

    /// <summary>What is the same for the same answer to the same prompt.</summary>
    public string Key => Convert.ToHexString(HashOf(Prompt, Answer));

    private static byte[] HashOf(IReadOnlyList<ChatMessage> prompt, string answer) => SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\0', [.. prompt.SelectMany(message => (string[])[message.Role, message.Content]), answer])));
}

/// <summary>What is learned from.</summary>
/// <param name="Training">To train on.</param>
/// <param name="HeldOut">To judge by; none of their prompts is trained on.</param>
/// <param name="Ratings">Ratings that there were.</param>
/// <param name="Others">Ratings that were left out since another model had answered.</param>
/// <param name="Personal">Ratings that were left out since there is personal data in them.</param>
/// <param name="Repeated">Answers that were left out since a later rating is of the same.</param>
/// <param name="OverShare">Answers that were left out since their owner has more than the share of one.</param>
internal sealed record Selection(IReadOnlyList<Example> Training, IReadOnlyList<Example> HeldOut, int Ratings, IReadOnlyDictionary<string, int> Others, int Personal, int Repeated, int OverShare)
{
    private const double HeldOutShare = 0.2;
    private const int MostNamed = 5;

    /// <summary>Selects.</summary>
    /// <param name="ratings">The ratings, the latest first.</param>
    /// <param name="model">What the server calls the model that learns. Only what it answered, with any adapter, is learned from: what another one says is not how it would have answered.</param>
    /// <param name="finder">What is personal.</param>
    /// <param name="share">The share of one owner, above 0 to 1; where there are few owners, an equal part for each.</param>
    public static Selection Of(IReadOnlyList<RatedAnswer> ratings, string model, PersonalDataFinder finder, double share)
    {
        List<Example> examples = [];
        SortedDictionary<string, int> others = new(StringComparer.Ordinal);
        HashSet<string> known = [];
        int personal = 0, repeated = 0, overShare = 0;
        foreach (RatedAnswer rating in ratings)
        {
            if (rating.Model != model && !rating.Model.StartsWith($"{model}:", StringComparison.Ordinal))
            {
                others[rating.Model] = others.GetValueOrDefault(rating.Model) + 1;
                continue;
            }

            ChatMessage[] prompt = [.. rating.Messages.SkipLast(1)];
            Example answer = new(rating.Owner, prompt, rating.Messages[^1].Content, rating.IsLiked && rating.Correction is null);
            Example[] both = rating.Correction is { } better ? [answer, answer with { Answer = better, IsLiked = true }] : [answer];
            if (both.Any(example => example.IsPersonal(finder)))
            {
                personal++;
                continue;
            }

            foreach (Example example in both)
            {
                if (known.Add(example.Key))
                {
                    examples.Add(example);
                }
                else
                {
                    repeated++;
                }
            }
        }

        int owners = examples.DistinctBy(example => example.Owner).Count();
        int most = (int)Math.Ceiling(Math.Max(share, 1.0 / Math.Max(1, owners)) * examples.Count);
        Dictionary<string, int> counts = [];
        List<Example> training = [], heldOut = [];
        foreach (Example example in examples)
        {
            int count = counts.GetValueOrDefault(example.Owner);
            if (count >= most)
            {
                overShare++;
                continue;
            }

            counts[example.Owner] = count + 1;
            (example.Place < HeldOutShare ? heldOut : training).Add(example);
        }

        return new Selection(training, heldOut, ratings.Count, others, personal, repeated, overShare);
    }

    /// <summary>Why nothing can be learned from it; null where something can.</summary>
    /// <param name="least">The fewest answers.</param>
    /// <param name="method">The method.</param>
    public string? Refusal(int least, LearnMethod method)
    {
        const int LeastJudges = 2;
        int liked = Training.Count(example => example.IsLiked), judges = HeldOut.Count(example => example.IsLiked);
        return Training.Count + HeldOut.Count < least
            ? $"There are {Training.Count + HeldOut.Count} answers to learn from; {least} are the least (--least). {Counts}"
            : judges < LeastJudges ? $"Of {HeldOut.Count} answers that are held out, {judges} are liked; {LeastJudges} are the least to judge by. Collect more thumbs. {Counts}"
            : liked == 0 ? $"None of the {Training.Count} answers to train on is liked. Collect more thumbs. {Counts}"
            : method == LearnMethod.Kto && liked == Training.Count ? $"All {liked} answers to train on are liked: kto learns from both kinds. Take --method sft, or collect more thumbs. {Counts}"
            : null;
    }

    /// <summary>What became of the ratings, in words.</summary>
    public string Counts => $"Of {Ratings} ratings, {Others.Values.Sum()} are of answers that another model gave{Named}, and {Personal} have personal data and are left out; of the others' answers, {Repeated} repeat another and {OverShare} are over the share of one person.";

    private string Named => Others.Count == 0 ? "" : $" ({string.Join(", ", Others.Take(MostNamed).Select(other => $"{other.Key} {other.Value}"))}{(Others.Count > MostNamed ? ", …" : "")}; --answered-by takes another name)";
}

/// <summary>How it is learned.</summary>
internal enum LearnMethod
{
    /// <summary>From liked and disliked answers (arXiv 2402.01306).</summary>
    Kto,

    /// <summary>From liked answers, as texts.</summary>
    Sft,
}
