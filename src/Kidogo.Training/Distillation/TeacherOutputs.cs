// The file of a teacher's likeliest tokens: written once, looked up by the tokens they follow. Knows no student.
using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Kidogo.Data;
using Kidogo.Models.Files;
using Kidogo.Tensors.Ops;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>What a file of outputs has to be of; another is refused.</summary>
/// <param name="Teacher">SHA-256 of the teacher's weights; null where no teacher is given, and the file's is believed.</param>
/// <param name="Tokenizer">The tokenizer's fingerprint.</param>
/// <param name="Data">The fingerprint of the data: texts, split, seed, context, weights of sources.</param>
/// <param name="Temperature">What logits are divided by.</param>
/// <param name="Vocabulary">Tokens there are.</param>
internal sealed record OutputsIdentity(string? Teacher, string Tokenizer, string Data, double Temperature, int Vocabulary);

/// <summary>Answers of a teacher, a safetensors file with memory-mapped data.</summary>
/// <remarks>
/// <code>
///   log_probabilities [N, k] F32   of the k likeliest tokens of each of N positions, in the softmax of all logits over the temperature, falling
///   ids               [N, k] I32   these tokens
///   rest              [N]    F32   the probability of all others together
///   sequences         [S, 5] I32   for each sequence the first 16 bytes of the SHA-256 of its ids (int32, little-endian), and its first position
/// </code>
/// <c>__metadata__</c> has <c>format</c>, <c>teacher_sha256</c>, <c>tokenizer</c>, <c>data</c>, <c>temperature</c>, <c>vocabulary</c> and <c>rows</c>: of how
/// many rows of the training stream the sequences are.
/// A sequence is found by its ids, so that neither batches nor steps matter.
/// </remarks>
internal sealed class TeacherOutputs : IDisposable
{
    private const string Format = "kidogo teacher outputs 1";
    private const int HashInts = 4;

    private readonly SafetensorsFile _file;
    private readonly StoredTensor _ids, _logs;
    private readonly Dictionary<UInt128, int> _places = [];
    private readonly int _vocabulary;

    private TeacherOutputs(SafetensorsFile file, int vocabulary)
    {
        _file = file;
        _vocabulary = vocabulary;
        _ids = Part("ids", "I32");
        _logs = Part("log_probabilities", "F32");
        StoredTensor sequences = Part("sequences", "I32");
        if (_ids.Rows != _logs.Rows || _ids.Columns != _logs.Columns || _ids.Columns is < 1 or > 1 << 16 || _ids.Rows > int.MaxValue || sequences.Columns != HashInts + 1)
        {
            throw Damaged(file.Path, $"{_ids.Rows} x {_ids.Columns} ids, {_logs.Rows} x {_logs.Columns} probabilities and sequences of {sequences.Columns} numbers do not belong together");
        }

        int[] row = new int[HashInts + 1];
        for (long i = 0; i < sequences.Rows; i++)
        {
            sequences.Data.Read(i * row.Length * sizeof(int), row.Length * sizeof(int)).CopyTo(MemoryMarshal.AsBytes(row.AsSpan()));
            if (row[HashInts] < 0 || row[HashInts] >= _ids.Rows)
            {
                throw Damaged(file.Path, $"sequence {i} begins at position {row[HashInts]} of {_ids.Rows}");
            }

            _places[MemoryMarshal.Read<UInt128>(MemoryMarshal.AsBytes(row.AsSpan(0, HashInts)))] = row[HashInts];
        }
    }

