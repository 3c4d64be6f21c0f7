// What quantising did, as a page for people (Markdown) and an object for programs (JSON). Knows numbers, not how they came about.
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Kidogo.Compression.Quantization;
using Kidogo.Compression.Search;
using Kidogo.Models.Export;
using Kidogo.Models.Files;

namespace Kidogo.Compression.Reports;

/// <summary>What there is to tell.</summary>
public sealed record QuantizeStory
{
    /// <summary>The model that was made smaller, as it was named.</summary>
    public required string Model { get; init; }

    /// <summary>The file that was written.</summary>
    public required string Output { get; init; }

    /// <summary>The method, and what it went by, in a few words.</summary>
    public required string Method { get; init; }

    /// <summary>What became of each tensor.</summary>
    public required QuantizeReport Quantized { get; init; }

    /// <summary>What each tensor may get and what that costs; null where it was not measured.</summary>
    public ModelCosts? Costs { get; init; }

    /// <summary>Both models on a text; null where there was none.</summary>
    public ModelComparison? Comparison { get; init; }

    /// <summary>The text that was judged on, in a few words.</summary>
    public string Text { get; init; } = "";

    /// <summary>The words of tokens; null where there is no vocabulary.</summary>
    public Func<int[], string>? TextOf { get; init; }

    /// <summary>The text's ids, for what stands before a place.</summary>
    public ReadOnlyMemory<int> Ids { get; init; }

    /// <summary>The processor and the threads that speeds are of.</summary>
    public string Machine { get; init; } = "";
}

/// <summary>Writes reports.</summary>
public static class QuantizeReportFile
{
    private const int TokensBefore = 12;

    /// <summary>The two files of a report.</summary>
    /// <param name="path">A name that ends in .md or .json (the other lies beside it), or a folder for report.md and report.json.</param>
    public static (string Markdown, string Json) PathsOf(string path) => Path.GetExtension(path).ToLowerInvariant() is ".md" or ".json"
        ? (Path.ChangeExtension(path, ".md"), Path.ChangeExtension(path, ".json"))
        : (Path.Combine(path, "report.md"), Path.Combine(path, "report.json"));

    /// <summary>Writes both files, each beside and renamed; the folder is made where it is absent.</summary>
    /// <exception cref="IOException">They cannot be written.</exception>
    public static void Write(string path, QuantizeStory story)
    {
        (string markdown, string json) = PathsOf(path);
        if (Path.GetDirectoryName(Path.GetFullPath(markdown)) is { } folder)
        {
            Directory.CreateDirectory(folder);
        }

        NewFile.Write(markdown, Encoding.UTF8.GetBytes(Markdown(story)));
        NewFile.Write(json, Json(story));
    }

    /// <summary>The page.</summary>
    public static string Markdown(QuantizeStory story)
    {
        StringBuilder page = new();
        QuantizeReport quantized = story.Quantized;
        Line(page, $"# {Path.GetFileName(story.Output)}\n");
        Line(page, $"Made of `{story.Model}` by {story.Method}: {quantized.Bytes:N0} bytes, {quantized.BitsPerWeight:0.00} bits per weight.\n");
        if (story.Comparison is { } both)
        {
            Models(page, story, both);
        }

        foreach (string remark in quantized.Remarks)
        {
            Line(page, $"- {remark}");
        }

        Formats(page, quantized);
        Tensors(page, story);
        if (story.Costs is { } costs)
        {
            OtherSizes(page, quantized, costs);
        }

        return page.ToString();
    }

