// From labelled lines to a classifier: vectors once, a head, how sure it may be, what it is worth. Changes no model.
using Kidogo.Data;
using Kidogo.Inference;
using Kidogo.Inference.Classification;
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Tensors;

namespace Kidogo.Training.Classification;

/// <summary>How a classifier is made.</summary>
public sealed record ClassifierOptions
{
    /// <summary>The model that it looks through, which stays as it is: an encoder's folder, or anything that holds a decoder.</summary>
    public required string Base { get; init; }

    /// <summary>How states become one vector; null for an encoder's own way, and the mean of a decoder's.</summary>
    public Pooling? Pooling { get; init; }

    /// <summary>Share of each label's lines that the head is not fitted to, above 0 to 0.8: one half of them says how strongly to regularise and how sure to
    /// be, the other what it is worth. Default 0.2.</summary>
    public double HeldOut { get; init; } = 0.2;

    /// <summary>Decides the split. Default 0.</summary>
    public ulong Seed { get; init; }

    /// <summary>Threads; 1 or more.</summary>
    public int Threads { get; init; } = 1;
}

/// <summary>A classifier with what it is worth.</summary>
/// <param name="Content">What is written.</param>
/// <param name="Report">On lines that nothing was fitted to.</param>
/// <param name="FittedLines">Lines that the head was fitted to.</param>
/// <param name="CalibrationLines">Lines that temperature and regularisation were chosen by.</param>
public sealed record TrainedClassifier(ClassifierContent Content, ClassificationReport Report, int FittedLines, int CalibrationLines);

/// <summary>Trains classifiers.</summary>
public static class ClassifierTraining
{
    private static readonly double[] s_lambdas = [1, 0.1, 0.01, 1e-3, 1e-4];

    /// <summary>Trains a head on the frozen model's vectors.</summary>
    /// <param name="data">Labelled lines.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Told what goes on.</param>
    /// <param name="cancellation">Ends it; nothing is left.</param>
    /// <exception cref="TrainingFailedException">A label has too few lines to hold some out.</exception>
    public static TrainedClassifier Train(LabelledText data, ClassifierOptions options, TrainingObserver observer, CancellationToken cancellation)
    {
        (int[] fitted, int[] rest) = data.Split(1 - options.HeldOut, options.Seed);
        LabelledText held = data.Part(rest);
        (int[] calibration, int[] judged) = held.Split(0.5, options.Seed + 1);
        int[][] parts = [fitted, [.. calibration.Select(line => rest[line])], [.. judged.Select(line => rest[line])]];
        for (int label = 0; label < data.Labels.Count; label++)
        {
            if (Array.Exists(parts, part => !part.Any(line => data.Classes[line] == label)))
            {
                throw new TrainingFailedException($"The label \"{data.Labels[label]}\" has {data.Classes.Count(each => each == label)} lines of {data.Texts.Count}: too few to fit, to calibrate and to judge with "
                    + $"held_out: {options.HeldOut}. Give more lines of it, or leave it out.");
            }
        }

        using ComputeContext context = ComputeContext.Inference(options.Threads);
        using TextFeatures features = TextFeatures.Open(options.Base, options.Pooling, context);
        float[][] vectors = Vectors(features, data.Texts, observer, cancellation);
        Standardization scale = Standardization.Of([.. fitted.Select(line => vectors[line])]);
        double[][] rows = [.. vectors.Select(scale.Apply)];
        ClassifierHead head = Fit(data, parts, rows, vectors, scale, observer, cancellation);
        ClassificationReport report = ClassificationReport.Of(data.Labels, [.. parts[2].Select(line => head.Probabilities(vectors[line]))], [.. parts[2].Select(line => data.Classes[line])]);
        ClassifierContent content = new(Path.GetFullPath(options.Base), HashOf(options.Base), features.Pooling, data.Labels, head);
        return new TrainedClassifier(content, report, fitted.Length, parts[1].Length);
    }

    /// <summary>The hash of a model's weights: of one file its SHA-256, of several that of their hashes.</summary>
    public static string HashOf(string path)
    {
        if (LoadedEncoder.IsEncoder(path))
        {
            return Checkpoints.CheckpointWriter.Hash(Path.Combine(path, Checkpoints.CheckpointWriter.WeightsName));
        }

        using ModelHeader header = ModelHeader.Open(path);
        return Adapters.AdaptedBase.HashOf(header);
    }

    private static float[][] Vectors(TextFeatures features, IReadOnlyList<string> texts, TrainingObserver observer, CancellationToken cancellation)
    {
        const int AtOnce = 64;
        List<float[]> vectors = [];
        int cut = 0;
        foreach (string[] some in texts.Chunk(AtOnce))
        {
            observer.Preparing("reading", "lines", vectors.Count, texts.Count);
            foreach (TextEmbedding embedding in features.Of(some, cancellation))
            {
                vectors.Add(embedding.Values);
                cut += embedding.WholeTokens > embedding.Tokens ? 1 : 0;
            }
        }

        if (cut > 0)
        {
            observer.Warn($"{cut} of {texts.Count} texts are longer than the model reads; their beginnings count.");
        }

        return vectors.TrueForAll(vector => !vector.AsSpan().ContainsAnyExceptInRange(float.MinValue, float.MaxValue)) ? [.. vectors]
            : throw new TrainingFailedException("The model makes vectors that are infinite or no numbers of some texts: its weights are damaged.");
    }

    /// <summary>The head with the regularisation that the calibration lines like best, and their temperature.</summary>
    private static ClassifierHead Fit(LabelledText data, int[][] parts, double[][] rows, float[][] vectors, Standardization scale, TrainingObserver observer, CancellationToken cancellation)
    {
        LogisticRegression regression = new([.. parts[0].Select(line => rows[line])], [.. parts[0].Select(line => data.Classes[line])], data.Labels.Count);
        int[] classes = [.. parts[1].Select(line => data.Classes[line])];
        double[]? x = null;
        (ClassifierHead Head, double Loss, double Lambda)? best = null;
        foreach (double lambda in s_lambdas)
        {
            x = regression.Fit(lambda, x, cancellation);
            ClassifierHead head = TemperatureScaling.Of(scale.Head(x, data.Labels.Count), [.. parts[1].Select(line => vectors[line])], classes);
            double loss = ClassificationReport.Of(data.Labels, [.. parts[1].Select(line => head.Probabilities(vectors[line]))], classes).LogLoss;
            best = best is null || loss < best.Value.Loss ? (head, loss, lambda) : best;
        }

        observer.Say(FormattableString.Invariant($"regularisation {best!.Value.Lambda:0.####}, temperature {best.Value.Head.Temperature:0.###}"));
        return best.Value.Head;
    }
}
