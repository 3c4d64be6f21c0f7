// Reads one GGUF file's header: metadata and the table of tensors. Checks everything the file claims; knows nothing of split files and of what keys mean, but general.alignment.
using System.Buffers.Binary;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>The header of a GGUF file of version 2 or 3, little endian.</summary>
/// <remarks>Layout: ggml's docs/gguf.md. The limits are those that hold for every model published so far, with room to spare, and keep memory small for files that were made to hurt.</remarks>
internal sealed class GgufHeader
{
    public const string AlignmentKey = "general.alignment";
    public const int MaxPairs = 65_536;
    public const int MaxTensors = 65_536;
    public const int MaxDimensions = 4;
    public const int MaxStringBytes = 16 * 1024 * 1024;
    public const long MaxArrayElements = 64 * 1024 * 1024;
    public const long MaxHeaderBytes = 128L * 1024 * 1024; // the largest vocabularies take 20 MB; more than this takes a second

    /// <summary>As in ggml, whose names are 64 bytes with the zero at the end.</summary>
    public const int MaxTensorNameBytes = 63;

    private const int MaxKeyBytes = 65_535; // gguf.md
    private const long MaxAllKeyBytes = 4 * 1024 * 1024;
    private const uint DefaultAlignment = 32;
    private const int MinPairBytes = 8 + 1 + 4 + 1; // key length, key, type, smallest value
    private const int MinTensorBytes = 8 + 4 + 4 + 8; // name length, dimensions, type, offset

    private readonly MappedFile _file;
    private readonly HeaderReader _reader;
    private long _keyBytes;

    private GgufHeader(MappedFile file)
    {
        _file = file;
        _reader = new HeaderReader(file, MaxHeaderBytes);
        Metadata = new Metadata(file);
    }

    public uint Version { get; private set; }

    public uint Alignment { get; private set; } = DefaultAlignment;

    public Metadata Metadata { get; }

    public List<StoredTensor> Tensors { get; } = [];

    /// <exception cref="ModelFormatException">The file is no such file, or claims what is not so.</exception>
    public static GgufHeader Read(MappedFile file)
    {
        GgufHeader header = new(file);
        header.ReadAll();
        return header;
    }

    private void ReadAll()
    {
        ReadMagic();
        ulong tensorCount = ReadCount("tensors", MaxTensors);
        ulong pairCount = ReadCount("metadata pairs", MaxPairs);
        if ((tensorCount * MinTensorBytes) + (pairCount * MinPairBytes) > (ulong)_reader.Remaining)
        {
            throw _reader.Refuse(8, $"The header announces {tensorCount} tensors and {pairCount} metadata pairs, for which the {_reader.Remaining} bytes that follow are too few. The file may be cut short; get it again.");
        }

        Metadata.EnsureCapacity((int)pairCount); // the counts are known to be small, and growing by doubling would leave twice as much behind
        for (ulong i = 0; i < pairCount; i++)
        {
            ReadPair();
        }

        List<Claim> claims = new((int)tensorCount);
        HashSet<string> names = new((int)tensorCount, StringComparer.Ordinal);
        for (ulong i = 0; i < tensorCount; i++)
        {
            claims.Add(ReadTensor(names));
        }

        Place(claims);
    }

    private void ReadMagic()
    {
        if (_file.Length < 4)
        {
            throw _reader.Refuse(0, $"The file has {_file.Length} bytes; a GGUF file begins with the four letters GGUF.");
        }

        uint magic = _reader.UInt32("the magic number");
        if (magic != 0x46554747) // "GGUF"
        {
            throw _reader.Refuse(0, $"This is no GGUF file: it begins with 0x{BinaryPrimitives.ReverseEndianness(magic):X8} instead of \"GGUF\" (0x47475546). {Guess(magic)}");
        }

        Version = _reader.UInt32("the version");
        if (Version is 2 or 3)
        {
            return;
        }

        // The version's low half is zero only where its bytes are turned round.
        throw _reader.Refuse(4, Version != 0 && (Version & 0xFFFF) == 0
            ? $"This GGUF file is big endian (version {BinaryPrimitives.ReverseEndianness(Version)}); Kidogo reads little-endian files. Convert it with gguf_convert_endian.py of llama.cpp."
            : $"The GGUF version is {Version}; versions 2 and 3 are read. {(Version == 1 ? "Convert the model again with a newer llama.cpp." : "A newer Kidogo may read it, or the file is damaged.")}");
    }

