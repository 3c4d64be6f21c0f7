// Importance matrices as llama.cpp keeps them: GGUF files, and the binary that came before. Knows no model.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Kidogo.Models.Files;

namespace Kidogo.Compression.Calibration;

/// <summary>Reads and writes importance matrices.</summary>
/// <remarks>
/// The GGUF kind has for each matrix the tensors <c>NAME.in_sum2</c> [matrices, C], sums of squares, and <c>NAME.counts</c> [matrices, 1], tokens; the metadata <c>general.type</c> =
/// <c>imatrix</c>, <c>imatrix.datasets</c>, <c>imatrix.chunk_count</c> and <c>imatrix.chunk_size</c>. The older binary, little endian: int32 entries; for each int32 length and name, int32
/// chunks, int32 values, and as many float32, means times chunks; then int32 chunks, int32 length and the name of the text.
/// </remarks>
public static class ImportanceFile
{
    private const string Squares = ".in_sum2";
    private const string Counts = ".counts";
    private const int MostEntries = 1 << 16;
    private const int MostNameBytes = 4096;
    private const int MostValues = 1 << 26;

    /// <summary>Reads a file of either kind.</summary>
    /// <exception cref="CalibrationException">It is neither, or damaged.</exception>
    /// <exception cref="IOException">It is absent or cannot be read.</exception>
    public static ImportanceMatrix Read(string path)
    {
        try
        {
            return GgufFile.IsGguf(path) ? ReadGguf(path) : ReadBinary(path);
        }
        catch (ModelFormatException damage)
        {
            throw new CalibrationException(damage.Message, damage);
        }
    }

    /// <summary>Writes a file: the older binary where the name ends in <c>.dat</c>, else GGUF.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void Write(string path, ImportanceMatrix matrix)
    {
        using NewFile file = NewFile.Create(path);
        if (path.EndsWith(".dat", StringComparison.OrdinalIgnoreCase))
        {
            WriteBinary(file.Stream, matrix);
        }
        else
        {
            WriteGguf(file.Stream, matrix);
        }

        file.Commit();
    }

    private static IEnumerable<KeyValuePair<string, ColumnImportance>> Ordered(ImportanceMatrix matrix) => matrix.Columns.OrderBy(each => each.Key, StringComparer.Ordinal);

    private static int Chunks(ImportanceMatrix matrix) => (int)Math.Min(int.MaxValue, (matrix.Tokens + matrix.ChunkTokens - 1) / matrix.ChunkTokens);

    private static void WriteGguf(Stream stream, ImportanceMatrix matrix)
    {
        GgufMetadata metadata = new();
        metadata.Set("general.type", "imatrix");
        metadata.Set("imatrix.datasets", matrix.Datasets);
        metadata.Set("imatrix.chunk_count", (uint)Chunks(matrix));
        metadata.Set("imatrix.chunk_size", (uint)matrix.ChunkTokens);
        List<TensorToWrite> tensors = [];
        foreach ((string name, ColumnImportance columns) in Ordered(matrix))
        {
            float[] sums = Array.ConvertAll(columns.MeanSquares, mean => (float)((double)mean * columns.Tokens));
            tensors.Add(TensorToWrite.Of(name + Squares, [1, sums.Length], "F32", MemoryMarshal.AsBytes<float>(sums).ToArray()));
            tensors.Add(TensorToWrite.Of(name + Counts, [1, 1], "F32", MemoryMarshal.AsBytes<float>([columns.Tokens]).ToArray()));
        }

        GgufWriter.Write(stream, metadata, tensors);
    }

