// A GGUF model: one file, or several that belong together. Knows the format and how it is split, not what a model is.
using System.Globalization;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>A GGUF file of version 2 or 3, mapped into memory: typed metadata and tensors where they lie.</summary>
/// <remarks>Opening reads the header alone, whatever the size of the weights. Spans of metadata and tensors end with <see cref="Dispose"/>.</remarks>
public sealed class GgufFile : IDisposable
{
    private const int MaxParts = 1024;
    private readonly List<MappedFile> _files = [];
    private readonly List<StoredTensor> _tensors = [];
    private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);

    private GgufFile(string path, MappedFile first)
    {
        Path = path;
        _files.Add(first);
        GgufHeader header = GgufHeader.Read(first);
        Version = header.Version;
        Alignment = header.Alignment;
        Metadata = header.Metadata;
        AddTensors(header, first.Path);
        OpenOtherParts();
    }

    /// <summary>The path that was opened.</summary>
    public string Path { get; }

    /// <summary>The paths of all parts, the opened one first; one path for a model in a single file.</summary>
    public IReadOnlyList<string> Parts => _files.ConvertAll(file => file.Path);

    /// <summary>Bytes of all parts.</summary>
    public long TotalBytes => _files.Sum(file => file.Length);

    /// <summary>2 or 3.</summary>
    public uint Version { get; }

    /// <summary>What the offsets of tensors are multiples of, in bytes.</summary>
    public uint Alignment { get; }

    /// <summary>The metadata (of the first part).</summary>
    public Metadata Metadata { get; }

    /// <summary>All tensors of all parts, in the order of the files. None in a file that holds a vocabulary only.</summary>
    public IReadOnlyList<StoredTensor> Tensors => _tensors;

    /// <summary>Metadata that are to be written, as they will be read.</summary>
    internal static GgufFile InMemory(GgufMetadata metadata)
    {
        byte[] header = GgufWriter.Header(metadata, []);
        MappedFile memory = MappedFile.InMemory("metadata", GgufWriter.FileBytes(metadata, []));
        header.CopyTo(memory.Memory(0, header.Length));
        try
        {
            return Of(memory);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Opens a GGUF file. Of a model in several files, the first part is opened and finds the others.</summary>
    /// <exception cref="ModelFormatException">The file, or a part of it, is not what GGUF prescribes.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static GgufFile Open(string path)
    {
        MappedFile first = MappedFile.Open(path);
        try
        {
            return new GgufFile(path, first);
        }
        catch
        {
            first.Dispose();
            throw;
        }
    }

    /// <summary>A GGUF file that lies in memory, which the result owns.</summary>
    internal static GgufFile Of(MappedFile memory) => new(memory.Path, memory);

    /// <summary>Whether the file at <paramref name="path"/> begins as a GGUF file does.</summary>
    public static bool IsGguf(string path)
    {
        using MappedFile file = MappedFile.Open(path);
        return file.Length >= 4 && file.Read(0, 4).SequenceEqual("GGUF"u8);
    }

    /// <summary>The tensor of this name, or null.</summary>
    public StoredTensor? Find(string name) => _index.TryGetValue(name, out int index) ? _tensors[index] : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MappedFile file in _files)
        {
            file.Dispose();
        }
    }

    private void AddTensors(GgufHeader header, string path)
    {
        _index.EnsureCapacity(_tensors.Count + header.Tensors.Count);
        _tensors.EnsureCapacity(_tensors.Count + header.Tensors.Count);
        foreach (StoredTensor tensor in header.Tensors)
        {
            if (!_index.TryAdd(tensor.Name, _tensors.Count))
            {
                throw new ModelFormatException(path, tensor.Data.Offset, $"The tensor {ModelFormatException.Quote(tensor.Name)} is in an earlier part of the model already.");
            }

            _tensors.Add(tensor);
        }

        if (_tensors.Count > GgufHeader.MaxTensors)
        {
            throw new ModelFormatException(path, -1, $"The parts of the model hold more than {GgufHeader.MaxTensors} tensors together.");
        }
    }

    private void OpenOtherParts()
    {
        int parts = Metadata.GetInt("split.count", 0, ushort.MaxValue, whenAbsent: 1);
        if (parts <= 1)
        {
            return;
        }

        int number = Metadata.GetInt("split.no", 0, ushort.MaxValue);
        string first = System.IO.Path.GetFileName(Path);
        string suffix = PartSuffix(number, parts);
        if (parts > MaxParts)
        {
            throw Metadata.Refuse("split.count", $"is {parts}; at most {MaxParts} parts are accepted.");
        }

        if (!first.EndsWith(suffix, StringComparison.Ordinal))
        {
            throw new ModelFormatException(Path, -1, $"This is part {number + 1} of a model in {parts} files, whose name must end with \"{suffix}\" for the others to be found. Rename it back.");
        }

        string stem = Path[..^suffix.Length];
        if (number != 0)
        {
            throw new ModelFormatException(Path, -1, $"This is part {number + 1} of {parts}. Open the first part: {stem}{PartSuffix(0, parts)}");
        }

        try
        {
            for (int i = 1; i < parts; i++)
            {
                OpenPart(stem + PartSuffix(i, parts), i, parts);
            }

            int expected = Metadata.GetInt("split.tensors.count", 0, int.MaxValue, whenAbsent: _tensors.Count);
            if (_tensors.Count != expected)
            {
                throw Metadata.Refuse("split.tensors.count", $"is {expected}, but the {parts} parts hold {_tensors.Count} tensors. Get the model again.");
            }
        }
        catch
        {
            _files.ForEach(file => file.Dispose());
            throw;
        }
    }

    private void OpenPart(string path, int number, int parts)
    {
        if (!File.Exists(path))
        {
            throw new ModelFormatException(path, -1, $"Part {number + 1} of {parts} is missing. All parts of a model must lie in one folder; download this one too.");
        }

        MappedFile file = MappedFile.Open(path);
        _files.Add(file);
        GgufHeader header = GgufHeader.Read(file);
        int foundNumber = header.Metadata.GetInt("split.no", 0, ushort.MaxValue);
        int foundParts = header.Metadata.GetInt("split.count", 0, ushort.MaxValue);
        if (foundNumber != number || foundParts != parts)
        {
            throw header.Metadata.Refuse("split.no", $"says that this is part {foundNumber + 1} of {foundParts}; expected part {number + 1} of {parts}. Parts of different models may be mixed up.");
        }

        AddTensors(header, path);
    }

    private static string PartSuffix(int number, int parts) => string.Create(CultureInfo.InvariantCulture, $"-{number + 1:D5}-of-{parts:D5}.gguf");
}
