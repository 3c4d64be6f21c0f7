// What the demo is asked for, what it tells, and the numbers behind each length. Runs nothing.
using Kidogo.Compression.Reports;
using Kidogo.Data.Village;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Compression.Demo;

/// <summary>How long the demo takes.</summary>
public enum DemoLength
{
    /// <summary>A few seconds of training: to see that everything works, not to learn anything.</summary>
    Quick,

    /// <summary>At most 150 s on two cores: one language, simple questions.</summary>
    Usual,

    /// <summary>About 30 minutes: all languages and kinds of questions.</summary>
    Long,
}

/// <summary>What is asked for.</summary>
public sealed record DemoOptions
{
    /// <summary>The folder that everything is written to. Default <c>kidogo-demo</c>.</summary>
    public string Folder { get; init; } = "kidogo-demo";

    /// <summary>Decides stories, first weights and order. Default 0.</summary>
    public ulong Seed { get; init; }

    /// <summary>How long. Default the usual one.</summary>
    public DemoLength Length { get; init; } = DemoLength.Usual;

    /// <summary>Threads; 0 for the physical cores. Changes no number but speeds.</summary>
    public int Threads { get; init; }
}

/// <summary>Told what goes on; all methods do nothing until they are overridden.</summary>
public class DemoObserver
{
    /// <summary>What training tells.</summary>
    public virtual TrainingObserver Training { get; } = new();

    /// <summary>A step begins.</summary>
    /// <param name="number">Which, from 1.</param>
    /// <param name="count">Of how many.</param>
    /// <param name="title">What it does.</param>
    public virtual void Began(int number, int count, string title)
    {
    }

    /// <summary>A step is finished.</summary>
    /// <param name="title">What it did.</param>
    /// <param name="time">How long it took, in the run that did it.</param>
    /// <param name="wasKept">Whether an earlier run did it.</param>
    public virtual void Finished(string title, TimeSpan time, bool wasKept)
    {
    }

    /// <summary>A part of a step is so far.</summary>
    public virtual void Progress(string what, long done, long total)
    {
    }

    /// <summary>A model was judged, now or by an earlier run.</summary>
    public virtual void Judged(JudgedModel model)
    {
    }
}

/// <summary>The numbers behind a length, found by experiment (docs/lab-log.md).</summary>
internal sealed record DemoSettings
{
    public required VillageLevel Level { get; init; }

    /// <summary>Languages of the model, the first is judged.</summary>
    public required IReadOnlyList<string> Languages { get; init; }

    /// <summary>The language of the adapter.</summary>
    public string SecondLanguage { get; init; } = "sw";

    /// <summary>The share of what the model reads that is plain text of the second language, where that is none of its own. It is never asked to answer there, but its embedding,
    /// which an adapter leaves as it is, comes to know the words.</summary>
    public double Overheard { get; init; } = 0.1;

    public required int Stories { get; init; }

    public required int SecondStories { get; init; }

    public required int JudgedStories { get; init; }

    public required int Context { get; init; }

    public required int Batch { get; init; }

    public required ModelShape Shape { get; init; }

    public required int Steps { get; init; }

    public required ModelShape StudentShape { get; init; }

    public required int StudentSteps { get; init; }

    public required int HealingSteps { get; init; }

    public required int AdapterSteps { get; init; }

    public int AdapterRank { get; init; } = 16;

    public double LearningRate { get; init; } = 3e-3;

    public double MatrixLearningRate { get; init; } = 0.02;

    public int CalibrationTokens { get; init; } = 8192;

    public static DemoSettings For(DemoLength length)
    {
        DemoSettings usual = new()
        {
            Level = VillageLevel.Simple,
            Languages = ["en"],
            Stories = 8000,
            SecondStories = 2000,
            JudgedStories = 50,
            Context = 256,
            Batch = 8,
            Shape = Shaped(128, 4, 384),
            Steps = 380,
            StudentShape = Shaped(64, 3, 192),
            StudentSteps = 160,
            HealingSteps = 60,
            AdapterSteps = 80,
        };
        return length switch
        {
            DemoLength.Quick => usual with { Stories = 400, SecondStories = 200, JudgedStories = 6, Steps = 8, StudentSteps = 6, HealingSteps = 4, AdapterSteps = 6, CalibrationTokens = 1024 },
            DemoLength.Usual => usual,
            _ => usual with
            {
                Level = VillageLevel.Full,
                Languages = ["en", "fr", "sw"],
                Stories = 20_000,
                SecondStories = 4000,
                JudgedStories = 100,
                Context = 512,
                Batch = 16,
                Shape = Shaped(192, 6, 512),
                Steps = 1600,
                StudentShape = Shaped(128, 4, 384),
                StudentSteps = 400,
                HealingSteps = 200,
                AdapterSteps = 200,
                CalibrationTokens = 32_768,
            },
        };
    }

    private static ModelShape Shaped(int hidden, int layers, int feedForward) => new() { Hidden = hidden, Layers = layers, Heads = hidden / 32, KvHeads = hidden / 32, HeadDim = 32, FeedForward = feedForward };
}