    private static void WriteBinary(Stream stream, ImportanceMatrix matrix)
    {
        using BinaryWriter writer = new(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write(matrix.Columns.Count);
        foreach ((string name, ColumnImportance columns) in Ordered(matrix))
        {
            int chunks = (int)Math.Max(1, (columns.Tokens + matrix.ChunkTokens - 1) / matrix.ChunkTokens);
            WriteText(writer, name);
            writer.Write(chunks);
            writer.Write(columns.MeanSquares.Length);
            foreach (float mean in columns.MeanSquares)
            {
                writer.Write(mean * chunks);
            }
        }

        writer.Write(Chunks(matrix));
        WriteText(writer, matrix.Datasets.Count > 0 ? matrix.Datasets[^1] : "");
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write(bytes.Length);
        writer.Write(bytes);
    }

    private static ImportanceMatrix ReadGguf(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        Dictionary<string, ColumnImportance> columns = new(StringComparer.Ordinal);
        foreach (StoredTensor squares in file.Tensors.Where(tensor => tensor.Name.EndsWith(Squares, StringComparison.Ordinal)))
        {
            string name = squares.Name[..^Squares.Length];
            if (file.Find(name + Counts) is not { } counts)
            {
                throw Damaged(path, $"{squares.Name} has no {name}{Counts} beside it");
            }

            float[] sums = Floats(path, squares), tokens = Floats(path, counts);
            if (tokens.Length == 0 || sums.Length % tokens.Length != 0)
            {
                throw Damaged(path, $"{squares.Name} has {sums.Length} sums for {tokens.Length} counts");
            }

            int each = sums.Length / tokens.Length;
            float[] means = new float[sums.Length];
            for (int i = 0; i < means.Length; i++)
            {
                float count = tokens[i / each];
                means[i] = count > 0 ? (float)((double)sums[i] / count) : 1; // a matrix that saw nothing: all columns alike, as llama.cpp has it
            }

            columns.Add(name, new ColumnImportance(Checked(path, name, means), Tokens(path, name, tokens)));
        }

        if (columns.Count == 0)
        {
            throw Damaged(path, "no tensor has a name that ends in .in_sum2: it is no importance matrix");
        }

        Metadata metadata = file.Metadata;
        int chunk = metadata.Contains("imatrix.chunk_size") ? metadata.GetInt("imatrix.chunk_size", 1, int.MaxValue) : 512;
        List<string> datasets = [];
        if (metadata.Contains("imatrix.datasets") && metadata.TryGetStrings("imatrix.datasets", out Utf8Strings names))
        {
            for (int i = 0; i < Math.Min(names.Count, MostEntries); i++)
            {
                datasets.Add(names.Text(i));
            }
        }

        return new ImportanceMatrix(columns) { ChunkTokens = chunk, Datasets = datasets };
    }

    private static long Tokens(string path, string name, float[] counts)
    {
        float most = counts.Max();
        return most >= 0 && most < 1e15f ? (long)most : throw Damaged(path, $"{name}{Counts} says {most}; expected a number of tokens");
    }

    private static float[] Floats(string path, StoredTensor tensor)
    {
        long length = tensor.Data.Length / sizeof(float);
        if (tensor.TypeName != "F32" || length > MostValues)
        {
            throw Damaged(path, $"{tensor.Name} is {tensor.TypeName} with {tensor.Data.Length} bytes; expected F32, at most {MostValues} values");
        }

        float[] values = new float[length];
        tensor.Data.File.CopyTo(tensor.Data.Offset, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static ImportanceMatrix ReadBinary(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16);
        BinaryImportance reader = new(path, stream);
        int entries = reader.Int("the number of matrices", 1, MostEntries);
        Dictionary<string, ColumnImportance> columns = new(StringComparer.Ordinal);
        const int Chunk = 512; // not in the file; llama.cpp's default
        for (int i = 0; i < entries; i++)
        {
            string name = reader.Text($"the name of matrix {i}", MostNameBytes);
            int chunks = reader.Int($"the chunks of {name}", 0, int.MaxValue);
            float[] values = reader.Floats($"the values of {name}", reader.Int($"the number of values of {name}", 1, MostValues));
            if (chunks > 1)
            {
                for (int c = 0; c < values.Length; c++)
                {
                    values[c] /= chunks;
                }
            }

            if (!columns.TryAdd(name, new ColumnImportance(Checked(path, name, values), (long)chunks * Chunk)))
            {
                throw Damaged(path, $"{ModelFormatException.Quote(name)} occurs twice");
            }
        }

        List<string> datasets = [];
        if (reader.Left >= 2 * sizeof(int))
        {
            reader.Int("the chunks", int.MinValue, int.MaxValue);
            if (reader.Text("the name of the text", 1 << 16) is { Length: > 0 } dataset)
            {
                datasets.Add(dataset);
            }
        }

        return new ImportanceMatrix(columns) { ChunkTokens = Chunk, Datasets = datasets };
    }

    private static float[] Checked(string path, string name, float[] means)
    {
        int unusable = Array.FindIndex(means, mean => !(mean >= 0 && float.IsFinite(mean)));
        return unusable < 0 ? means : throw Damaged(path, $"column {unusable} of {ModelFormatException.Quote(name)} is {means[unusable]}; expected a finite mean of squares");
    }

    private static CalibrationException Damaged(string path, string what) => new($"{path}: {what}. The file is damaged or no importance matrix; calibrate again.");

    /// <summary>Reads the older binary; every length is held against what is left.</summary>
    private sealed class BinaryImportance(string path, FileStream stream)
    {
        public long Left => stream.Length - stream.Position;

        public int Int(string what, int least, int most)
        {
            Span<byte> bytes = stackalloc byte[sizeof(int)];
            Fill(bytes, what);
            int value = BinaryPrimitives.ReadInt32LittleEndian(bytes);
            return value >= least && value <= most ? value : throw Damaged(path, $"{what} is {value}; expected {least} to {most}");
        }

        public string Text(string what, int most)
        {
            byte[] bytes = new byte[Int($"the length of {what}", 0, (int)Math.Min(most, Math.Max(0, Left - sizeof(int))))];
            Fill(bytes, what);
            return Encoding.UTF8.GetString(bytes);
        }

        public float[] Floats(string what, int count)
        {
            if ((long)count * sizeof(float) > Left)
            {
                throw Damaged(path, $"{what} take {(long)count * sizeof(float)} bytes, but {Left} are left of the file");
            }

            float[] values = new float[count];
            Fill(MemoryMarshal.AsBytes(values.AsSpan()), what);
            return values;
        }

        private void Fill(Span<byte> bytes, string what)
        {
            if (bytes.Length > Left)
            {
                throw Damaged(path, $"it ends within {what}");
            }

            stream.ReadExactly(bytes);
        }
    }
}
