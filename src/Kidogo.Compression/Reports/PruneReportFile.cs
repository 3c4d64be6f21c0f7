// What pruning did, as a page for people (Markdown) and an object for programs (JSON). Knows numbers, not how they came about.
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Kidogo.Compression.Pruning;
using Kidogo.Models.Files;

namespace Kidogo.Compression.Reports;

/// <summary>What there is to tell.</summary>
/// <param name="Model">The model that was pruned, as it was named.</param>
/// <param name="Output">What was written.</param>
/// <param name="Pruned">What went.</param>
/// <param name="Comparison">Both models on a text; null where there was none.</param>
/// <param name="Machine">The processor and the threads that speeds are of.</param>
public sealed record PruneStory(string Model, string Output, PruneReport Pruned, ModelComparison? Comparison, string Machine);

/// <summary>Writes reports.</summary>
public static class PruneReportFile
{
    private static readonly CultureInfo s_plain = CultureInfo.InvariantCulture;

    /// <summary>Writes both files, each beside and renamed; the folder is made where it is absent.</summary>
    /// <exception cref="IOException">They cannot be written.</exception>
    public static void Write(string path, PruneStory story)
    {
        (string markdown, string json) = QuantizeReportFile.PathsOf(path);
        if (Path.GetDirectoryName(Path.GetFullPath(markdown)) is { } folder)
        {
            Directory.CreateDirectory(folder);
        }

        NewFile.Write(markdown, Encoding.UTF8.GetBytes(Markdown(story)));
        NewFile.Write(json, Json(story));
    }

    /// <summary>The member <c>tensors</c>: the matrices of the layers.</summary>
    public static void WriteTensors(Utf8JsonWriter json, PruneReport report)
    {
        json.WriteStartArray("tensors");
        foreach (PrunedTensor tensor in report.Tensors)
        {
            json.WriteStartObject();
            json.WriteString("name", tensor.Name);
            json.WriteStartArray("shape");
            json.WriteNumberValue(tensor.Rows);
            json.WriteNumberValue(tensor.Columns);
            json.WriteEndArray();
            json.WriteNumber("sparsity", tensor.Sparsity);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>The members of a comparison.</summary>
    public static void WriteComparison(Utf8JsonWriter json, ModelComparison comparison)
    {
        WriteFinite(json, "perplexity_before", comparison.Before.Text.Perplexity);
        WriteFinite(json, "perplexity", comparison.After.Text.Perplexity);
        WriteFinite(json, "kl_divergence", comparison.Divergence.MeanKl);
        WriteFinite(json, "kl_p99", comparison.Divergence.KlP99);
        WriteFinite(json, "top1_agreement", comparison.Divergence.Top1Agreement);
        json.WriteNumber("tokens", comparison.Divergence.Tokens);
        if (comparison.Before.Speed is { } before && comparison.After.Speed is { } after)
        {
            WriteFinite(json, "decode_tokens_per_second_before", before.DecodeTokensPerSecond);
            WriteFinite(json, "decode_tokens_per_second", after.DecodeTokensPerSecond);
        }
    }

    private static void WriteFinite(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    private static byte[] Json(PruneStory story)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteString("model", Path.GetFileName(Path.TrimEndingDirectorySeparator(story.Model)));
            json.WriteString("output", Path.GetFileName(Path.TrimEndingDirectorySeparator(story.Output)));
            json.WriteStartArray("gone");
            foreach (string gone in story.Pruned.Gone)
            {
                json.WriteStringValue(gone);
            }

            json.WriteEndArray();
            json.WriteNumber("parameters_before", story.Pruned.ParametersBefore);
            json.WriteNumber("parameters", story.Pruned.Parameters);
            json.WriteNumber("bytes_before", story.Pruned.BytesBefore);
            json.WriteNumber("bytes", story.Pruned.Bytes);
            json.WriteNumber("sparsity", story.Pruned.Sparsity);
            WriteTensors(json, story.Pruned);
            if (story.Comparison is not null)
            {
                WriteComparison(json, story.Comparison);
                json.WriteString("machine", story.Machine);
            }

            json.WriteEndObject();
        }

        bytes.WriteByte((byte)'\n');
        return bytes.ToArray();
    }

    private static string Markdown(PruneStory story)
    {
        PruneReport pruned = story.Pruned;
        StringBuilder page = new();
        page.Append(s_plain, $"# {Name(story.Output)}, pruned of {Name(story.Model)}\n\n");
        foreach (string gone in pruned.Gone)
        {
            page.Append(s_plain, $"- Gone: {gone}.\n");
        }

        foreach (string remark in pruned.Remarks)
        {
            page.Append(s_plain, $"- {remark}\n");
        }

        page.Append("\n| | before | after |\n| --- | ---: | ---: |\n");
        void Row(string what, string before, string after) => page.Append(s_plain, $"| {what} | {before} | {after} |\n");
        Row("parameters", $"{pruned.ParametersBefore}", $"{pruned.Parameters}");
        Row("bytes of weights, of files", $"{pruned.BytesBefore}", $"{pruned.Bytes}");
        Row("zeros in the layers' matrices", "", pruned.Sparsity.ToString("P2", s_plain));
        if (story.Comparison is { } comparison)
        {
            Row("perplexity", comparison.Before.Text.Perplexity.ToString("0.000", s_plain), comparison.After.Text.Perplexity.ToString("0.000", s_plain));
            Row("mean divergence from before, nats", "", comparison.Divergence.MeanKl.ToString("0.00000", s_plain));
            Row("the same first choice", "", comparison.Divergence.Top1Agreement.ToString("P2", s_plain));
            if (comparison.Before.Speed is { } before && comparison.After.Speed is { } after)
            {
                Row("tokens a second", before.DecodeTokensPerSecond.ToString("0.0", s_plain), after.DecodeTokensPerSecond.ToString("0.0", s_plain));
            }

            page.Append(s_plain, $"\nMeasured on {comparison.Divergence.Tokens} tokens in windows of {comparison.WindowTokens}, perplexity on the second half of each; speeds on {story.Machine}.\n");
        }

        page.Append("\n| matrix | shape | zeros |\n| --- | --- | ---: |\n");
        foreach (PrunedTensor tensor in pruned.Tensors)
        {
            page.Append(s_plain, $"| {tensor.Name} | {tensor.Rows} x {tensor.Columns} | {tensor.Sparsity:P1} |\n");
        }

        return page.ToString();
    }

    private static string Name(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(path));
}