    /// <summary>Opens a file that is of what is expected.</summary>
    /// <param name="path">The file.</param>
    /// <param name="expected">What it has to be of.</param>
    /// <exception cref="TrainingFailedException">It is of something else, or damaged.</exception>
    public static TeacherOutputs Open(string path, OutputsIdentity expected)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        try
        {
            string Of(string key) => file.Metadata.GetValueOrDefault(key) ?? "";
            if (Of("format") != Format)
            {
                throw new TrainingFailedException($"{path} is no file of a teacher's outputs of this kidogo: its format is \"{Of("format")}\", expected \"{Format}\". Give another name, and it is made.");
            }

            (string Key, string What, string? Wanted)[] checks = [("teacher_sha256", "teacher", expected.Teacher), ("tokenizer", "tokenizer", expected.Tokenizer),
                ("vocabulary", "vocabulary", Text(expected.Vocabulary)), ("data", "text (or split, seed or context)", expected.Data), ("temperature", "temperature", Text(expected.Temperature))];
            foreach ((string key, string what, string? wanted) in checks)
            {
                if (wanted is not null && Of(key) != wanted)
                {
                    throw new TrainingFailedException($"{path} has the outputs of another {what}: {Of(key)} there, {wanted} here. Give what it was made with, or another name for --teacher-outputs.");
                }
            }

            return new TeacherOutputs(file, expected.Vocabulary);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Refuses to be too short for a run.</summary>
    /// <param name="rows">Rows of the training stream that it reads.</param>
    /// <exception cref="TrainingFailedException">It has the outputs of fewer.</exception>
    public void Require(long rows)
    {
        string there = _file.Metadata.GetValueOrDefault("rows") ?? "";
        if (!long.TryParse(there, NumberStyles.None, CultureInfo.InvariantCulture, out long has) || has < rows)
        {
            throw new TrainingFailedException($"{_file.Path} has the outputs of {there} rows of the training data, but this run reads {rows}. Take fewer steps, or give another name for --teacher-outputs.");
        }
    }

    /// <summary>Makes a file: beside, flushed, renamed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="teacher">The teacher.</param>
    /// <param name="identity">What the file is of; with the teacher.</param>
    /// <param name="data">The training data.</param>
    /// <param name="recipe">A resolved recipe.</param>
    /// <param name="rows">Rows of the training stream.</param>
    /// <param name="observer">Told how far it is.</param>
    /// <param name="cancellation">Ends it; nothing is left.</param>
    public static void Write(string path, ModelTeacher teacher, OutputsIdentity identity, PreparedData data, Recipe recipe, long rows, TrainingObserver observer, CancellationToken cancellation)
    {
        int kept = Math.Min(recipe.Distillation!.OutputsPerToken, identity.Vocabulary), rowsAtOnce = recipe.Batch.Sequences!.Value / recipe.Batch.Accumulate!.Value;
        using FileStream ids = Scratch(recipe, "ids"), logs = Scratch(recipe, "logs"), rests = Scratch(recipe, "rest");
        List<int> sequences = [];
        HashSet<UInt128> seen = [];
        int positions = 0;
        BatchStream stream = data.OpenTraining();
        for (long done = 0; done < rows; done += rowsAtOnce)
        {
            cancellation.ThrowIfCancellationRequested();
            observer.Preparing("asking the teacher", "rows", done, rows);
            TokenBatch batch = new((int)Math.Min(rowsAtOnce, rows - done), data.Options.Context);
            stream.Next(batch);
            Tensors.Tensor logits = teacher.Logits(batch, identity.Vocabulary, null);
            TopTokens top = new(logits, kept, identity.Temperature);
            int row = 0;
            foreach (BatchSegment segment in batch.Segments)
            {
                UInt128 key = KeyOf(batch.Ids.AsSpan(segment.First, segment.Length));
                if (seen.Add(key))
                {
                    sequences.AddRange(MemoryMarshal.Cast<UInt128, int>(new Span<UInt128>(ref key)));
                    sequences.Add(positions);
                    positions = checked(positions + segment.Length);
                    for (int i = 0; i < segment.Length; i++)
                    {
                        top.Find(row + i);
                        ids.Write(MemoryMarshal.AsBytes(top.Ids));
                        logs.Write(MemoryMarshal.AsBytes(top.Logs));
                        rests.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<float>(ref top.Rest)));
                    }
                }

                row += segment.Length;
            }
        }

