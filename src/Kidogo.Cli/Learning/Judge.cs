// A model, with or without an adapter, asked how likely texts are. Knows no ratings and no verdicts.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Verbs;
using Kidogo.Evaluation;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Cli.Learning;

/// <summary>Measures a version as it will be used: the adapter over the model, in float32.</summary>
internal sealed class Judge : IDisposable
{
    /// <summary>Tokens of a conversation that are judged and trained on at most.</summary>
    public const int MostContext = 512;

    private const int MostGeneralTokens = 8192;

    // What the training is not about. Plain English: whoever needs another language or subject names a file.
    private const string Passage = """
        Rain comes to the plain from the lake in the afternoon, when the ground is hot and the air above it rises. Farmers who know the signs look at the hills first: if the tops are hidden before noon, the
        harvest is brought in that day. A bag of dry maize keeps for a year; a bag that was wet once is lost within weeks. For the same reason the store house stands on posts, so that wind passes under the
        floor, and a sheet of tin around every post keeps mice away. Nothing in it is expensive. The work is in building it with care, and in looking at it again after each storm.
        A bridge teaches the same lesson. It is not the weight of one cart that brings it down, but a thousand carts and a bolt that nobody tightened. Engineers write down what they measured, on which day
        and with which instrument, so that those who come later can tell a new crack from an old one. When two numbers disagree, both are measured again before anybody is blamed.
        Water boils at a lower temperature on a mountain, because the air presses on it less. Bread rises faster there, and beans need longer. A cook who moves to the mountains has to learn the times of the
        kitchen anew, although the recipes are the same. To check a sum, add the column from the bottom to the top: the eye does not make the same mistake twice in the same way. Then compare the results, and
        if they differ by nine, look for two digits that changed places.
        """;

    private readonly Session _session;
    private readonly OpenModel _open;
    private readonly ChatPrompter _prompter;
    private readonly int _context;

    /// <summary>Loads the model.</summary>
    /// <param name="session">Where the bar goes.</param>
    /// <param name="request">The model, and the adapter.</param>
    /// <param name="chatTemplate">A template in place of the model's own; null for that.</param>
    /// <exception cref="FailureException">The model has no chat template, or does not fit.</exception>
    public Judge(Session session, ModelRequest request, string? chatTemplate)
    {
        _session = session;
        ModelHeader header = OpenModel.OpenHeader(request);
        ChatTemplate template;
        try
        {
            template = ModelChoice.Template(chatTemplate, ModelText.Of(header)) ?? throw new FailureException("The model has no chat template, so ratings of chats cannot be learned. Give one: --chat-template NAME.");
            _context = Math.Min(MostContext, header.Config.ContextLength);
        }
        catch
        {
            header.Dispose();
            throw;
        }

        _open = OpenModel.Load(session, request, header, _context, KvFormat.F32);
        _prompter = new ChatPrompter(_open.Text, template);
    }

    /// <summary>Nats a token of the liked answers among some examples; those longer than <see cref="MostContext"/> are passed over. NaN where none is left.</summary>
    public double CostOf(IEnumerable<Example> examples)
    {
        double nats = 0;
        long tokens = 0;
        foreach (Example example in examples.Where(example => example.IsLiked))
        {
            (double logProbability, int count) = Score(example.Prompt, example.Answer);
            (nats, tokens) = (nats - logProbability, tokens + count);
        }

        return tokens == 0 ? double.NaN : nats / tokens;
    }

    /// <summary>The logarithms of the probabilities of all that a canary could be.</summary>
    public double[] Ask(Canary canary)
    {
        using ProgressBar bar = new(_session, "canaries", "numbers");
        double[] scores = new double[canary.Candidates.Count];
        for (int i = 0; i < scores.Length; i++)
        {
            scores[i] = Score([new ChatMessage("user", canary.Question)], canary.Candidates[i]).LogProbability;
            bar.Report(i + 1, scores.Length);
        }

        return scores;
    }

    /// <summary>The perplexity of a text.</summary>
    /// <param name="file">The text; null for a passage of plain English.</param>
    public double General(string? file)
    {
        int[] ids = file is null ? _open.Text.Tokenizer.Encode(Passage) : EvalVerb.ReadIds(null, file, _open.Loaded.Header, MostGeneralTokens);
        PerplexityOptions options = new() { WindowLength = Math.Min(_context, ids.Length), ScoreAll = true };
        return Perplexity.Measure(_open.Model, _open.Context, ids, options, _session.Interrupted).Perplexity;
    }

    public void Dispose() => _open.Dispose();

    private (double LogProbability, int Tokens) Score(IReadOnlyList<ChatMessage> prompt, string answer)
    {
        JsonElement[] messages = [.. prompt.Select(message => message.ToJson())];
        List<int> ids = [.. _prompter.Build(messages).Ids];
        int first = ids.Count;
        ids.AddRange(_open.Text.Tokenizer.Encode(answer));
        if (first == 0 || ids.Count == first || ids.Count > _context)
        {
            return (0, 0);
        }

        _session.Interrupted.ThrowIfCancellationRequested();
        using LogitStream stream = new(_open.Model, _open.Context, CollectionsMarshal.AsSpan(ids));
        double sum = 0;
        int at = 0;
        while (stream.Next() is { } logits)
        {
            for (int row = 0; row < logits.Rows; row++)
            {
                at++;
                if (at >= first && at < ids.Count)
                {
                    sum += TokenProbabilities.LogProbability(logits.Row(row), ids[at]);
                }
            }
        }

        return (sum, ids.Count - first);
    }
}
