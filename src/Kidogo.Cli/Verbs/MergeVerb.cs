// kidogo merge: an adapter into its base, and what that costs.
using System.CommandLine;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Compression.Passports;
using Kidogo.Evaluation;
using Kidogo.Inference;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Models.Passports;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.Cli.Verbs;

internal static class MergeVerb
{
    private const int OwnTokens = 512; // that the adapted model writes, where no text is given
    private const int MostTokens = 4096;

    private sealed record Options(string Model, string Adapter, string Output, string? Format, string? Text, string? Ids, bool FillZeros, int? Threads, bool Exact, bool Json);

    public static Command Create(Session session)
    {
        Argument<string> model = Opt.Model();
        Argument<string> adapter = new("ADAPTER") { Description = "The adapter: a PEFT folder, a GGUF adapter, or a name in models/adapters or the model cache" };
        Argument<string> output = Opt.Out();
        Option<string?> format = Opt.Choice("--format", "How weights are stored (default: as the base's are; in a folder quantised ones become F32)", [.. WeightFormats.All.Where(each => each.CanEncode).Select(each => each.Name)]);
        Option<string?> text = Opt.Text("--text", "FILE", "A text to measure the divergence on (default: what the adapted model itself writes)");
        Option<string?> ids = Opt.Text("--ids", "FILE", "The text as token ids");
        Option<bool> fill = Opt.Flag("--fill-zeros", "Let the adapter fill the zeros of a base that was pruned (default: they stay zeros, which costs some of what the adapter learned)");
        Option<int?> threads = Opt.Threads();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("merge", "Merge an adapter into its base, and measure what rounding the sum costs") { model, adapter, output, format, text, ids, fill, threads, exact, json };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(adapter), parsed.GetRequiredValue(output), parsed.GetValue(format), parsed.GetValue(text), parsed.GetValue(ids),
            parsed.GetValue(fill), parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(json))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        WeightFormat? format = options.Format is null ? null : WeightFormats.ForName(options.Format);
        bool isFolder = !options.Output.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase);
        if (isFolder && format is { BlockSize: > 1 })
        {
            throw new UsageException($"A folder holds no block formats such as {format.Name}: give OUT a name that ends in .gguf, or take F32, F16 or BF16.");
        }

        ModelRequest request = new(options.Model, options.Threads, options.Exact) { Adapter = options.Adapter };
        using ModelHeader header = OpenModel.OpenHeader(request);
        Overwriting.Refuse(options.Output, header, options.Adapter, options.Text, options.Ids);
        int[] given = options.Text is null && options.Ids is null ? [] : EvalVerb.ReadIds(options.Ids, options.Text, header);
        using OpenModel adapted = OpenModel.Load(session, request, header, OwnTokens, options.Exact ? KvFormat.F32 : KvFormat.F16);
        int[] ids = given.Length > 0 ? given[..Math.Min(given.Length, MostTokens)] : Written(adapted, session.Interrupted);
        ConversionReport report;
        using ModelHeader files = ModelHeader.Open(ModelChoice.Locate(options.Model));
        bool keepsZeros = !options.FillZeros && SparseModel.IsOne(files);
        Func<ModelWriteOptions, ModelWriteOptions> passport = Provenance.Begin(session, files, new DerivationOptions
        {
            Verb = "merge",
            Options = [("format", options.Format), ("fill_zeros", options.FillZeros ? true : null)],
            Adapter = AdapterFiles.Locate(options.Adapter, ModelPlaces.FromEnvironment()),
        }, options.Threads);
        using (ProgressBar bar = new(session, "merging", "bytes"))
        {
            report = ModelOutput.Guarded(session, options.Output, write => AdapterMerge.Write(files, adapted.Model.Adapters.Default!, options.Output, format, write, keepsZeros), bar, options.Threads, passport);
            if (keepsZeros)
            {
                session.Tell("the base was pruned: its zeros stay zeros, whatever the adapter adds to them (--fill-zeros lets it)");
            }
        }

        foreach (string warning in report.Warnings)
        {
            session.Warn(warning);
        }

        DivergenceReport divergence;
        using (ProgressBar bar = new(session, "comparing", "tokens"))
        {
            ModelRequest merged = new(options.Output, options.Threads, options.Exact);
            using OpenModel open = OpenModel.Load(session, merged, OpenModel.OpenHeader(merged), OwnTokens, options.Exact ? KvFormat.F32 : KvFormat.F16);
            divergence = DivergenceRun.AgainstModel(open.Model, open.Context, adapted.Model, adapted.Context, ids, (done, total) => bar.Report(done, total), session.Interrupted);
        }

        if (options.Json)
        {
            JsonOutput.Write(session, json =>
            {
                json.WriteFinite("kl_divergence", divergence.MeanKl);
                json.WriteFinite("top1_agreement", divergence.Top1Agreement);
                json.WriteNumber("tokens", divergence.Tokens);
                json.WriteNumber("bytes", report.Bytes);
            });
            return ExitCode.Done;
        }

        session.Tell($"{options.Output}: {Show.Bytes(report.Bytes)}");
        session.Tell(string.Create(CultureInfo.InvariantCulture,
            $"divergence from the base with the adapter beside it: {divergence.MeanKl:0.000000} nats, the same first choice for {100 * divergence.Top1Agreement:0.00} % of {divergence.Tokens} tokens {(given.Length > 0 ? "of the text" : "that the adapted model wrote (--text FILE measures on yours)")}"));
        return ExitCode.Done;
    }

    /// <summary>What the adapted model writes from the beginning of a text on, always the same.</summary>
    private static int[] Written(OpenModel open, CancellationToken cancellation)
    {
        int length = Math.Min(OwnTokens, open.Config.ContextLength);
        int begin = open.Text.HasTokenizer ? open.Text.Tokenizer.BosId ?? open.Text.Tokenizer.EosId ?? 0 : 0;
        Sampler sampler = new(new SamplerOptions { Temperature = 1, Seed = 0 }, open.Config.VocabSize, length);
        using CachedSequence sequence = new(open.Model, length, open.Context.CacheFormat);
        using Generator generator = new(open.Model, open.Context);
        int[] ids = [begin, .. generator.Generate(sequence, [begin], sampler, new GeneratorOptions { MaxTokens = length - 1 }, cancellation)];
        cancellation.ThrowIfCancellationRequested();
        return ids;
    }
}