    private string Guess(uint magic)
    {
        Span<byte> front = stackalloc byte[16];
        front = front[..(int)Math.Min(front.Length, _file.Length)];
        _file.Read(0, front.Length).CopyTo(front);
        return magic switch
        {
            0x46554747 => "",
            0x47475546 => "It is a GGUF file with its bytes turned round: big endian, which is not read.",
            0x67676A74 or 0x67676D66 or 0x67676D6C or 0x67676C61 => "It is of the older GGML kind; convert the original model with a newer llama.cpp.",
            0x04034B50 => "It is a zip archive, perhaps a PyTorch checkpoint, which could run code when loaded and is never read; save it as safetensors.",
            _ when front.StartsWith("version https:"u8) => "It is a pointer of Git LFS, not the file itself: run git lfs pull, or download the file.",
            _ when front.StartsWith("<!"u8) || front.StartsWith("<html"u8) => "It is a web page; the download went wrong.",
            _ when front.Length > 8 && front[8] == (byte)'{' => "It looks like safetensors: give the folder that it lies in.",
            _ => "",
        };
    }

    private ulong ReadCount(string what, int max)
    {
        long at = _reader.Position;
        ulong count = _reader.UInt64($"the number of {what}");
        return count <= (ulong)max ? count : throw _reader.Refuse(at, $"The header announces {count} {what}; at most {max} are accepted.");
    }

    private void ReadPair()
    {
        long at = _reader.Position;
        string key = _reader.Name(MaxKeyBytes, "a metadata key");
        _keyBytes += key.Length;
        if (key.Length == 0)
        {
            throw _reader.Refuse(at, "A metadata key is empty.");
        }

        if (_keyBytes > MaxAllKeyBytes)
        {
            throw _reader.Refuse(at, $"The metadata keys take more than {MaxAllKeyBytes} bytes together.");
        }

        MetadataEntry entry = ReadValue(key, ReadKind(key));
        if (!Metadata.TryAdd(key, entry))
        {
            throw _reader.Refuse(at, $"The metadata key {ModelFormatException.Quote(key)} occurs twice.");
        }

        if (key == AlignmentKey)
        {
            if (entry.Kind != MetadataKind.UInt32 || entry.Bits == 0 || !ulong.IsPow2(entry.Bits))
            {
                string found = entry.Kind == MetadataKind.UInt32 ? $"{entry.Bits}" : $"of type {entry.Kind}";
                throw _reader.Refuse(entry.Offset, $"{AlignmentKey} is {found}; expected a power of two of type UInt32.");
            }

            Alignment = (uint)entry.Bits;
        }
    }

    private MetadataKind ReadKind(string key)
    {
        long at = _reader.Position;
        uint kind = _reader.UInt32("the type of a metadata value");
        return kind <= (uint)MetadataKind.Float64
            ? (MetadataKind)kind
            : throw _reader.Refuse(at, $"The metadata {ModelFormatException.Quote(key)} is of type {kind}; GGUF defines types 0 to {(int)MetadataKind.Float64}.");
    }

    private MetadataEntry ReadValue(string key, MetadataKind kind)
    {
        if (kind == MetadataKind.Array)
        {
            return ReadArray(key);
        }

        if (kind == MetadataKind.String)
        {
            long length = _reader.Length(MaxStringBytes, "a metadata string");
            long start = _reader.Position;
            _reader.Skip(length);
            return new MetadataEntry { Kind = kind, Count = length, Offset = start, End = start + length };
        }

        long at = _reader.Position;
        int size = MetadataEntry.SizeOf(kind);
        ulong bits = MetadataEntry.ReadBits(kind, _reader.Take(size, "a metadata value"));
        return new MetadataEntry { Kind = kind, Bits = bits, Offset = at, End = at + size };
    }

    private MetadataEntry ReadArray(string key)
    {
        long at = _reader.Position;
        MetadataKind element = ReadKind(key);
        if (element == MetadataKind.Array)
        {
            throw _reader.Refuse(at, $"The metadata {ModelFormatException.Quote(key)} is an array of arrays, which is not accepted.");
        }

        ulong count = _reader.UInt64("the length of a metadata array");
        long smallest = element == MetadataKind.String ? sizeof(ulong) : MetadataEntry.SizeOf(element);
        bool isBeyondTheEnd = count > (ulong)(_reader.Remaining / smallest);
        if (count > MaxArrayElements || isBeyondTheEnd)
        {
            throw _reader.Refuse(at, $"The metadata array {ModelFormatException.Quote(key)} claims {count} elements of type {element}; at most {MaxArrayElements} are accepted and {_reader.Remaining} bytes are left.{HeaderReader.Advice(isBeyondTheEnd)}");
        }

        long start = _reader.Position;
        if (element == MetadataKind.String)
        {
            _reader.SkipStrings((long)count, MaxStringBytes, "a string of a metadata array");
        }
        else
        {
            _reader.Skip((long)count * smallest);
        }

        return new MetadataEntry { Kind = MetadataKind.Array, ElementKind = element, Count = (long)count, Offset = start, End = _reader.Position };
    }

