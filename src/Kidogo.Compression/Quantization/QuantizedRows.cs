// The blocks of a model that are quantised already, in a folder: found again after an interruption, and row by row when the model is written. Knows no method.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Kidogo.Compression.Calibration;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors.Formats;
using Microsoft.Win32.SafeHandles;

namespace Kidogo.Compression.Quantization;

/// <summary>A matrix that was quantised.</summary>
/// <param name="Slot">The slot: <c>blk.0.attn_q</c>.</param>
/// <param name="Format">How rows are stored.</param>
/// <param name="Columns">Columns.</param>
/// <param name="Keys">For each row what it is found by (<see cref="QuantizedRows.KeyOf"/>).</param>
/// <param name="Bytes">The rows.</param>
public sealed record QuantizedMatrix(string Slot, WeightFormat Format, int Columns, UInt128[] Keys, byte[] Bytes);

/// <summary>Quantised rows, found by what they were before: files may hold them in another order, or several matrices as one.</summary>
/// <remarks>A file a block, written beside and renamed, with a key in front that is made of everything it came from. A file with another key, or a damaged one, counts as absent.</remarks>
public sealed class QuantizedRows : IDisposable
{
    private const int KeyBytes = 16;
    private const int MostMatrices = 64;
    private static readonly byte[] s_magic = "KidogoQ1"u8.ToArray();
    private readonly string _folder;
    private readonly Dictionary<UInt128, (SafeFileHandle File, long Offset)> _rows = [];
    private readonly List<SafeFileHandle> _files = [];

