// Reads a checkpoint, and refuses one that is damaged or of another model. Knows no loop.
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

        string path = Path.Combine(folder, CheckpointWriter.OptimizerName);
        if (!File.Exists(path))
        {
            throw new TrainingFailedException($"{folder} has no {CheckpointWriter.OptimizerName}, without which step {step + 1} would not be what it would "
                + $"have been. {CheckpointFolder.TakeAnother}");
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        HashSet<string> left = [.. file.Tensors.Select(tensor => tensor.Name)];
        foreach ((string name, Tensor values) in optimizer.State)
        {
            StoredTensor stored = file.Find(name) ?? throw OfAnother(path, $"it has no {name}");
            left.Remove(name);
            if (!stored.IsWeight || stored.Rows != values.Rows || stored.Columns != values.Columns)
            {
                throw OfAnother(path, $"{name} is {stored.TypeName} {stored.Rows} x {stored.Columns} there, and {values.Rows} x {values.Columns} here");
            }

            StoredMatrix matrix = new(stored.Format, values.Rows, values.Columns, stored.Data);
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