    private static void Models(StringBuilder page, QuantizeStory story, ModelComparison both)
    {
        (MeasuredModel before, MeasuredModel after) = (both.Before, both.After);
        Line(page, $"Judged on {story.Text}, in windows of {both.WindowTokens} tokens. Perplexity is of the second half of each window, divergence of all {both.Divergence.Tokens:N0} positions.\n");
        Line(page, $"| | before | after | change |\n|---|---:|---:|---:|");
        Line(page, $"| size, MB | {before.FileBytes / 1e6:0.00} | {after.FileBytes / 1e6:0.00} | {Change(before.FileBytes, after.FileBytes)} |");
        Line(page, $"| bits per weight | {before.BitsPerWeight:0.00} | {after.BitsPerWeight:0.00} | {Change(before.BitsPerWeight, after.BitsPerWeight)} |");
        Line(page, $"| perplexity | {before.Text.Perplexity:0.000} | {after.Text.Perplexity:0.000} | {Change(before.Text.Perplexity, after.Text.Perplexity)} |");
        if (before.Text.Bytes > 0)
        {
            Line(page, $"| bits per byte | {before.Text.BitsPerByte:0.0000} | {after.Text.BitsPerByte:0.0000} | {Change(before.Text.BitsPerByte, after.Text.BitsPerByte)} |");
        }

        if (before.Speed is { } slow && after.Speed is { } fast)
        {
            Line(page, $"| prefill, tokens/s | {slow.PrefillTokensPerSecond:0} | {fast.PrefillTokensPerSecond:0} | {Change(slow.PrefillTokensPerSecond, fast.PrefillTokensPerSecond)} |");
            Line(page, $"| decode, tokens/s | {slow.DecodeTokensPerSecond:0.0} | {fast.DecodeTokensPerSecond:0.0} | {Change(slow.DecodeTokensPerSecond, fast.DecodeTokensPerSecond)} |");
        }

        Line(page, $"| mean divergence, nats | | {both.Divergence.MeanKl:0.00000} | |");
        Line(page, $"| 99th percentile | | {both.Divergence.KlP99:0.0000} | |");
        Line(page, $"| equal first choices | | {100 * both.Divergence.Top1Agreement:0.00} % | |\n");
        if (story.Machine.Length > 0 && before.Speed is not null)
        {
            Line(page, $"Speeds: {story.Machine}; of one run, so not exact.\n");
        }

        if (story.TextOf is { } textOf && both.Worst.Count > 0)
        {
            Line(page, $"Where both differ most:\n\n| nats | after the words | before | after |\n|---:|---|---|---|");
            foreach (DivergentPlace place in both.Worst)
            {
                int first = Math.Max((place.Position - 1) / both.WindowTokens * both.WindowTokens, place.Position - TokensBefore);
                string words = textOf(story.Ids[first..Math.Min(place.Position, story.Ids.Length)].ToArray());
                Line(page, $"| {place.Kl:0.00} | {Cell(words)} | {Cell(textOf([place.Before]))} | {Cell(textOf([place.After]))} |");
            }

            page.Append('\n');
        }
    }

    private static void Formats(StringBuilder page, QuantizeReport quantized)
    {
        Line(page, $"\n## Formats\n\n| format | tensors | bytes | share of weights |\n|---|---:|---:|---:|");
        long elements = quantized.Tensors.Sum(tensor => tensor.Elements);
        foreach (IGrouping<string, TensorOutcome> group in quantized.Tensors.GroupBy(tensor => tensor.Format).OrderByDescending(group => group.Sum(tensor => tensor.Bytes)))
        {
            Line(page, $"| {group.Key} | {group.Count()} | {group.Sum(tensor => tensor.Bytes):N0} | {100.0 * group.Sum(tensor => tensor.Elements) / elements:0.0} % |");
        }
    }

    private static void Tensors(StringBuilder page, QuantizeStory story)
    {
        Line(page, $"\n## Tensors\n");
        Line(page, $"Error is that of the weights, output error that of what the tensor computes on the calibration text, both relative. Cost is what this tensor alone adds to the mean divergence, sensitivity that cost for each megabyte that its format saves.\n");
        Line(page, $"| tensor | from | format | bytes | error | output error | cost, nats | nats per MB saved |\n|---|---|---|---:|---:|---:|---:|---:|");
        foreach (TensorOutcome tensor in story.Quantized.Tensors.Where(tensor => tensor.Format != tensor.From || tensor.RelativeError > 0))
        {
            FormatCost? cost = CostOf(story, tensor);
            Line(page, $"| {tensor.Name} | {tensor.From} | {tensor.Format} | {tensor.Bytes:N0} | {100 * tensor.RelativeError:0.00} % | {(cost is null ? "" : $"{100 * cost.OutputError:0.00} %")} | {(cost is null ? "" : cost.Divergence.ToString("0.000000", CultureInfo.InvariantCulture))} | {(Sensitivity(story, tensor) is { } each ? (1e6 * each).ToString("0.000000", CultureInfo.InvariantCulture) : "")} |");
        }
    }