    private Claim ReadTensor(HashSet<string> names)
    {
        long at = _reader.Position;
        string name = _reader.Name(MaxTensorNameBytes, "a tensor's name");
        if (!names.Add(name))
        {
            throw _reader.Refuse(at, $"There are two tensors named {ModelFormatException.Quote(name)}.");
        }

        uint dimensions = _reader.UInt32("a tensor's number of dimensions");
        if (dimensions > MaxDimensions)
        {
            throw _reader.Refuse(at, $"The tensor {ModelFormatException.Quote(name)} has {dimensions} dimensions; GGUF allows {MaxDimensions}.");
        }

        long[] shape = new long[dimensions];
        long product = 1; // of the dimensions that are not zero: it must fit even where the tensor is empty
        bool empty = false;
        for (int i = 0; i < shape.Length; i++)
        {
            ulong size = _reader.UInt64("a tensor's dimension");
            empty |= size == 0;
            ulong factor = Math.Max(size, 1);
            if (factor > (ulong)(long.MaxValue / product))
            {
                throw _reader.Refuse(at, $"The tensor {ModelFormatException.Quote(name)} claims more than {long.MaxValue} elements: dimension {i} is {size}.");
            }

            product *= (long)factor;
            shape[^(i + 1)] = (long)size; // the file has the innermost dimension first
        }

        uint typeId = _reader.UInt32("a tensor's type");
        if (GgufStoredType.For(typeId) is not { } type)
        {
            throw _reader.Refuse(at, $"The tensor {ModelFormatException.Quote(name)} is of type {typeId}, which is none of GGUF's types that this version knows. A newer Kidogo may read it, or the file is damaged.");
        }

        long columns = shape.Length == 0 ? 1 : shape[^1];
        if (columns % type.BlockSize != 0)
        {
            throw _reader.Refuse(at, $"The tensor {ModelFormatException.Quote(name)} has rows of {columns} elements, which is no whole number of {type.Name} blocks of {type.BlockSize}.");
        }

        long blocks = empty ? 0 : product / type.BlockSize;
        if (blocks > long.MaxValue / type.BlockBytes)
        {
            throw _reader.Refuse(at, $"The tensor {ModelFormatException.Quote(name)} claims {product} elements of {type.Name}, more than {long.MaxValue} bytes.");
        }

        return new Claim(name, shape, type, at, _reader.UInt64("a tensor's offset"), blocks * type.BlockBytes);
    }

    private void Place(List<Claim> claims)
    {
        long mask = Alignment - 1L;
        long dataStart = (_reader.Position + mask) & ~mask;
        long available = Math.Max(0, _file.Length - dataStart);
        long end = 0;
        bool ascending = true;
        Tensors.EnsureCapacity(claims.Count);
        foreach (Claim claim in claims)
        {
            if ((claim.Offset & (ulong)mask) != 0)
            {
                throw _reader.Refuse(claim.At, $"The tensor {ModelFormatException.Quote(claim.Name)} lies at offset {claim.Offset}, which is no multiple of the alignment {Alignment}.");
            }

            if (claim.Bytes > available || claim.Offset > (ulong)(available - claim.Bytes))
            {
                if (claim.Bytes > 0 || claim.Offset > (ulong)available)
                {
                    throw _reader.Refuse(claim.At, $"The tensor {ModelFormatException.Quote(claim.Name)} takes {claim.Bytes} bytes at offset {claim.Offset} of the data, which are {available} bytes. The file may be cut short; get it again.");
                }
            }

            ascending &= (long)claim.Offset >= end;
            end = (long)claim.Offset + claim.Bytes;
            long at = Math.Min(dataStart + (long)claim.Offset, _file.Length); // an empty tensor may lie behind padding that is not there
            Tensors.Add(new StoredTensor(claim.Name, claim.Shape, claim.Type.Format, claim.Type.Name, _file.Range(at, claim.Bytes)));
        }

        if (!ascending)
        {
            CheckOverlaps(claims);
        }
    }

    private void CheckOverlaps(List<Claim> claims)
    {
        Claim[] sorted = claims.Where(claim => claim.Bytes > 0).OrderBy(claim => claim.Offset).ToArray();
        for (int i = 1; i < sorted.Length; i++)
        {
            Claim before = sorted[i - 1];
            if (sorted[i].Offset < before.Offset + (ulong)before.Bytes)
            {
                throw _reader.Refuse(sorted[i].At, $"The tensor {ModelFormatException.Quote(sorted[i].Name)} at offset {sorted[i].Offset} overlaps {ModelFormatException.Quote(before.Name)}, which takes {before.Bytes} bytes at {before.Offset}.");
            }
        }
    }

    /// <summary>What the table of tensors says of one, before it is known where the data begin.</summary>
    private sealed record Claim(string Name, long[] Shape, GgufStoredType Type, long At, ulong Offset, long Bytes);
}
