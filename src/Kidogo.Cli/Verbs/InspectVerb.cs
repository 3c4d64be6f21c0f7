// kidogo inspect: what is in a file.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class InspectVerb
{
    private sealed record Options(string Model, int Context, KvFormat KvCache, string? LoadAs, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Option<int?> context = Opt.Int("--context", "Tokens of context that memory is estimated for (default: the model's own)", 1);
        Option<string?> cache = Opt.KvCache();
        Option<string?> loadAs = Opt.LoadAs();
        Option<bool> json = Opt.Json();
        Command command = new("inspect", "Show what is in a model's files") { model, context, cache, loadAs, json };
        command.SetAction(parsed => Run(session, new Options(parsed.GetRequiredValue(model), parsed.GetValue(context) ?? 0, Opt.KvFormatOf(parsed.GetValue(cache)), parsed.GetValue(loadAs), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        ModelSummary summary = ModelSummary.Read(ModelChoice.Locate(options.Model), options.Context, options.KvCache, Opt.MixOf(options.LoadAs));
        if (options.Json)
        {
            PrintJson(session, summary);
        }
        else
        {
            PrintTable(session, summary, options.Context == 0 ? summary.ContextLength : options.Context);
        }

        return ExitCode.Done;
    }

    private static void PrintJson(Session session, ModelSummary summary) => JsonOutput.Write(session, json =>
    {
        json.WriteString("architecture", summary.Architecture);
        json.WriteNumber("parameters", summary.Parameters);
        json.WriteNumber("bytes", summary.Bytes);
        json.WriteFinite("bits_per_weight", summary.BitsPerWeight);
        json.WriteNumber("context_length", summary.ContextLength);
        json.WriteNumber("memory_bytes", summary.Memory.TotalBytes);
        json.WriteStartArray("tensors");
        foreach (TensorSummary tensor in summary.Tensors)
        {
            json.WriteStartObject();
            json.WriteString("name", tensor.Name);
            json.WriteStartArray("shape");
            foreach (long size in tensor.Shape)
            {
                json.WriteNumberValue(size);
            }

            json.WriteEndArray();
            json.WriteString("format", tensor.Format);
            json.WriteNumber("bytes", tensor.Bytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        PassportText.WriteJson(json, summary);
    });

    private static void PrintTable(Session session, ModelSummary summary, int context)
    {
        string formats = string.Join(", ", summary.Tensors.GroupBy(tensor => tensor.Format).OrderByDescending(group => group.Sum(tensor => tensor.Bytes)).Select(group => $"{group.Count()} x {group.Key}"));
        List<string[]> facts =
        [
            ["architecture", summary.Architecture],
            ["parameters", $"{Show.Count(summary.Parameters)} ({summary.Parameters})"],
            ["files", $"{Show.Bytes(summary.Bytes)}, {Show.Number(summary.BitsPerWeight)} bits per weight"],
            ["formats", formats.Length == 0 ? "no tensors" : formats],
            ["context", summary.ContextLength == 0 ? "not said" : $"{summary.ContextLength} tokens"],
            ["memory", $"{Show.Bytes(summary.Memory.TotalBytes)}{(summary.Config is null ? " (weights alone)" : $" with {context} tokens of context: weights {Show.Bytes(summary.Memory.WeightBytes)}, cache {Show.Bytes(summary.Memory.CacheBytes)}, activations {Show.Bytes(summary.Memory.WorkspaceBytes)}")}"],
            ["tokenizer", summary.Tokenizer ?? "none"],
            ["chat template", summary.ChatTemplates.Count == 0 ? "none" : string.Join(", ", summary.ChatTemplates)],
        ];
        if (summary.Config is { } config)
        {
            facts.Insert(2, ["layers", $"{config.NumLayers} of width {config.HiddenSize}, {Range(config, layer => layer.NumHeads)} heads, {Range(config, layer => layer.NumKvHeads)} of keys and values, vocabulary {config.VocabSize}"]);
        }

        facts.AddRange(PassportText.Facts(summary));
        facts.AddRange(summary.Origin.Select(pair => new[] { pair.Key, pair.Value }));
        if (summary.Tensors.Count == 0 && summary.Config is null)
        {
            facts.RemoveAll(fact => fact[0] is "parameters" or "files" or "memory" || (fact[0] == "architecture" && fact[1].Length == 0) || (fact[0] == "context" && summary.ContextLength == 0));
        }

        session.Output.Write(Show.Table(["", ""], facts.Select(fact => fact.Select(cell => Session.OneLine(cell)).ToArray())).TrimStart('\n'));
        if (summary.Tensors.Count > 0)
        {
            session.Output.WriteLine();
            IEnumerable<string[]> rows = summary.Tensors.Select(tensor => new[] { Session.OneLine(tensor.Name), string.Join(" x ", tensor.Shape), Session.OneLine(tensor.Format), Show.Bytes(tensor.Bytes) });
            session.Output.Write(Show.Table(["tensor", "shape", "format", ">bytes"], rows));
        }

        if (summary.Problem is not null)
        {
            session.Warn($"Kidogo does not run this model. {summary.Problem}");
        }
    }

    /// <summary>A number that layers may differ in.</summary>
    private static string Range(DecoderConfig config, Func<LayerConfig, int> value)
    {
        (int least, int most) = (config.Layers.Min(value), config.Layers.Max(value));
        return least == most ? $"{least}" : $"{least} to {most}";
    }
}
