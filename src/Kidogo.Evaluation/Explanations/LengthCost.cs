// What a longer text costs: time and memory of attention and of all the rest, measured as texts double. Knows ids, not text.
using System.Diagnostics;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Evaluation.Explanations;

/// <summary>What a text of some length costs.</summary>
/// <param name="Tokens">T</param>
/// <param name="Seconds">Reading the whole text: every layer, all that is in it.</param>
/// <param name="AttentionSeconds">Of that, attention: every token with those before it, in all layers.</param>
/// <param name="CacheBytes">Memory of the keys and values of all layers, in pages of 256 tokens.</param>
/// <param name="MatrixBytes">Memory that the T x T weights of all heads of the layer with most of them would take in float32 if they were kept; they are not. Computed, not measured.</param>
public sealed record LengthCost(int Tokens, double Seconds, double AttentionSeconds, long CacheBytes, long MatrixBytes);

/// <summary>Measures texts that double.</summary>
public static class LengthCosts
{
    private const int FirstTokens = 128;
    private const int RowsAtOnce = 512; // as prompts are read
    private const double LeastSeconds = 0.05; // shorter work is measured again, and the best counts
    private const int MostRepeats = 5;

    /// <summary>Measures 128 tokens, 256, 512 … or, where the longest is short, as many doublings below it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="context">For inference.</param>
    /// <param name="longest">The longest text, in tokens; no more than the model's context.</param>
    /// <param name="time">A length whose time would probably go beyond this is not begun; two are measured always.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    /// <returns>The lengths one by one, as they are measured.</returns>
    /// <exception cref="ExplanationException">The longest text is too short to double.</exception>
    public static IEnumerable<LengthCost> Measure(DecoderModel model, ComputeContext context, int longest, TimeSpan time, CancellationToken cancellation = default)
    {
        longest = Math.Min(longest, model.Config.ContextLength);
        if (longest < 2)
        {
            throw new ExplanationException($"A text of {longest} tokens cannot double. The model's context is {model.Config.ContextLength} tokens.");
        }

        int first = FirstTokens;
        while (first > 1 && first * 8L > longest)
        {
            first /= 2;
        }

        return Lengths();

        IEnumerable<LengthCost> Lengths()
        {
            long start = Stopwatch.GetTimestamp();
            Speed.Measure(model, context, new SpeedOptions { PromptTokens = first, GeneratedTokens = 0 }, cancellation); // the first pass compiles
            double last = 0;
            for (int tokens = first, count = 0; tokens <= longest; tokens = tokens <= int.MaxValue / 2 ? 2 * tokens : int.MaxValue, count++)
            {
                const double Growth = 4; // attention's, at worst
                if (count >= 2 && Stopwatch.GetElapsedTime(start).TotalSeconds + (Growth * last) > time.TotalSeconds)
                {
                    yield break;
                }

                long begun = Stopwatch.GetTimestamp();
                LengthCost cost = Of(model, context, tokens, cancellation);
                last = Stopwatch.GetElapsedTime(begun).TotalSeconds;
                yield return cost;
            }
        }
    }

    private static LengthCost Of(DecoderModel model, ComputeContext context, int tokens, CancellationToken cancellation)
    {
        SpeedOptions whole = new() { PromptTokens = tokens, GeneratedTokens = 0 };
        double seconds = Best(() => Speed.Measure(model, context, whole, cancellation).FirstToken.TotalSeconds);
        double attention = 0;
        long cache = 0;
        foreach (IGrouping<AttentionShape, LayerConfig> alike in model.Config.Layers.GroupBy(ShapeOf))
        {
            long bytes = 0;
            attention += alike.Count() * Best(() => Attend(context, alike.Key, tokens, out bytes, cancellation));
            cache += alike.Count() * bytes;
        }

        // Twice the same work on a machine that is not idle: the part is never more than the whole.
        return new LengthCost(tokens, seconds, Math.Min(attention, seconds), cache, sizeof(float) * (long)tokens * tokens * model.Config.Layers.Max(layer => layer.NumHeads));
    }

    /// <summary>Attention of one layer over made-up queries, keys and values, in the passes of a prompt.</summary>
    private static double Attend(ComputeContext context, AttentionShape shape, int tokens, out long cacheBytes, CancellationToken cancellation)
    {
        using KvStore store = new(shape.KvHeads, shape.HeadDim, context.CacheFormat, shape.Window);
        Tensor q = MadeUp(Math.Min(RowsAtOnce, tokens), shape.Heads * shape.HeadDim, 1), k = MadeUp(q.Rows, shape.KvHeads * shape.HeadDim, 2), v = MadeUp(q.Rows, k.Columns, 3);
        long start = Stopwatch.GetTimestamp();
        for (int first = 0; first < tokens; first += RowsAtOnce)
        {
            cancellation.ThrowIfCancellationRequested();
            int rows = Math.Min(RowsAtOnce, tokens - first);
            int mark = context.Mark();
            SequenceRows sequence = new(0, rows, store);
            AttentionOp.Apply(context, Rows(context, q, rows), Rows(context, k, rows), Rows(context, v, rows), [sequence], shape);
            context.ReleaseTo(mark);
        }

        cacheBytes = store.MemoryBytes;
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>The first rows: lengths that double have a part of a pass only at their beginning, where it is the whole.</summary>
    private static Tensor Rows(ComputeContext context, Tensor x, int rows)
    {
        if (rows == x.Rows)
        {
            return x;
        }

        Tensor part = context.Rent(rows, x.Columns);
        x.Span[..part.Length].CopyTo(part.Span);
        return part;
    }

    private static Tensor MadeUp(int rows, int columns, int seed)
    {
        Tensor x = new(rows, columns);
        Span<float> values = x.Span;
        uint state = (uint)seed;
        for (int i = 0; i < values.Length; i++)
        {
            state = (state * 1_664_525) + 1_013_904_223; // Knuth's and Lewis's generator: any values will do, but not all the same
            values[i] = ((state >> 8) / (float)(1 << 24)) - 0.5f;
        }

        return x;
    }

    private static double Best(Func<double> measure)
    {
        double best = measure(), sum = best;
        for (int repeat = 1; repeat < MostRepeats && sum < LeastSeconds; repeat++)
        {
            double again = measure();
            (best, sum) = (Math.Min(best, again), sum + again);
        }

        return best;
    }

    private static AttentionShape ShapeOf(LayerConfig layer) => new(layer.NumHeads, layer.NumKvHeads, layer.HeadDim, layer.AttentionScale, layer.AttentionSoftcap, layer.SlidingWindow);
}
