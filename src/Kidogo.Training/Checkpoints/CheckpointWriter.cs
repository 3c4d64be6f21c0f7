// Writes a checkpoint: a folder that describes itself, beside, flushed, renamed. Knows no loop.
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Models.Families;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.Tensors;
using Kidogo.Training.Optimizers;

namespace Kidogo.Training.Checkpoints;

/// <summary>What the files of a model hold beside its weights.</summary>
/// <param name="Family">The family, which knows names.</param>
/// <param name="Words">tokenizer.json and its kin, by name.</param>
/// <param name="BosId">The token that begins a text; null for none.</param>
/// <param name="EosIds">The tokens that end one.</param>
/// <param name="PadId">The token that fills up; null for none.</param>
/// <param name="EarlierConfig">config.json of the model gone on from; null for none.</param>
internal sealed record ModelSurroundings(ModelFamily Family, IReadOnlyDictionary<string, ReadOnlyMemory<byte>> Words, int? BosId, IReadOnlyList<int> EosIds,
    int? PadId, ReadOnlyMemory<byte>? EarlierConfig)
{
    /// <summary>What the model says of itself; null for nothing.</summary>
    public Passport? Passport { get; init; }

    /// <summary>What is trained beside the model and is no part of it.</summary>
    public IReadOnlyList<ModelParameter> Companions { get; init; } = [];

    /// <summary>The adapter that is trained instead of the model; null where the model is.</summary>
    public Adapter? Adapter { get; init; }
}

/// <summary>Writes checkpoints, and the finished model.</summary>
internal static class CheckpointWriter
{
    public const string WeightsName = "model.safetensors";
    public const string OptimizerName = "optimizer.safetensors";
    public const string CompanionsName = "companions.safetensors";
    public const string GgufAdapterName = "adapter.gguf";

    /// <summary>Writes a checkpoint. Whatever happens, those that were there stay as they are.</summary>
    /// <exception cref="TrainingFailedException">The disk is full.</exception>
    public static string Write(CheckpointFolder folder, TrainingState state, DecoderConfig config, IReadOnlyList<ModelParameter> parameters,
        ModelSurroundings surroundings, Optimizer? optimizer)
    {
        string path = folder.Of(state.Step);
        try
        {
            Directory.CreateDirectory(folder.Path);
            using NewFolder made = NewFolder.Create(path);
            WriteModel(made, config, [.. parameters.Select(ToWrite)], surroundings with
            {
                Passport = surroundings.Passport is { } begun ? TrainingPassport.At(begun, state.Recipe, state.Step, state.Tokens) : null,
            });
            if (surroundings.Adapter is { } adapter)
            {
                AdapterState.Write(made, adapter);
            }

            if (optimizer is { Steps: > 0 })
            {
                AddTensors(made, OptimizerName, optimizer.State.Select(entry => (entry.Key, entry.Value)));
            }

            if (surroundings.Companions.Count > 0)
            {
                AddTensors(made, CompanionsName, surroundings.Companions.Select(parameter => (parameter.Name, parameter.Values)));
            }

            CheckpointFile[] files = [.. Directory.EnumerateFiles(made.TemporaryPath).Order(StringComparer.Ordinal).Select(Describe)];
            made.Add(TrainingState.FileName, (state with { Files = files }).ToBytes());
            FolderFlush.Flush(made.TemporaryPath);
            if (Directory.Exists(path))
            {
                folder.Delete(path); // of the same run, gone back before
            }

            made.Commit();
            FolderFlush.Flush(folder.Path);
            return path;
        }
        catch (IOException failure) when (NewFile.IsDiskFull(failure))
        {
            string go = state.Step == 0 ? "give the same command again" : $"go on: kidogo train --resume {Path.GetDirectoryName(folder.Path)}";
            throw new TrainingFailedException($"The disk is full: the checkpoint of step {state.Step} could not be written to {folder.Path}. "
                + $"The checkpoints before it are as they were. Free some space and {go}", failure);
        }
    }

    /// <summary>Writes the model alone into a folder, over what is there.</summary>
    public static void WriteFinished(string output, DecoderConfig config, IReadOnlyList<ModelParameter> parameters, ModelSurroundings surroundings)
    {
        try
        {
            using NewFolder made = NewFolder.Create(output);
            WriteModel(made, config, [.. parameters.Select(ToWrite)], surroundings);
            if (surroundings.Adapter is { } adapter && GgufAdapter.Refusal(adapter) is null)
            {
                made.Add(GgufAdapterName, GgufAdapter.ToBytes(adapter, config, surroundings.Family));
            }

            made.Commit();
            FolderFlush.Flush(output);
        }
        catch (IOException failure) when (NewFile.IsDiskFull(failure))
        {
            throw new TrainingFailedException($"The disk is full: the model could not be written to {output}. Its last checkpoint is in "
                + $"{output}/checkpoints. Free some space and run kidogo train --resume {output} again.", failure);
        }
    }

    public static string Hash(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static void WriteModel(NewFolder folder, DecoderConfig config, IReadOnlyList<ModelTensor> tensors, ModelSurroundings surroundings)
    {
        if (surroundings.Adapter is { } adapter)
        {
            foreach ((string name, ReadOnlyMemory<byte> file) in surroundings.Words.Concat(PeftFolder.ToFiles(adapter, config, surroundings.Family)))
            {
                folder.Add(name, file);
            }

            return;
        }

        HuggingFaceFolderWriter.Write(folder, new HuggingFaceFolderContent
        {
            Config = config,
            Family = surroundings.Family,
            Tensors = tensors,
            Format = FloatFormats.F32,
            Files = surroundings.Words,
            BosId = surroundings.BosId,
            EosIds = surroundings.EosIds,
            PadId = surroundings.PadId,
            EarlierConfig = surroundings.EarlierConfig,
            Passport = surroundings.Passport is { } passport ? new PassportRequest(passport) : null,
        });
    }

    private static ModelTensor ToWrite(ModelParameter parameter) => parameter.IsMatrix
        ? ModelTensor.Matrix(parameter.Name, parameter.Values.Rows, parameter.Values.Columns, (row, destination) =>
            parameter.Values.Row(row).CopyTo(destination))
        : ModelTensor.Vector(parameter.Name, parameter.Values.Span.ToArray());

    private static void AddTensors(NewFolder folder, string name, IEnumerable<(string Name, Tensor Values)> values)
    {
        TensorToWrite[] tensors = [.. values.Select(each => TensorToWrite.Of(each.Name, [each.Values.Rows, each.Values.Columns], FloatFormats.F32, stream => WriteValues(stream, each.Values)))];
        folder.Add(name, SafetensorsWriter.FileBytes(tensors), stream => SafetensorsWriter.Write(stream, tensors));
    }

    private static void WriteValues(Stream stream, Tensor values)
    {
        for (int row = 0; row < values.Rows; row++)
        {
            stream.Write(MemoryMarshal.AsBytes(values.Row(row)));
        }
    }

    private static CheckpointFile Describe(string path) => new(Path.GetFileName(path), new FileInfo(path).Length, Hash(path));
}