    /// <summary>Opens a folder, which is made if it is absent.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    public QuantizedRows(string folder)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
    }

    /// <summary>How much the columns of the head matter, where its format's weights have no codes of their own; else null.</summary>
    public float[]? HeadImportance { get; set; }

    /// <summary>The tensor that is the head, once its rows are here; null before, and where they never are.</summary>
    public string? HeadTensor { get; set; }

    /// <summary>What a row is found by: the input that it reads, its format and its values.</summary>
    public static UInt128 KeyOf(string name, WeightFormat format, ReadOnlySpan<float> row)
    {
        SlotInputs.TryFind(name, out int block, out int input);
        string place = $"{block}.{input}.{format.Name}.";
        byte[] bytes = new byte[place.Length + (row.Length * sizeof(float))];
        Encoding.ASCII.GetBytes(place, bytes);
        MemoryMarshal.AsBytes(row).CopyTo(bytes.AsSpan(place.Length));
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }

    /// <summary>Writes what was quantised of a row.</summary>
    /// <param name="tensor">The tensor that the row is of.</param>
    /// <param name="format">Its format.</param>
    public RowEncoder EncoderOf(string tensor, WeightFormat format) => (row, destination) =>
    {
        if (!_rows.TryGetValue(KeyOf(tensor, format, row), out (SafeFileHandle File, long Offset) place))
        {
            throw new ModelTensorException($"A row of {tensor} was not quantised before it was to be written: the model changed meanwhile. Quantise again.");
        }

        ReadExactly(place.File, destination, place.Offset);
    };

    /// <summary>Formats with the encoders of what is here: those of blocks and the head, or importance for a head that has none.</summary>
    /// <param name="choices">By tensor name.</param>
    public Dictionary<string, TensorChoice> Encoders(Dictionary<string, TensorChoice> choices)
    {
        Dictionary<string, TensorChoice> with = new(choices.Comparer);
        string head = choices.ContainsKey("output.weight") ? "output.weight" : "token_embd.weight";
        foreach ((string name, TensorChoice choice) in choices)
        {
            bool isHere = name == HeadTensor || SlotInputs.TryFind(name, out _, out _);
            bool isHead = name == head && choice.Importance.Length == 0 && HeadImportance is not null;
            with.Add(name, isHere ? choice with { Encoder = EncoderOf(name, choice.Format) } : isHead ? choice with { Importance = HeadImportance! } : choice);
        }

        return with;
    }

    /// <summary>The format of a slot, by the formats of tensors, which may be several slots in one.</summary>
    /// <param name="choices">By tensor name.</param>
    /// <param name="slot"><c>blk.0.attn_q</c></param>
    public static WeightFormat? FormatOf(Dictionary<string, TensorChoice> choices, string slot) => TensorOf(choices.ContainsKey, slot) is { } tensor ? choices[tensor].Format : null;

    /// <summary>The tensor that a slot is of, or a part of; null where there is none.</summary>
    /// <param name="exists">Whether there is a tensor of a name.</param>
    /// <param name="slot"><c>blk.0.attn_q</c></param>
    public static string? TensorOf(Func<string, bool> exists, string slot)
    {
        if (exists($"{slot}.weight"))
        {
            return $"{slot}.weight";
        }

        string? fused = slot[(slot.LastIndexOf('.') + 1)..] switch { "attn_q" or "attn_k" or "attn_v" => "attn_qkv", "ffn_gate" => "ffn_up", _ => null };
        string whole = $"{slot[..(slot.LastIndexOf('.') + 1)]}{fused}.weight";
        return fused is not null && exists(whole) ? whole : null;
    }

    /// <summary>Keeps the matrices of a block.</summary>
    /// <param name="block">The block.</param>
    /// <param name="key">A hash of everything it came from. [32]</param>
    /// <param name="matrices">The matrices.</param>
    public void Add(int block, byte[] key, IReadOnlyList<QuantizedMatrix> matrices)
    {
        using (NewFile file = NewFile.Create(PathOf(block)))
        {
            using (BinaryWriter writer = new(file.Stream, Encoding.UTF8, leaveOpen: true))
            {
                writer.Write(s_magic);
                writer.Write(key);
                writer.Write(matrices.Count);
                foreach (QuantizedMatrix matrix in matrices)
                {
                    writer.Write(matrix.Slot);
                    writer.Write(matrix.Format.GgufTypeId);
                    writer.Write(matrix.Columns);
                    writer.Write(matrix.Keys.Length);
                    writer.Write(MemoryMarshal.AsBytes<UInt128>(matrix.Keys));
                    writer.Write(matrix.Bytes);
                }
            }

            file.Commit();
        }

        if (Find(block, key) is null)
        {
            throw new IOException($"{PathOf(block)} cannot be read back.");
        }
    }

    /// <summary>The matrices of a block that were kept; null where there are none of this key.</summary>
    public IReadOnlyList<QuantizedMatrix>? Find(int block, byte[] key)
    {
        if (!File.Exists(PathOf(block)))
        {
            return null;
        }

        List<QuantizedMatrix> matrices = [];
        List<long> offsets = [];
        try
        {
            using FileStream stream = File.OpenRead(PathOf(block));
            using BinaryReader reader = new(stream);
            if (!reader.ReadBytes(s_magic.Length).AsSpan().SequenceEqual(s_magic) || !reader.ReadBytes(key.Length).AsSpan().SequenceEqual(key))
            {
                return null;
            }

            int count = reader.ReadInt32();
            for (int i = 0; i < count; i++)
            {
                string slot = reader.ReadString();
                WeightFormat? format = WeightFormats.ForGgufType(reader.ReadUInt32());
                int columns = reader.ReadInt32(), rows = reader.ReadInt32();
                if (count > MostMatrices || format is null || columns <= 0 || rows <= 0 || columns % format.BlockSize != 0 || rows * (KeyBytes + format.RowBytes(columns)) > stream.Length - stream.Position)
                {
                    return null;
                }

                UInt128[] keys = new UInt128[rows];
                stream.ReadExactly(MemoryMarshal.AsBytes(keys.AsSpan()));
                offsets.Add(stream.Position);
                byte[] bytes = new byte[rows * format.RowBytes(columns)];
                stream.ReadExactly(bytes);
                matrices.Add(new QuantizedMatrix(slot, format, columns, keys, bytes));
            }
        }
        catch (EndOfStreamException)
        {
            return null;
        }

        SafeFileHandle handle = File.OpenHandle(PathOf(block));
        _files.Add(handle);
        for (int i = 0; i < matrices.Count; i++)
        {
            long rowBytes = matrices[i].Format.RowBytes(matrices[i].Columns);
            for (int row = 0; row < matrices[i].Keys.Length; row++)
            {
                _rows[matrices[i].Keys[row]] = (handle, offsets[i] + (row * rowBytes));
            }
        }

        return matrices;
    }

    /// <summary>Removes the folder's blocks, and the folder if nothing else is in it.</summary>
    public void Delete()
    {
        Dispose();
        for (int block = 0; File.Exists(PathOf(block)); block++)
        {
            File.Delete(PathOf(block));
        }

        if (!Directory.EnumerateFileSystemEntries(_folder).Any())
        {
            Directory.Delete(_folder);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _files.ForEach(file => file.Dispose());
        _files.Clear();
        _rows.Clear();
    }

    private string PathOf(int block) => Path.Combine(_folder, $"block-{block:D4}.bin");

    private static void ReadExactly(SafeFileHandle file, Span<byte> destination, long offset)
    {
        while (destination.Length > 0)
        {
            int read = RandomAccess.Read(file, destination, offset);
            if (read == 0)
            {
                throw new IOException("A file of quantised blocks became shorter while it was read. Quantise again.");
            }

            destination = destination[read..];
            offset += read;
        }
    }
}
