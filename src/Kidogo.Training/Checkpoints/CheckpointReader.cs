// Reads a checkpoint, and refuses one that is damaged or of another model. Knows no loop.
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Training.Optimizers;

namespace Kidogo.Training.Checkpoints;

/// <summary>Reads checkpoints.</summary>
internal static class CheckpointReader
{
    /// <summary>What training.json says, once every file was found to be what was written.</summary>
    /// <exception cref="TrainingFailedException">The checkpoint is damaged.</exception>
    public static TrainingState Check(string folder)
    {
        string path = Path.Combine(folder, TrainingState.FileName);
        if (!File.Exists(path))
        {
            throw new TrainingFailedException($"{folder} is no whole checkpoint: it has no {TrainingState.FileName}. {CheckpointFolder.TakeAnother}");
        }

        TrainingState state = TrainingState.Read(path);
        if (state.Step < 0 || state.Recipe is not
            { Batch: { Context: > 0, Sequences: > 0, Accumulate: > 0 }, Optimizer: { LearningRate: not null, WeightDecay: not null }, Data.Cache: not null })
        {
            throw new TrainingFailedException($"{path} is damaged: its recipe leaves open what a run has decided. {CheckpointFolder.TakeAnother}");
        }

        foreach (CheckpointFile file in state.Files)
        {
            if (file.Name != Path.GetFileName(file.Name))
            {
                throw new TrainingFailedException($"{path} names the file \"{file.Name}\", which is not in the checkpoint's own folder. It was not written "
                    + "by kidogo train.");
            }

            string name = Path.Combine(folder, file.Name);
            long length = File.Exists(name) ? new FileInfo(name).Length : -1;
            if (length != file.Bytes)
            {
                throw new TrainingFailedException($"The checkpoint {folder} is damaged: {file.Name} {(length < 0 ? "is missing" : $"has {length} bytes")}, "
                    + $"where {file.Bytes} bytes were written. {CheckpointFolder.TakeAnother}");
            }

            if (CheckpointWriter.Hash(name) != file.Sha256)
            {
                throw new TrainingFailedException($"The checkpoint {folder} is damaged: the content of {file.Name} is not what was written (its SHA-256 "
                    + $"differs). {CheckpointFolder.TakeAnother}");
            }
        }

        return state;
    }

    /// <summary>Fills an optimiser's state.</summary>
    /// <exception cref="TrainingFailedException">The state is of another model or another optimiser.</exception>
    public static void FillOptimizer(string folder, long step, Optimizer optimizer)
    {
        optimizer.Resume(step);
        if (step == 0)
        {
            return; // zeros, as it begins
        }

        Fill(folder, CheckpointWriter.OptimizerName, step, optimizer.State.Select(entry => (entry.Key, entry.Value)));
    }

    /// <summary>Fills what is trained beside the model; at step 0 it stays as it was drawn.</summary>
    /// <exception cref="TrainingFailedException">It is of another model or another recipe.</exception>
    public static void FillCompanions(string folder, long step, IReadOnlyList<ModelParameter> companions)
    {
        if (step > 0 && companions.Count > 0)
        {
            Fill(folder, CheckpointWriter.CompanionsName, step, companions.Select(parameter => (parameter.Name, parameter.Values)));
        }
    }

    /// <summary>Puts the weights of a checkpoint in the place of those in memory.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="parameters">What is trained.</param>
    /// <param name="isAdapter">Whether these are an adapter's.</param>
    /// <exception cref="TrainingFailedException">They are not there.</exception>
    public static void FillParameters(string folder, IReadOnlyList<ModelParameter> parameters, bool isAdapter)
    {
        Check(folder);
        Dictionary<string, Tensor> stored = new(StringComparer.Ordinal);
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel? loaded = isAdapter ? null : ModelLoader.Load(folder, context);
        if (loaded is not null)
        {
            foreach (ModelParameter parameter in ModelParameters.MakeTrainable(loaded.Model))
            {
                stored[parameter.Name] = parameter.Values;
            }
        }
        else
        {
            foreach (SlotChange change in AdapterState.Read(folder).Changes.Values)
            {
                stored[$"{change.Slot}.lora_a"] = change.Change.A;
                stored[$"{change.Slot}.lora_b"] = change.Change.B;
                stored[$"{change.Slot}.lora_magnitude_vector"] = change.Magnitudes ?? change.Change.A;
            }
        }

        foreach (ModelParameter parameter in parameters)
        {
            if (!stored.TryGetValue(parameter.Name, out Tensor? values) || values.Length != parameter.Values.Length)
            {
                throw OfAnother(folder, $"it has no {parameter.Name} of {parameter.Values.Length} values");
            }

            values.Span.CopyTo(parameter.Values.Span);
        }
    }

    private static void Fill(string folder, string file, long step, IEnumerable<(string Name, Tensor Values)> wanted)
    {
        string path = Path.Combine(folder, file);
        if (!File.Exists(path))
        {
            throw new TrainingFailedException($"{folder} has no {file}, without which step {step + 1} would not be what it would "
                + $"have been. {CheckpointFolder.TakeAnother}");
        }

        using SafetensorsFile stored = SafetensorsFile.Open(path);
        HashSet<string> left = [.. stored.Tensors.Select(tensor => tensor.Name)];
        foreach ((string name, Tensor values) in wanted)
        {
            StoredTensor tensor = stored.Find(name) ?? throw OfAnother(path, $"it has no {name}");
            left.Remove(name);
            if (!tensor.IsWeight || tensor.Rows != values.Rows || tensor.Columns != values.Columns)
            {
                throw OfAnother(path, $"{name} is {tensor.TypeName} {tensor.Rows} x {tensor.Columns} there, and {values.Rows} x {values.Columns} here");
            }

            StoredMatrix matrix = new(tensor.Format, values.Rows, values.Columns, tensor.Data);
            for (int row = 0; row < values.Rows; row++)
            {
                matrix.DecodeRow(row, values.Row(row));
            }
        }

        if (left.Count > 0)
        {
            throw OfAnother(path, $"it has {left.First()}, which this run does not have");
        }
    }

    private static TrainingFailedException OfAnother(string path, string difference) =>
        new($"{path} is of another model or another optimizer: {difference}. Resume with the recipe that it was written by: kidogo train --resume FOLDER "
            + "takes it from the folder.");
}
