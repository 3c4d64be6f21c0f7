// Repetition, frequency and presence penalties over the last tokens. Knows a set of candidates and a history.
namespace Kidogo.Inference.Sampling;

/// <summary>The three penalties of one window. Owns the counting room, allocated once.</summary>
internal sealed class Penalties(SamplerOptions options, int vocabularySize, int contextLength)
{
    private readonly int _window = WindowOf(options.PenaltyLastN, contextLength);
    private readonly int[] _seen = new int[vocabularySize];
    private readonly int[] _counted = new int[vocabularySize];

    public static bool AreOn(SamplerOptions options) =>
        options.PenaltyLastN != 0 && (options.RepetitionPenalty != 1 || options.FrequencyPenalty != 0 || options.PresencePenalty != 0);

    /// <summary>A window option as a number of tokens: -1 is the whole context, and no window is longer.</summary>
    public static int WindowOf(int lastN, int contextLength) => lastN < 0 ? contextLength : Math.Min(lastN, contextLength);

    public void Apply(CandidateSet set, TokenHistory history)
    {
        int length = Math.Min(_window, history.Count);
        for (int back = 0; back < length; back++)
        {
            int id = history.Recent(back, out bool isPrompt);
            _seen[id]++;
            _counted[id] += isPrompt && !options.FrequencyCountsPrompt ? 0 : 1;
        }

        float repetition = (float)options.RepetitionPenalty;
        for (int back = 0; back < length; back++)
        {
            int id = history.Recent(back, out _);
            int index = set.IndexOf(id);
            if (_seen[id] > 0 && index >= 0)
            {
                ref float logit = ref set.Logits[index];
                logit = logit <= 0 ? logit * repetition : logit / repetition;
                logit -= (_counted[id] * (float)options.FrequencyPenalty) + (_counted[id] > 0 ? (float)options.PresencePenalty : 0);
            }

            (_seen[id], _counted[id]) = (0, 0); // once per token, and clean for the next time
        }

        set.Changed();
    }
}
