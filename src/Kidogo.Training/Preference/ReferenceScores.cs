// What answers were to the model before the first step: computed once, kept in the run's folder. Knows no losses.
using System.Runtime.InteropServices;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Training.Preference;

/// <summary>The logarithms of answers' probabilities to the reference, by item.</summary>
/// <param name="Answers">Of the preferred answers, or the only ones.</param>
/// <param name="Rejected">Of the rejected ones; zeros where there are none.</param>
/// <param name="Unrelated">Of the unrelated ones; zeros where there are none.</param>
internal sealed record ReferenceScores(float[] Answers, float[] Rejected, float[] Unrelated)
{
    public const string FileName = "reference.safetensors";

    private const string DataKey = "data";

    /// <summary>Computes them with the model as it is.</summary>
    /// <param name="model">The model before its first step.</param>
    /// <param name="context">The training context.</param>
    /// <param name="data">The items.</param>
    /// <param name="rows">Sequences of a pass.</param>
    /// <param name="observer">Told how far it is.</param>
    /// <param name="cancellation">Ends it.</param>
    public static ReferenceScores Compute(DecoderModel model, ComputeContext context, PreferenceData data, int rows, TrainingObserver observer, CancellationToken cancellation)
    {
        float[][] scores = [.. Enumerable.Range(0, 3).Select(_ => new float[data.Items.Count])];
        for (int part = 0; part < scores.Length; part++)
        {
            (int Item, PreferenceText Text)[] texts =
            [
                .. data.Items.Select((item, at) => (at, part switch { 0 => item.Answer, 1 => item.Rejected, _ => item.Unrelated })).Where(each => each.Item2 is not null).Select(each => (each.at, each.Item2!)),
            ];
            int done = 0;
            foreach ((int Item, PreferenceText Text)[] some in texts.Chunk(rows))
            {
                cancellation.ThrowIfCancellationRequested();
                observer.Preparing("asking the reference", "answers", done, texts.Length);
                double[] found = AnswerScores.Of(model, context, [.. some.Select(each => each.Text)]);
                for (int i = 0; i < some.Length; i++)
                {
                    scores[part][some[i].Item] = (float)found[i];
                }

                done += some.Length;
            }
        }

        return new ReferenceScores(scores[0], scores[1], scores[2]);
    }

    /// <summary>Writes them into the folder of a run.</summary>
    public void Write(string folder, PreferenceData data)
    {
        TensorToWrite[] tensors = [Tensor("answers", Answers), Tensor("rejected", Rejected), Tensor("unrelated", Unrelated)];
        Dictionary<string, string> metadata = new() { [DataKey] = data.Fingerprint };
        using NewFile made = NewFile.Create(Path.Combine(folder, FileName), SafetensorsWriter.FileBytes(tensors, metadata));
        SafetensorsWriter.Write(made.Stream, tensors, metadata);
        made.Commit();
    }

    /// <summary>Reads those of a run.</summary>
    /// <exception cref="TrainingFailedException">They are gone, or of other data.</exception>
    public static ReferenceScores Read(string folder, PreferenceData data)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new TrainingFailedException($"{path}, which says what the answers were to the model before the first step, is gone. Begin again with another --out.");
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        if (file.Metadata.GetValueOrDefault(DataKey) != data.Fingerprint)
        {
            throw new TrainingFailedException($"{path} is of other data: preferences, tokenizer, split or seed have changed since the run began. Restore them, or begin again with another --out.");
        }

        float[] Values(string name) => file.Find(name) is { TypeName: "F32" } stored && stored.Elements == data.Items.Count
            ? MemoryMarshal.Cast<byte, float>(stored.Data.Read(0, checked((int)stored.Data.Length))).ToArray()
            : throw new TrainingFailedException($"{path} is damaged: it has no {name} of {data.Items.Count} items. Begin again with another --out.");
        return new ReferenceScores(Values("answers"), Values("rejected"), Values("unrelated"));
    }

    private static TensorToWrite Tensor(string name, float[] values) => TensorToWrite.Of(name, [values.Length], "F32", MemoryMarshal.AsBytes(values.AsSpan()).ToArray());
}
