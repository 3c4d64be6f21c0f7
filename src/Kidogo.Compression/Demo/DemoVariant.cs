// The smaller files of the demo's model: a line each. A method that makes a model smaller is added here and nowhere else.
using System.Text.Json;
using Kidogo.Compression.Passports;
using Kidogo.Compression.Pruning;
using Kidogo.Compression.Quantization;
using Kidogo.Compression.Reports;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Training;

namespace Kidogo.Compression.Demo;

/// <summary>What making a variant needs.</summary>
/// <param name="Folder">The demo's folder.</param>
/// <param name="Settings">The numbers behind its length.</param>
/// <param name="Calibration">Ids of stories that were trained on.</param>
/// <param name="Healing">Fields of a recipe for training after pruning, and who is told of it.</param>
/// <param name="Threads">Threads.</param>
/// <param name="Progress">Told what is going on, how far it is, and of how much.</param>
internal sealed record DemoWork(
    DemoFolder Folder, DemoSettings Settings, Func<int[]> Calibration, (IReadOnlyList<KeyValuePair<string, IReadOnlyList<string>>> Fields, TrainingObserver Observer) Healing, int Threads,
    Action<string, long, long> Progress);

/// <summary>A smaller form of the model.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Title">What the step does.</param>
/// <param name="Made">How it was made, in a few words.</param>
/// <param name="FileName">Where it lies in the folder.</param>
/// <param name="Make">Makes it from the folder's model.</param>
internal sealed record DemoVariant(string Name, string Title, string Made, string FileName, Action<DemoWork, CancellationToken> Make)
{
    private const double PrunedShare = 0.5;
    private const int CalibrationSequence = 256;

    /// <summary>All of them, the largest first.</summary>
    public static IReadOnlyList<DemoVariant> All { get; } =
    [
        new("pruned", "half of the feed-forward's neurons, and training that heals", "half its neurons, healed by the model, float32", "pruned", Prune),
        Quantized("q8", "Q8_0", false, "variants/model-q8.gguf"),
        Quantized("q5", "Q5_0", false, "variants/model-q5.gguf"),
        Quantized("q4", "Q4_0", true, DemoRun.TalkName),
        Quantized("q4-plain", "Q4_0", false, "variants/model-q4-plain.gguf"),
        Quantized("q2", "Q2_0", true, "variants/model-q2.gguf"),
        Quantized("q2-plain", "Q2_0", false, "variants/model-q2-plain.gguf"),
    ];

    /// <summary>Where it lies.</summary>
    public string PathIn(DemoFolder folder) => folder.At(FileName);

    /// <summary>What rounding did to each tensor of a variant; nothing for others.</summary>
    public static IReadOnlyList<JudgedTensor> TensorsOf(DemoFolder folder, string name)
    {
        string path = TensorPath(folder, name);
        if (!File.Exists(path))
        {
            return [];
        }

        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
        return [.. json.RootElement.EnumerateArray().Select(JudgedTensor.Read)];
    }

    private static DemoVariant Quantized(string name, string format, bool isCalibrated, string file)
    {
        string method = isCalibrated ? "GPTQ on stories that were trained on" : "rounded to nearest";
        return new DemoVariant(name, $"{format}, {(isCalibrated ? "calibrated" : "rounded to nearest")}", $"{format}, {method}", file, (work, cancellation) => Quantize(work, name, format, isCalibrated, file, cancellation));
    }

    private static void Quantize(DemoWork work, string name, string format, bool isCalibrated, string file, CancellationToken cancellation)
    {
        string output = work.Folder.At(file), parent = work.Folder.At("model");
        Directory.CreateDirectory(Path.GetDirectoryName(output)!);
        using ModelHeader header = ModelHeader.Open(parent);
        QuantizeOptions options = new() { Mix = FormatMix.ForName(format, pure: true)! };
        DerivationOptions recipe = new() { Verb = "quantize", Options = [("format", format), ("pure", true), ("method", isCalibrated ? "gptq" : "rtn")], Threads = work.Threads };
        ModelWriteOptions write = new() { Threads = work.Threads, Passport = Derivation.Begin(header, recipe, cancellation) };
        QuantizeReport report;
        if (isCalibrated)
        {
            int[] ids = work.Calibration();
            using ComputeContext context = ComputeContext.Training(work.Threads);
            using LoadedModel loaded = ModelLoader.Load(parent, context);
            QuantizedRows? rows = null;
            try
            {
                ModelGptqOptions gptq = new() { WorkFolder = work.Folder.At("variants", $"{name}.work"), SequenceTokens = Math.Min(CalibrationSequence, loaded.Config.ContextLength), Progress = (done, total) => work.Progress($"GPTQ, {format}", done, total) };
                report = Quantizer.Run(header, output, options with
                {
                    Method = (content, choices) =>
                    {
                        rows = ModelGptq.Run(loaded.Model, context, ids, slot => QuantizedRows.FormatOf(choices, slot), gptq, cancellation);
                        return (content, rows.Encoders(choices));
                    },
                }, write);
                rows?.Delete();
            }
            finally
            {
                rows?.Dispose();
            }
        }
        else
        {
            report = Quantizer.Run(header, output, options, write);
        }

        Keep(work.Folder, name, report);
    }

    private static void Prune(DemoWork work, CancellationToken cancellation)
    {
        string rounds = work.Folder.At("variants", "pruned.work");
        using ModelHeader header = ModelHeader.Open(work.Folder.At("model"));
        PruneRequest request = new()
        {
            Structure = new StructurePruning { Shares = new StructureShares { Neurons = PrunedShare } },
            Ids = work.Calibration(),
            SequenceTokens = CalibrationSequence,
            Heal = new HealRequest { Fields = work.Healing.Fields, Steps = work.Settings.HealingSteps, WorkFolder = rounds, Observer = work.Healing.Observer },
            Threads = work.Threads,
            Progress = work.Progress,
        };
        DerivationOptions recipe = new() { Verb = "prune", Options = [("neurons", PrunedShare), ("heal-steps", work.Settings.HealingSteps)], Threads = work.Threads };
        Pruner.Run(header, work.Folder.At("pruned"), request, new ModelWriteOptions { Threads = work.Threads, Passport = Derivation.Begin(header, recipe, cancellation) }, cancellation);
        Healing.Clean(rounds);
    }

    private static void Keep(DemoFolder folder, string name, QuantizeReport report)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartArray();
            foreach (TensorOutcome tensor in report.Tensors.Where(tensor => tensor.RelativeError > 0))
            {
                new JudgedTensor(tensor.Name, tensor.Format, tensor.RelativeError).Write(json);
            }

            json.WriteEndArray();
        }

        Directory.CreateDirectory(folder.At("variants"));
        NewFile.Write(TensorPath(folder, name), bytes.ToArray());
    }

    private static string TensorPath(DemoFolder folder, string name) => folder.At("variants", $"{name}.tensors.json");
}
