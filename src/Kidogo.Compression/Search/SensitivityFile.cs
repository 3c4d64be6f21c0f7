// Costs that were measured, in a file: another target needs no second measurement, and an interruption loses one block. Knows not how they are measured.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Models.Layers;
using Kidogo.Tensors.Formats;

namespace Kidogo.Compression.Search;

/// <summary>A file of costs. One of another model, text or way of measuring, or a damaged one, counts as absent, and is written anew.</summary>
/// <param name="path">The file; it need not exist.</param>
public sealed class SensitivityFile(string path)
{
    private const long MostBytes = 64 << 20;
    private readonly Dictionary<string, Dictionary<string, (double Divergence, double OutputError)>> _found = new(StringComparer.Ordinal);
    private string _key = "";
    private double? _headRidge;
    private int _judgedTokens;

    /// <summary>The costs of all these tensors, where the file has them.</summary>
    public ModelCosts? Costs(IReadOnlyList<ModelTensor> tensors)
    {
        TensorCosts?[] costs = [.. tensors.Select(Find)];
        return _headRidge is { } ridge && costs.All(each => each is not null) ? new ModelCosts(costs!, _judgedTokens) { HeadRidge = ridge } : null;
    }

    /// <summary>The costs of a tensor, where the file has them.</summary>
    public TensorCosts? Find(ModelTensor tensor)
    {
        if (!_found.TryGetValue(tensor.Name, out Dictionary<string, (double Divergence, double OutputError)>? formats))
        {
            return null;
        }

        List<FormatCost> costs = [];
        foreach ((string name, (double divergence, double error)) in formats)
        {
            if (WeightFormats.ForName(name) is not { } format || tensor.Columns % format.BlockSize != 0)
            {
                return null;
            }

            costs.Add(new FormatCost(format, format.RowBytes(tensor.Columns) * tensor.Rows, divergence, error));
        }

        return costs.Any(cost => cost.Format == tensor.Format) ? new TensorCosts(tensor.Name, tensor.Rows, tensor.Columns, costs) : null;
    }

    /// <summary>Reads the file if it is of this model, text and way of measuring.</summary>
    internal void Bind(DecoderModel model, ReadOnlyMemory<int> ids, SensitivityOptions options)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
            $"sensitivity 1 {options.SequenceTokens} {options.CalibrationTokens} {options.JudgedTokens} {options.SampledRows} {options.MakesErrorsGood} {options.Damping:R}")));
        hash.AppendData(MemoryMarshal.AsBytes(ids.Span));
        foreach (Layer layer in model.Slots())
        {
            Quantization.ModelGptq.AddValues(hash, layer);
        }

        _key = Convert.ToHexStringLower(hash.GetHashAndReset());
        _found.Clear();
        _headRidge = null;
        if (File.Exists(path) && new FileInfo(path).Length <= MostBytes)
        {
            try
            {
                using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
                Read(document.RootElement);
            }
            catch (Exception damage) when (damage is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
            {
                _found.Clear();
                _headRidge = null;
            }
        }
    }

    /// <summary>Writes what is known so far beside the file, and gives it its name.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    internal void Save(ModelCosts costs)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("key", _key);
            json.WriteNumber("judged_tokens", costs.JudgedTokens);
            if (costs.IsComplete)
            {
                json.WriteNumber("head_ridge", costs.HeadRidge);
            }

            json.WriteStartObject("tensors");
            foreach (TensorCosts tensor in costs.Tensors)
            {
                json.WriteStartObject(tensor.Name);
                foreach (FormatCost cost in tensor.Costs)
                {
                    json.WriteStartArray(cost.Format.Name);
                    json.WriteNumberValue(cost.Divergence);
                    json.WriteNumberValue(cost.OutputError);
                    json.WriteEndArray();
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder)
        {
            Directory.CreateDirectory(folder);
        }

        NewFile.Write(path, bytes.ToArray());
    }

    private void Read(JsonElement root)
    {
        if (root.GetProperty("key").GetString() != _key)
        {
            return;
        }

        _judgedTokens = root.GetProperty("judged_tokens").GetInt32();
        foreach (JsonProperty tensor in root.GetProperty("tensors").EnumerateObject())
        {
            Dictionary<string, (double Divergence, double OutputError)> formats = new(StringComparer.Ordinal);
            foreach (JsonProperty format in tensor.Value.EnumerateObject())
            {
                formats[format.Name] = (format.Value[0].GetDouble(), format.Value[1].GetDouble());
            }

            _found[tensor.Name] = formats;
        }

        _headRidge = root.TryGetProperty("head_ridge", out JsonElement ridge) ? ridge.GetDouble() : null;
    }
}
