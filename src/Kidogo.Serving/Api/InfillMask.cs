// The last word on a token that fills a hole: whether to end, and which of the few likely tokens may come. Knows no text but the tokens'.
using Kidogo.Inference.Sampling;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Api;

/// <summary>What llama.cpp calls the sampler <c>infill</c>: it prefers to end rather than to go on with something unlikely, and counts tokens that begin alike together.</summary>
/// <remarks>
/// Of the tokens that top-k and top-p leave: where ends are likely for their number, the answer ends; a token that others begin with gets their share; what is then unlikely may not come,
/// and where nothing is left the answer ends.
/// </remarks>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="sampling">How many tokens are looked at.</param>
/// <param name="form">What the answer is held to besides; null for nothing.</param>
internal sealed class InfillMask(Tokenizer tokenizer, SamplerOptions sampling, ITokenMask? form) : ITokenMask
{
    private const int MostCandidates = 256;
    private const int EndWeight = 3;
    private const double LeastShare = 0.2;

    private readonly int[] _ends = [.. tokenizer.EndOfGenerationIds];

    /// <inheritdoc/>
    public void Apply(Span<float> logits)
    {
        form?.Apply(logits);
        int most = Math.Min(sampling.Order.Contains(SamplerStep.TopK) && sampling.TopK > 0 ? sampling.TopK : MostCandidates, MostCandidates);
        List<TokenProbability> likely = [];
        double sum = 0, topP = sampling.Order.Contains(SamplerStep.TopP) ? sampling.TopP : 1;
        foreach (TokenProbability token in TokenProbabilities.TopTokens(logits, Math.Min(most, logits.Length)))
        {
            if (token.Probability > 0 && (sum < topP || likely.Count == 0))
            {
                likely.Add(token);
                sum += token.Probability;
            }
        }

        double ends = likely.Where(token => IsEnd(token.Id)).Sum(token => token.Probability) / sum;
        (int Id, byte[] Bytes, double Share)[] texts = [.. likely.Where(token => !IsEnd(token.Id)).Select(token => (token.Id, tokenizer.PieceBytes(token.Id), token.Probability / sum))];
        if (EndWeight * ends * likely.Count > 1 - ends)
        {
            texts = [];
        }

        Merge(texts);
        (int Id, byte[] Bytes, double Share)[] kept = [.. texts.Where(token => token.Share >= LeastShare)];
        List<(int Id, float Logit)> left = [.. kept.Select(token => (token.Id, (float)Math.Log(token.Share)))];
        for (int i = 0; i < _ends.Length && kept.Length == 0; i++)
        {
            if (_ends[i] < logits.Length && logits[_ends[i]] > float.NegativeInfinity)
            {
                left.Add((_ends[i], logits[_ends[i]]));
            }
        }

        if (left.Count == 0)
        {
            return; // the form does not let it end
        }

        logits.Fill(float.NegativeInfinity);
        foreach ((int id, float logit) in left)
        {
            logits[id] = logit;
        }
    }

    /// <inheritdoc/>
    public void Accept(int id) => form?.Accept(id);

    private bool IsEnd(int id) => Array.IndexOf(_ends, id) >= 0;

    /// <summary>Gives the likelier of two tokens, one of which begins with the other, the share of both.</summary>
    private static void Merge((int Id, byte[] Bytes, double Share)[] texts)
    {
        for (int i = 0; i < texts.Length; i++)
        {
            for (int j = 0; j < texts.Length; j++)
            {
                if (i != j && texts[i].Share > 0 && texts[j].Share > 0 && texts[j].Bytes.AsSpan().StartsWith(texts[i].Bytes))
                {
                    (int to, int from) = texts[i].Share >= texts[j].Share ? (i, j) : (j, i);
                    texts[to].Share += texts[from].Share;
                    texts[from].Share = 0;
                }
            }
        }
    }
}
