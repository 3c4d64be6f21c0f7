// kidogo doctor: what this machine is, and what would fit on it.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Verbs;

internal static class DoctorVerb
{
    private static readonly TimeSpan s_measuring = TimeSpan.FromMilliseconds(300);

    private sealed record Options(string? Model, int Context, KvFormat KvCache, int Threads, bool Json);

    public static Command Create(Session session)
    {
        Argument<string?> model = Opt.OptionalModel();
        model.Description = "A model to say of whether it would fit; nothing for a table of usual sizes";
        Option<int?> context = Opt.Int("--context", "Tokens of context for MODEL (default: its own)", 1);
        Option<string?> cache = Opt.KvCache();
        Option<int?> threads = Opt.Threads();
        Option<bool> json = Opt.Json();
        Command command = new("doctor", "Show the processor, the memory and which models would fit") { model, context, cache, threads, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetValue(model), parsed.GetValue(context) ?? 0, Opt.KvFormatOf(parsed.GetValue(cache)), parsed.GetValue(threads) ?? MachineInfo.CountPhysicalCores(), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        string? path = options.Model is null ? null : ModelChoice.Locate(options.Model);
        ModelSummary? model = path is null ? null : ModelSummary.Read(path, options.Context, options.KvCache);
        if (model is { ContextLength: > 0 } && options.Context > model.ContextLength)
        {
            session.Warn($"--context {options.Context} is more than the {model.ContextLength} tokens that the model was made for, where kidogo run ends. What fits is counted for --context {options.Context} all the same.");
        }

        MachineInfo machine = MachineInfo.Read();
        MachineMemory memory = MachineMemory.Read();
        double bandwidth = MemoryBandwidth.Measure(options.Threads, memory, s_measuring);
        IReadOnlyList<FitRow> fits = model is null
            ? FitTable.For(memory, bandwidth)
            : [FitTable.Row(Path.GetFileName(Path.TrimEndingDirectorySeparator(path!)), $"{Show.Number(model.BitsPerWeight)} bits", model.Memory.WeightBytes, model.Memory.TotalBytes, memory, bandwidth)];
        if (options.Json)
        {
            PrintJson(session, machine, memory, bandwidth, fits);
        }
        else
        {
            Print(session, machine, memory, bandwidth, fits);
        }

        return ExitCode.Done;
    }

    private static void Print(Session session, MachineInfo machine, MachineMemory memory, double bandwidth, IReadOnlyList<FitRow> fits)
    {
        string cores = $"{machine.PhysicalCores} {(machine.PhysicalCores == 1 ? "core" : "cores")}, {machine.LogicalProcessors} {(machine.LogicalProcessors == 1 ? "thread" : "threads")}";
        session.Output.Write(Show.Table(["", ""],
        [
            ["processor", $"{machine.Processor} ({cores})"],
            ["instructions", string.Join("  ", machine.Instructions.Select(tier => $"{tier.Name} {(tier.IsUsed ? "yes" : "no")}"))],
            ["caches", machine.Caches.Count == 0 ? "not said" : string.Join("  ", machine.Caches.Select(cache => $"L{cache.Level} {cache.Kind} {Show.Bytes(cache.Bytes)}"))],
            ["memory", $"{Show.Bytes(memory.TotalBytes)}, {Show.Bytes(memory.AvailableBytes)} available{(memory.LimitBytes is { } limit ? $", limited to {Show.Bytes(limit)} by the container" : "")}"],
            ["bandwidth", $"{Show.Bytes(bandwidth)}/s reading"],
        ]).TrimStart('\n'));
        session.Output.WriteLine();
        IEnumerable<string[]> rows = fits.Select(fit => new[] { fit.Model, fit.Format, Show.Bytes(fit.MemoryBytes), fit.Fits ? "yes" : "no", $"{Show.Number(fit.DecodeTokensPerSecond)}" });
        session.Output.Write(Show.Table(["model", "format", ">memory", "fits", ">tokens/s at most"], rows));
    }

    private static void PrintJson(Session session, MachineInfo machine, MachineMemory memory, double bandwidth, IReadOnlyList<FitRow> fits) => JsonOutput.Write(session, json =>
    {
        json.WriteString("processor", machine.Processor);
        json.WriteNumber("cores", machine.PhysicalCores);
        json.WriteNumber("threads", machine.LogicalProcessors);
        json.WriteStartObject("instructions");
        foreach (InstructionTier tier in machine.Instructions)
        {
            json.WriteBoolean(tier.Name, tier.IsUsed);
        }

        json.WriteEndObject();
        json.WriteStartArray("caches");
        foreach (ProcessorCache cache in machine.Caches)
        {
            json.WriteStartObject();
            json.WriteNumber("level", cache.Level);
            json.WriteString("kind", cache.Kind);
            json.WriteNumber("bytes", cache.Bytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("memory_bytes", memory.TotalBytes);
        json.WriteNumber("available_bytes", memory.AvailableBytes);
        if (memory.LimitBytes is { } limit)
        {
            json.WriteNumber("limit_bytes", limit);
        }
        else
        {
            json.WriteNull("limit_bytes");
        }

        json.WriteFinite("bandwidth_bytes_per_second", bandwidth);
        json.WriteStartArray("fits");
        foreach (FitRow fit in fits)
        {
            json.WriteStartObject();
            json.WriteString("model", fit.Model);
            json.WriteString("format", fit.Format);
            json.WriteNumber("memory_bytes", fit.MemoryBytes);
            json.WriteBoolean("fits", fit.Fits);
            json.WriteFinite("decode_tokens_per_second", fit.DecodeTokensPerSecond);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });
}
