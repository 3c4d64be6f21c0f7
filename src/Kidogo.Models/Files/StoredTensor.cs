// A tensor as it lies in a file: a name, a shape, a stored type and the bytes. Knows no layers and no arithmetic.
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Files;

/// <summary>A tensor in a model file, still where it lies.</summary>
public sealed class StoredTensor
{
    private readonly WeightFormat? _format;

    /// <summary>A tensor stored in a weight format.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="shape">Row-major: outermost dimension first (the reverse of GGUF's order). Empty for a scalar.</param>
    /// <param name="format">How the weights are stored.</param>
    /// <param name="data">The bytes: all rows, one after the other.</param>
    public StoredTensor(string name, long[] shape, WeightFormat format, MappedRange data)
        : this(name, shape, format, format.Name, data)
    {
    }

    internal StoredTensor(string name, long[] shape, WeightFormat? format, string typeName, MappedRange data)
    {
        Name = name;
        Shape = shape;
        _format = format;
        TypeName = typeName;
        Data = data;
        long rows = 1;
        for (int i = 0; i < shape.Length - 1; i++)
        {
            rows *= shape[i]; // the product is checked where the file is read
        }

        Rows = rows;
        Columns = shape.Length == 0 ? 1 : shape[^1];
    }

    /// <summary>A matrix that several tensors hold together.</summary>
    internal StoredTensor(PlainTensor plain)
        : this(plain.Parts[""].Name, [plain.Rows, plain.Columns], null, plain.Format.Name, plain.Parts[""].Data) => Plain = plain;

    /// <summary>The name in the file.</summary>
    public string Name { get; }

    /// <summary>Row-major: outermost dimension first. Empty for a scalar.</summary>
    public long[] Shape { get; }

    /// <summary>The product of all dimensions but the last: 1 for a vector.</summary>
    public long Rows { get; }

    /// <summary>The last dimension: weights of a row.</summary>
    public long Columns { get; }

    /// <summary>Number of elements.</summary>
    public long Elements => Rows * Columns;

    /// <summary>The bytes: all rows, one after the other; of a matrix of several tensors its codes.</summary>
    public MappedRange Data { get; }

    /// <summary>What it takes in the file, with all that belongs to it.</summary>
    public long Bytes => Plain is null ? Data.Length : Plain.Parts.Values.Sum(part => part.Data.Length);

    /// <summary>The parts of a matrix that is codes with scales beside them; null for others.</summary>
    internal PlainTensor? Plain { get; }

    /// <summary>The name of the type in the file, also where it is no weight format: <c>Q4_K</c>, <c>I64</c>.</summary>
    public string TypeName { get; }

    /// <summary>Whether the type is one that weights may have here.</summary>
    public bool IsWeight => _format is not null || Plain is not null;

    /// <summary>How the weights are stored, where it is in one tensor.</summary>
    /// <exception cref="ModelFormatException">The type is none that weights may have here, such as I32.</exception>
    public WeightFormat Format => _format ?? throw new ModelFormatException(
        Data.File.Path, Data.Offset, $"The tensor {ModelFormatException.Quote(Name)} is stored as {TypeName}, which Kidogo does not read as weights. Convert the model to one of: {KnownFormats()}.");

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {TypeName} [{string.Join(", ", Shape)}]";

    private static string KnownFormats() => string.Join(", ", WeightFormats.All.Select(format => format.Name));
}
