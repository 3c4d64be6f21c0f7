// Which task a request is like, by its embedding. Knows no place but what its rules say.
using Microsoft.Extensions.AI;

namespace Kidogo.Routing.Policy;

/// <summary>Compares requests with examples through an encoder of this machine.</summary>
/// <param name="rules">The tasks.</param>
/// <param name="encoder">Turns texts into vectors.</param>
internal sealed class TaskMatcher(IReadOnlyList<TaskRule> rules, IEmbeddingGenerator<string, Embedding<float>> encoder)
{
    private const int MostCharacters = 600; // the head of a long request tells what it is about, and costs little

    private readonly Lock _gate = new();
    private Task<(TaskRule Rule, float[] Vector)[]>? _examples;

    /// <summary>The task that a text is most like, with the similarity; null where none reaches its threshold.</summary>
    public async Task<(TaskRule Rule, double Similarity)?> MatchAsync(string text, CancellationToken cancellation)
    {
        (TaskRule Rule, float[] Vector)[] examples = await Examples().WaitAsync(cancellation).ConfigureAwait(false);
        float[] vector = (await EmbedAsync([text], cancellation).ConfigureAwait(false))[0];
        (TaskRule Rule, double Similarity)[] like =
            [.. examples.Select(example => (example.Rule, Similarity: Cosine(vector, example.Vector))).Where(pair => pair.Similarity >= pair.Rule.Threshold).OrderByDescending(pair => pair.Similarity).Take(1)];
        return like.Length > 0 ? like[0] : null;
    }

    /// <summary>The examples' vectors: made once, and again where that failed.</summary>
    private Task<(TaskRule Rule, float[] Vector)[]> Examples()
    {
        lock (_gate)
        {
            return _examples is null || _examples.IsFaulted ? _examples = MakeAsync() : _examples;
        }
    }

    private async Task<(TaskRule Rule, float[] Vector)[]> MakeAsync()
    {
        List<(TaskRule Rule, float[] Vector)> made = [];
        foreach (TaskRule rule in rules)
        {
            made.AddRange((await EmbedAsync(rule.Examples, CancellationToken.None).ConfigureAwait(false)).Select(vector => (rule, vector)));
        }

        return [.. made];
    }

    private async Task<float[][]> EmbedAsync(IEnumerable<string> texts, CancellationToken cancellation)
    {
        string[] heads = [.. texts.Select(text => text.Length > MostCharacters ? text[..MostCharacters] : text)];
        GeneratedEmbeddings<Embedding<float>> made = await encoder.GenerateAsync(heads, new EmbeddingGenerationOptions { AdditionalProperties = new() { ["truncate"] = true } }, cancellation).ConfigureAwait(false);
        return [.. made.Select(embedding => embedding.Vector.ToArray())];
    }

    private static double Cosine(float[] left, float[] right)
    {
        double product = 0, leftSquare = 0, rightSquare = 0;
        for (int i = 0; i < left.Length; i++)
        {
            product += left[i] * right[i];
            leftSquare += left[i] * left[i];
            rightSquare += right[i] * right[i];
        }

        return product / Math.Max(1e-12, Math.Sqrt(leftSquare * rightSquare));
    }
}
