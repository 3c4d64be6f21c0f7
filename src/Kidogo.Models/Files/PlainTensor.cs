// A matrix of a weight file that is codes in one tensor and scales in others: docs/decisions/2026-11-22-plain-formats-in-safetensors.md. Knows no layers.
using System.Globalization;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats.Plain;

namespace Kidogo.Models.Files;

/// <summary>The tensors of one matrix.</summary>
/// <param name="Format">How it is stored.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Columns.</param>
/// <param name="Parts">By suffix.</param>
internal sealed record PlainTensor(PlainFormat Format, int Rows, int Columns, IReadOnlyDictionary<string, StoredTensor> Parts)
{
    /// <summary>Before a matrix's name: the key of <c>__metadata__</c> that says its format.</summary>
    public const string FormatPrefix = "kidogo.format.";

    /// <summary>Before a matrix's name: the key that says its rows and columns.</summary>
    public const string ShapePrefix = "kidogo.shape.";

    /// <summary>What config.json calls it, under <c>quantization_config.quant_method</c>.</summary>
    public const string Method = "kidogo";

    /// <summary>Whether a key of <c>__metadata__</c> is about one matrix, and no property of the model.</summary>
    public static bool IsKey(string key) => key.StartsWith(FormatPrefix, StringComparison.Ordinal) || key.StartsWith(ShapePrefix, StringComparison.Ordinal);

    /// <summary>The matrix as it lies in its files, or some of its rows.</summary>
    /// <exception cref="InvalidDataException">It holds numbers that are no scales.</exception>
    public PlainMatrix Open(int[]? rowOrder = null) => new(Format, Rows, Columns, Parts.ToDictionary(part => part.Key, part => new PlainPart(part.Value.TypeName, part.Value.Data)), rowOrder);

    /// <summary>The same, read by position and not through the mapping: a file that is cut short meanwhile throws instead of ending the process.</summary>
    /// <exception cref="InvalidDataException">As <see cref="Open"/>.</exception>
    public PlainMatrix OpenByPosition() => new(Format, Rows, Columns, Parts.ToDictionary(part => part.Key, part => new PlainPart(part.Value.TypeName, part.Value.Data.Length, (offset, count) =>
    {
        byte[] bytes = new byte[count];
        part.Value.Data.File.CopyTo(part.Value.Data.Offset + offset, bytes);
        return bytes;
    })));

    /// <summary>Puts the tensors of a file together that are matrices: the others stay as they are, in their order.</summary>
    /// <param name="tensors">All tensors of a model.</param>
    /// <param name="files">The files that they are in, whose metadata says which belong together.</param>
    /// <exception cref="ModelFormatException">A part is missing, or not what the format prescribes.</exception>
    public static List<StoredTensor> Join(IReadOnlyList<StoredTensor> tensors, IEnumerable<SafetensorsFile> files)
    {
        (SafetensorsFile File, string Name, string Format)[] said =
        [
            .. from file in files
               from pair in file.Metadata
               where pair.Key.StartsWith(FormatPrefix, StringComparison.Ordinal)
               select (file, pair.Key[FormatPrefix.Length..], pair.Value),
        ];
        if (said.Length == 0)
        {
            return [.. tensors];
        }

        Dictionary<string, StoredTensor> all = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        Dictionary<string, PlainTensor> joined = new(StringComparer.Ordinal);
        HashSet<string> taken = new(StringComparer.Ordinal);
        foreach ((SafetensorsFile file, string name, string format) in said)
        {
            PlainTensor plain = Join(file, name, format, all);
            if (!joined.TryAdd(name, plain) || plain.Parts.Values.Any(part => !taken.Add(part.Name)))
            {
                throw Refuse(file, name, "shares a tensor with another one");
            }
        }

        return [.. from tensor in tensors where joined.ContainsKey(tensor.Name) || !taken.Contains(tensor.Name) select joined.TryGetValue(tensor.Name, out PlainTensor? plain) ? new StoredTensor(plain) : tensor];
    }

    private static PlainTensor Join(SafetensorsFile file, string name, string formatName, Dictionary<string, StoredTensor> all)
    {
        if (PlainFormats.ForName(formatName) is not { } format)
        {
            throw Refuse(file, name, $"has the format {ModelFormatException.Quote(formatName)}; known are {string.Join(", ", PlainFormats.All)}");
        }

        string[] sizes = file.Metadata.GetValueOrDefault(ShapePrefix + name, "").Split(',');
        if (sizes.Length != 2 || !TrySize(sizes[0], out int rows) || !TrySize(sizes[1], out int columns))
        {
            throw Refuse(file, name, $"has the shape {ModelFormatException.Quote(string.Join(',', sizes))} in {ShapePrefix}…; expected ROWS,COLUMNS, two whole numbers from 1 to {int.MaxValue}");
        }

        Dictionary<string, StoredTensor> parts = new(StringComparer.Ordinal);
        try
        {
            foreach (PartLayout layout in format.Layout(rows, columns))
            {
                if (all.TryGetValue(name + layout.Suffix, out StoredTensor? part))
                {
                    parts.Add(layout.Suffix, part);
                }
            }

            format.Check(parts.ToDictionary(part => part.Key, part => new PlainPart(part.Value.TypeName, part.Value.Data)), rows, columns);
        }
        catch (Exception failure) when (failure is InvalidDataException or OverflowException)
        {
            throw Refuse(file, name, $"cannot be put together. {failure.Message.TrimEnd('.')}", failure);
        }

        return new PlainTensor(format, rows, columns, parts);
    }

    private static bool TrySize(string text, out int size) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out size) && size > 0;

    private static ModelFormatException Refuse(SafetensorsFile file, string name, string problem, Exception? inner = null) =>
        new(file.Path, 8, $"The matrix {ModelFormatException.Quote(name)}, which __metadata__ lists, {problem}.", inner);
}
