// Times whole steps of training a decoder on random ids: forward, backward and an update like AdamW's. Knows no recipes and no data.
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Benchmarks;

/// <summary>A decoder and a batch. The defaults are those of the comparison with PyTorch: 13.8 million parameters.</summary>
internal sealed record TrainStepOptions
{
    public int Threads { get; init; } = 1;

    public int Steps { get; init; } = 6;

    public int Vocabulary { get; init; } = 8192;

    public int Hidden { get; init; } = 384;

    public int Layers { get; init; } = 6;

    public int Heads { get; init; } = 6;

    public int KvHeads { get; init; } = 6;

    public int FeedForward { get; init; } = 1024;

    public int Batch { get; init; } = 8;

    public int Tokens { get; init; } = 256;

    public bool Checkpoint { get; init; }

    public bool BFloat16 { get; init; }

    public static TrainStepOptions Parse(string[] options)
    {
        TrainStepOptions parsed = new();
        for (int i = 0; i + 1 < options.Length; i += 2)
        {
            int value = int.Parse(options[i + 1], CultureInfo.InvariantCulture);
            parsed = options[i] switch
            {
                "--threads" => parsed with { Threads = value },
                "--steps" => parsed with { Steps = value },
                "--vocabulary" => parsed with { Vocabulary = value },
                "--hidden" => parsed with { Hidden = value },
                "--layers" => parsed with { Layers = value },
                "--heads" => parsed with { Heads = value, KvHeads = value },
                "--kv-heads" => parsed with { KvHeads = value },
                "--feed-forward" => parsed with { FeedForward = value },
                "--batch" => parsed with { Batch = value },
                "--tokens" => parsed with { Tokens = value },
                "--checkpoint" => parsed with { Checkpoint = value != 0 },
                "--bf16" => parsed with { BFloat16 = value != 0 },
                _ => throw new ArgumentException($"There is no option {options[i]}: --threads, --steps, --vocabulary, --hidden, --layers, --heads, --kv-heads, --feed-forward, --batch, --tokens, --checkpoint, --bf16."),
            };
        }

        return parsed;
    }
}

internal static class TrainStepSpeed
{
    /// <summary>Prints the float32 peak, then a line of JSON for each step but the first: operations are counted as 6 a parameter and 12 · layers · hidden · tokens for attention.</summary>
    public static void Print(TrainStepOptions options)
    {
        double peak = FmaPeak.Measure(options.Threads);
        using ComputeContext context = ComputeContext.Training(options.Threads, options.Checkpoint, options.BFloat16);
        LayerConfig layer = new()
        {
            NumHeads = options.Heads,
            NumKvHeads = options.KvHeads,
            HeadDim = options.Hidden / options.Heads,
            IntermediateSize = options.FeedForward,
            Rope = new RopeConfig(1e4, options.Hidden / options.Heads, RotaryLayout.HalfSplit),
            AttentionScale = 1 / MathF.Sqrt(options.Hidden / options.Heads),
            Activation = Activation.Silu,
        };
        using DecoderModel model = RandomModel.Create(
            new DecoderConfig
            {
                VocabSize = options.Vocabulary,
                HiddenSize = options.Hidden,
                ContextLength = options.Tokens,
                Layers = [.. Enumerable.Repeat(layer, options.Layers)],
                Norm = new NormConfig(NormKind.Rms, 1e-5f),
                TiedHead = true,
            },
            seed: 1);
        IReadOnlyList<ModelParameter> parameters = ModelParameters.Of(model);
        Update update = new(parameters);
        double flops = ((6.0 * model.Config.ParameterCount) + (12.0 * options.Layers * options.Hidden * options.Tokens)) * options.Batch * options.Tokens;
        Random random = new(1);
        using Process self = Process.GetCurrentProcess();
        for (int step = 0; step < options.Steps; step++)
        {
            self.Refresh();
            TimeSpan used = self.UserProcessorTime;
            long start = Stopwatch.GetTimestamp();
            double loss = Step(context, model, update, options, random);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            self.Refresh();
            used = self.UserProcessorTime - used;
            if (step > 0)
            {
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{{\"tokens_per_second\":{options.Batch * options.Tokens / seconds:F1},\"gflops\":{flops / seconds / 1e9:F1},\"peak\":{peak:F1},\"fraction\":{flops / seconds / 1e9 / peak:F3},\"fraction_of_processor_time\":{flops / used.TotalSeconds / 1e9 / (peak / options.Threads):F3},\"loss\":{loss:F4},\"parameters\":{model.Config.ParameterCount},\"tape_mib\":{context.TapeBytes >> 20},\"resident_mib\":{self.PeakWorkingSet64 >> 20}}}"));
            }
        }
    }

    private static double Step(ComputeContext context, DecoderModel model, Update update, TrainStepOptions options, Random random)
    {
        int[] ids = new int[options.Tokens + 1];
        List<int> targets = [];
        using SequenceBatch batch = new();
        for (int i = 0; i < options.Batch; i++)
        {
            for (int t = 0; t < ids.Length; t++)
            {
                ids[t] = random.Next(options.Vocabulary);
            }

            batch.Add(null, ids.AsSpan(0, options.Tokens), LogitRows.All);
            targets.AddRange(ids.AsSpan(1));
        }

        CrossEntropyResult loss = model.Loss(context, batch, CollectionsMarshal.AsSpan(targets));
        context.Backward(loss.Loss);
        update.Run(context.Team);
        return loss.Value;
    }

    /// <summary>AdamW with fixed constants: three values are read and three written for each weight, and the gradient is cleared.</summary>
    private sealed class Update(IReadOnlyList<ModelParameter> parameters) : SharedWork
    {
        private const int Piece = 16 * 1024;
        private readonly float[][] _means = [.. parameters.Select(parameter => new float[parameter.Values.Length])];
        private readonly float[][] _squares = [.. parameters.Select(parameter => new float[parameter.Values.Length])];

        public void Run(WorkerTeam team)
        {
            Items = parameters.Sum(parameter => (parameter.Values.Length + Piece - 1) / Piece);
            team.Run(this);
        }

        public override void Do(int item, int worker)
        {
            int index = 0;
            for (int pieces = (parameters[0].Values.Length + Piece - 1) / Piece; item >= pieces; pieces = (parameters[index].Values.Length + Piece - 1) / Piece)
            {
                item -= pieces;
                index++;
            }

            int count = Math.Min(Piece, parameters[index].Values.Length - (item * Piece));
            Span<float> w = parameters[index].Values.Span.Slice(item * Piece, count), g = parameters[index].Values.Gradient!.Span.Slice(item * Piece, count);
            Span<float> m = _means[index].AsSpan(item * Piece, count), v = _squares[index].AsSpan(item * Piece, count);
            int i = 0;
            for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
            {
                Vector256<float> gradient = Vector256.Create<float>(g[i..]);
                Vector256<float> mean = (Vector256.Create<float>(m[i..]) * 0.9f) + (gradient * 0.1f);
                Vector256<float> square = (Vector256.Create<float>(v[i..]) * 0.95f) + (gradient * gradient * 0.05f);
                Vector256<float> weight = (Vector256.Create<float>(w[i..]) * (1 - 1e-5f)) - (mean * 1e-4f / (Vector256.Sqrt(square) + Vector256.Create(1e-8f)));
                mean.CopyTo(m[i..]);
                square.CopyTo(v[i..]);
                weight.CopyTo(w[i..]);
            }

            g.Clear();
        }
    }
}
