// The metadata and tensors of a GGUF file under the architecture's prefix. Knows no family.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>What a family reads a configuration from: metadata, and which tensors there are.</summary>
/// <param name="architecture">The value of <c>general.architecture</c>: the prefix of the keys.</param>
/// <param name="metadata">All metadata.</param>
/// <param name="findTensor">The tensor of a name, or null.</param>
public sealed class GgufModel(string architecture, Metadata metadata, Func<string, StoredTensor?> findTensor)
{
    /// <summary>The path of the file.</summary>
    public string File => metadata.File;

    /// <summary>All metadata.</summary>
    public Metadata Metadata => metadata;

    /// <summary>The whole key of what is called <paramref name="name"/> under the architecture.</summary>
    public string Key(string name) => $"{architecture}.{name}";

    /// <summary>Whether the file has the key.</summary>
    public bool HasKey(string name) => metadata.Contains(Key(name));

    /// <summary>An integer, which must be there unless <paramref name="whenAbsent"/> is given.</summary>
    public int Int(string name, int min, int max, int? whenAbsent = null) =>
        whenAbsent is { } value ? metadata.GetInt(Key(name), min, max, value) : metadata.GetInt(Key(name), min, max);

    /// <summary>A number, which must be there unless <paramref name="whenAbsent"/> is given.</summary>
    public double Float(string name, double min, double max, double? whenAbsent = null) =>
        whenAbsent is { } value ? metadata.GetFloat(Key(name), min, max, value) : metadata.GetFloat(Key(name), min, max);

    /// <summary>A number, or null.</summary>
    public double? TryFloat(string name, double min, double max) => HasKey(name) ? metadata.GetFloat(Key(name), min, max) : null;

    /// <summary>An integer for each layer; one value in the file holds for all.</summary>
    public int[] IntPerLayer(string name, int layers, int min, int max) => metadata.GetIntPerLayer(Key(name), layers, min, max);

    /// <summary>Whether the file has a tensor of this name.</summary>
    public bool HasTensor(string name) => findTensor(name) is not null;

    /// <summary>The tensor of this name, or null.</summary>
    public StoredTensor? FindTensor(string name) => findTensor(name);

    /// <summary>The values of a small vector, or null where the file has none of this name.</summary>
    /// <exception cref="ModelFormatException">It has another number of values.</exception>
    public float[]? TryVector(string name, int length)
    {
        if (findTensor(name) is not { } tensor)
        {
            return null;
        }

        float[] values = new float[length];
        TensorSource.ReadVector(tensor, length, values);
        return values;
    }
}