    /// <summary>What other sizes would cost: the question that comes next.</summary>
    private static void OtherSizes(StringBuilder page, QuantizeReport quantized, ModelCosts costs)
    {
        long own = quantized.Tensors.Where(tensor => costs.Tensors.Any(each => each.Name == tensor.Name)).Sum(tensor => tensor.Bytes);
        (long smallest, long largest) = SizeSearch.Range(costs.Tensors);
        Line(page, $"\n## Other sizes\n");
        Line(page, $"What formats chosen by sensitivity would cost at other sizes, by the sum of costs: an estimate, good for comparing sizes with each other.\n\n| file, MB | bits per weight | divergence, nats |\n|---:|---:|---:|");
        long elements = quantized.Tensors.Sum(tensor => tensor.Elements);
        long all = quantized.Tensors.Sum(tensor => tensor.Bytes);
        foreach (double share in (ReadOnlySpan<double>)[0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5])
        {
            long bytes = (long)(own * share);
            if (bytes >= smallest && bytes <= largest)
            {
                SizedFormats sized = SizeSearch.Choose(costs.Tensors, bytes);
                Line(page, $"| {(quantized.Bytes - own + sized.Bytes) / 1e6:0.00} | {8.0 * (all - own + sized.Bytes) / elements:0.00} | {sized.Divergence:0.0000} |");
            }
        }
    }

    /// <summary>The object.</summary>
    public static byte[] Json(QuantizeStory story)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("model", story.Model);
            json.WriteString("output", story.Output);
            json.WriteString("method", story.Method);
            json.WriteNumber("bytes", story.Quantized.Bytes);
            json.WriteNumber("bits_per_weight", story.Quantized.BitsPerWeight);
            if (story.Comparison is { } both)
            {
                json.WriteString("text", story.Text);
                json.WriteNumber("window_tokens", both.WindowTokens);
                Model(json, "before", both.Before);
                Model(json, "after", both.After);
                json.WriteNumber("kl_divergence", both.Divergence.MeanKl);
                json.WriteNumber("kl_p99", both.Divergence.KlP99);
                json.WriteNumber("top1_agreement", both.Divergence.Top1Agreement);
                json.WriteNumber("tokens", both.Divergence.Tokens);
            }

            json.WriteStartArray("tensors");
            foreach (TensorOutcome tensor in story.Quantized.Tensors)
            {
                FormatCost? cost = CostOf(story, tensor);
                json.WriteStartObject();
                json.WriteString("name", tensor.Name);
                json.WriteString("from", tensor.From);
                json.WriteString("format", tensor.Format);
                json.WriteNumber("elements", tensor.Elements);
                json.WriteNumber("bytes", tensor.Bytes);
                Number(json, "relative_error", tensor.RelativeError);
                Number(json, "output_error", cost?.OutputError);
                Number(json, "kl_cost", cost?.Divergence);
                Number(json, "sensitivity", Sensitivity(story, tensor));
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartArray("remarks");
            foreach (string remark in story.Quantized.Remarks)
            {
                json.WriteStringValue(remark);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }

    private static void Model(Utf8JsonWriter json, string name, MeasuredModel model)
    {
        json.WriteStartObject(name);
        json.WriteNumber("bytes", model.FileBytes);
        json.WriteNumber("bits_per_weight", model.BitsPerWeight);
        Number(json, "nll", model.Text.MeanNll);
        Number(json, "perplexity", model.Text.Perplexity);
        Number(json, "bits_per_byte", model.Text.BitsPerByte);
        Number(json, "prefill_tokens_per_second", model.Speed?.PrefillTokensPerSecond);
        Number(json, "decode_tokens_per_second", model.Speed?.DecodeTokensPerSecond);
        json.WriteEndObject();
    }

    private static void Number(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number && double.IsFinite(number))
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name); // JSON has no NaN
        }
    }

    private static FormatCost? CostOf(QuantizeStory story, TensorOutcome tensor) => story.Costs?.Tensors.FirstOrDefault(each => each.Name == tensor.Name)?.Of(tensor.Format);

    /// <summary>Divergence for each byte that the format saves; null where it was not measured or nothing is saved.</summary>
    private static double? Sensitivity(QuantizeStory story, TensorOutcome tensor)
    {
        TensorCosts? costs = story.Costs?.Tensors.FirstOrDefault(each => each.Name == tensor.Name);
        long saved = (costs?.Costs.Max(cost => cost.Bytes) ?? 0) - tensor.Bytes;
        return saved > 0 && costs!.Of(tensor.Format) is { } cost ? cost.Divergence / saved : null;
    }

    private static string Change(double before, double after) => string.Create(CultureInfo.InvariantCulture, $"{100 * ((after / before) - 1):+0.0;-0.0;0.0} %");

    private static string Cell(string text) => $"`{text.Replace("\n", "↵", StringComparison.Ordinal).Replace("\r", "", StringComparison.Ordinal).Replace("|", "\\|", StringComparison.Ordinal).Replace("`", "'", StringComparison.Ordinal)}`";

    private static void Line(StringBuilder page, FormattableString line) => page.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