        Dictionary<string, string> metadata = new()
        {
            ["format"] = Format, ["teacher_sha256"] = identity.Teacher ?? "", ["tokenizer"] = identity.Tokenizer, ["data"] = identity.Data, ["temperature"] = Text(identity.Temperature),
            ["vocabulary"] = Text(identity.Vocabulary), ["rows"] = Text(rows),
        };
        TensorToWrite[] tensors =
        [
            new TensorToWrite("ids", [positions, kept], "I32", ids.Length, to => Copy(ids, to)),
            new TensorToWrite("log_probabilities", [positions, kept], "F32", logs.Length, to => Copy(logs, to)),
            new TensorToWrite("rest", [positions], "F32", rests.Length, to => Copy(rests, to)),
            new TensorToWrite("sequences", [sequences.Count / (HashInts + 1), HashInts + 1], "I32", sequences.Count * sizeof(int), to => to.Write(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(sequences)))),
        ];
        using NewFile made = NewFile.Create(path, SafetensorsWriter.FileBytes(tensors, metadata));
        SafetensorsWriter.Write(made.Stream, tensors, metadata);
        made.Commit();
        observer.Say(string.Create(CultureInfo.InvariantCulture, $"the teacher's {kept} likeliest tokens of {positions} positions are in {path}"));
    }

    /// <summary>The answers to a batch, row after row.</summary>
    /// <exception cref="TrainingFailedException">A sequence is not in the file, or an id is outside the vocabulary.</exception>
    public StoredResponses Of(TokenBatch batch)
    {
        int kept = (int)_ids.Columns;
        int[] ids = new int[batch.Filled * kept];
        float[] logs = new float[ids.Length];
        int row = 0;
        foreach (BatchSegment segment in batch.Segments)
        {
            if (!_places.TryGetValue(KeyOf(batch.Ids.AsSpan(segment.First, segment.Length)), out int place) || place + (long)segment.Length > _ids.Rows)
            {
                throw new TrainingFailedException($"{_file.Path} has no outputs of a sequence of the training data: it was made of other rows. Give another name for --teacher-outputs.");
            }

            long first = (long)place * kept * sizeof(int);
            int bytes = checked(segment.Length * kept * sizeof(int));
            _ids.Data.Read(first, bytes).CopyTo(MemoryMarshal.AsBytes(ids.AsSpan(row * kept, segment.Length * kept)));
            _logs.Data.Read(first, bytes).CopyTo(MemoryMarshal.AsBytes(logs.AsSpan(row * kept, segment.Length * kept)));
            row += segment.Length;
        }

        if (ids.AsSpan().ContainsAnyExceptInRange(0, _vocabulary - 1) || logs.AsSpan().ContainsAnyExceptInRange(float.MinValue, 0))
        {
            throw Damaged(_file.Path, $"an id lies outside the {_vocabulary} tokens, or a probability above 1");
        }

        return new StoredResponses(ids, logs, kept);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static UInt128 KeyOf(ReadOnlySpan<int> ids)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(MemoryMarshal.AsBytes(ids), hash);
        return MemoryMarshal.Read<UInt128>(hash);
    }

    // In the run's folder and by such a name it is removed when the run goes on, if the process was killed.
    private static FileStream Scratch(Recipe recipe, string part) => new(Path.Combine(recipe.Output.Folder, $".teacher-{part}.tmp"), FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);

    private static void Copy(FileStream from, Stream to)
    {
        from.Position = 0;
        from.CopyTo(to);
    }

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);

    private static TrainingFailedException Damaged(string path, string problem) => new($"{path} is damaged: {problem}. Remove it, and it is made again.");

    private StoredTensor Part(string name, string type) =>
        _file.Find(name) is { } part && part.TypeName == type ? part : throw Damaged(_file.Path, $"it has no {name} of type {type}");

    /// <summary>The likeliest tokens of a row.</summary>
    private sealed class TopTokens(Tensors.Tensor logits, int kept, double temperature)
    {
        private readonly double[] _scaled = new double[logits.Columns];
        private readonly float[] _keys = new float[logits.Columns];
        private readonly int[] _order = new int[logits.Columns];
        private readonly float[] _logs = new float[kept];
        public float Rest;

        public ReadOnlySpan<int> Ids => _order.AsSpan(0, kept);

        public ReadOnlySpan<float> Logs => _logs;

        public void Find(int row)
        {
            ReadOnlySpan<float> values = logits.Row(row);
            double largest = TensorPrimitives.Max(values) / temperature, sum = 0;
            for (int i = 0; i < values.Length; i++)
            {
                _scaled[i] = (values[i] / temperature) - largest;
                sum += Math.Exp(_scaled[i]);
                (_keys[i], _order[i]) = (-values[i], i);
            }

            Array.Sort(_keys, _order);
            double logSum = Math.Log(sum), inside = 0;
            for (int i = 0; i < kept; i++)
            {
                double log = _scaled[_order[i]] - logSum;
                _logs[i] = (float)Math.Min(0, log);
                inside += Math.Exp(log);
            }

            Rest = (float)Math.Max(0, 1 - inside);
        }
    }
}
