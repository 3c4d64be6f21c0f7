// From arguments to an exit status: the table of verbs, and one clear line for whatever goes wrong. Knows no model.
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Reflection;
using Kidogo.Catalog.Hub;
using Kidogo.Cli.Verbs;
using Kidogo.Compression.Calibration;
using Kidogo.Compression.Pruning;
using Kidogo.Compression.Search;
using Kidogo.Data;
using Kidogo.Evaluation.Explanations;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Shell;

/// <summary>The program.</summary>
internal static class Application
{
    /// <summary>What <c>kidogo</c> is, in a sentence.</summary>
    public const string Summary = "Small language models on your own processor: fast, exact and safe.";

    private static string Version =>
        Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    /// <summary>Runs the program and returns its exit status.</summary>
    public static int Run(string[] args)
    {
        if (args is ["help", ..])
        {
            args = [.. args.Skip(1), "--help"];
        }

        using Session session = new() { Verbose = args.Contains("--verbose") };
        try
        {
            RootCommand root = BuildRoot(session);
            ParseResult parsed = root.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
            int status = Problem(root, parsed) is { } problem && parsed.Action is not HelpAction
                ? throw new UsageException(problem)
                : parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
            session.Output.Flush();
            return status;
        }
        catch (Exception failure)
        {
            return Report(session, failure);
        }
    }

    private static RootCommand BuildRoot(Session session)
    {
        RootCommand root = new($"kidogo {Version}: {Summary}");
        Option<bool> verbose = new("--verbose") { Description = "Show the stack trace of an error", Recursive = true };
        root.Options.Add(verbose);
        Option version = root.Options.First(option => option is VersionOption);
        root.Options.Remove(version);
        Option<bool> ownVersion = new("--version") { Description = "Print the version" };
        root.Options.Add(ownVersion);
        foreach (Command verb in Table(session))
        {
            root.Subcommands.Add(verb);
        }

        root.SetAction(parsed =>
        {
            session.Output.WriteLine(parsed.GetValue(ownVersion) ? $"kidogo {Version}" : Introduction);
            return ExitCode.Done;
        });
        return root;
    }

    /// <summary>Every verb: one line each.</summary>
    private static IEnumerable<Command> Table(Session session) =>
    [
        RunVerb.Create(session),
        NextVerb.Create(session),
        InspectVerb.Create(session),
        TokenizeVerb.Create(session),
        DetokenizeVerb.Create(session),
        TokenizerVerb.Create(session),
        TemplateVerb.Create(session),
        LogitsVerb.Create(session),
        EmbedVerb.Create(session),
        BenchVerb.Create(session),
        EvalVerb.Create(session),
        TrainVerb.Create(session),
        DistilVerb.Create(session),
        AdaptVerb.Create(session),
        SweepVerb.Create(session),
        PreferVerb.Create(session),
        LearnVerb.Create(session),
        ClassifyVerb.Create(session),
        MergeVerb.Create(session),
        ConvertVerb.Create(session),
        CalibrateVerb.Create(session),
        QuantizeVerb.Create(session),
        TrimVocabularyVerb.Create(session),
        PruneVerb.Create(session),
        VerifyVerb.Create(session),
        DemoVerb.Create(session),
        CompareVerb.Create(session),
        VillageVerb.Create(session),
        ServeVerb.Create(session),
        RouteVerb.Create(session),
        KeyVerb.Create(session),
        PortalVerb.Create(session),
        ExplainVerb.Create(session),
        DoctorVerb.Create(session),
        PullVerb.Create(session),
        ListVerb.Create(session),
        ShowVerb.Create(session),
        RemoveVerb.Create(session),
        ExportVerb.Create(session),
        ImportVerb.Create(session),
        AdviseVerb.Create(session),
    ];

    private static string Introduction => $"""
        kidogo {Version}: {Summary}
        It runs GGUF files and Hugging Face folders. Try, one after the other:

          kidogo doctor                              what this machine is, and which models would fit
          kidogo run path/to/model.gguf              chat with a model (or: ... model.gguf "Why is the sky blue?")
          kidogo inspect path/to/model.gguf          what is in a file

        All verbs: kidogo --help. One verb: kidogo run --help.
        """;

    /// <summary>What is wrong with a command line, in one sentence with the nearest known name; null where nothing is.</summary>
    private static string? Problem(RootCommand root, ParseResult parsed)
    {
        CommandResult result = parsed.CommandResult;
        string verb = string.Join(' ', Path(result).Prepend("kidogo"));
        bool isGroup = result.Command.Subcommands.Count > 0;
        HashSet<string> arguments = [.. result.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens).Select(token => token.Value)];
        arguments.UnionWith(parsed.UnmatchedTokens);
        int afterDashes = parsed.Tokens.TakeWhile(token => token.Type != TokenType.DoubleDash).Count();
        string? unknown = parsed.Tokens.Take(afterDashes).Select(token => token.Value).FirstOrDefault(value => LooksLikeOption(value) && arguments.Contains(value));
        if (unknown is not null)
        {
            string name = unknown.Split('=', ':')[0];
            IEnumerable<string> options = result.Command.Options.Concat(root.Options.Where(option => option.Recursive)).Select(option => option.Name);
            return $"{name} is not an option of {verb}{Meant(name, options)} See {verb} --help; a text that begins with a dash goes after --.";
        }

        if (isGroup && (parsed.UnmatchedTokens.Count > 0 || result.Command != root))
        {
            string[] verbs = [.. result.Command.Subcommands.Select(command => command.Name)];
            string given = parsed.UnmatchedTokens.Count > 0 ? parsed.UnmatchedTokens[0] : "";
            return given.Length == 0
                ? $"{verb} needs one of {string.Join(", ", verbs)}. See {verb} --help."
                : ModelLocator.LooksLikeModel(given) && result.Command == root
                    ? $"{ModelFormatException.Quote(given)} is not a verb. To run it as a model: kidogo run {given}"
                    : $"{ModelFormatException.Quote(given)} is not a verb of {verb}{Meant(given, verbs)} See {verb} --help.";
        }

        if (parsed.UnmatchedTokens.Count > 0)
        {
            return $"{verb} does not know what to do with {ModelFormatException.Quote(parsed.UnmatchedTokens[0])}. See {verb} --help; a text of several words goes in quotes.";
        }

        Argument? missing = result.Command.Arguments.FirstOrDefault(argument => (result.GetResult(argument)?.Tokens.Count ?? 0) < argument.Arity.MinimumNumberOfValues);
        if (missing is not null)
        {
            return $"{verb} needs {missing.Name}. See {verb} --help.";
        }

        return parsed.Errors.Count > 0 ? $"{parsed.Errors[0].Message} See {verb} --help." : null;
    }

    private static string Meant(string name, IEnumerable<string> candidates) => NearestName.Likely(name, candidates) is { } nearest ? $"; the nearest is {nearest}." : ".";

    private static bool LooksLikeOption(string value) => value.Length > 1 && value[0] == '-' && !value.Any(char.IsWhiteSpace) && !char.IsAsciiDigit(value[1]);

    private static Stack<string> Path(SymbolResult result)
    {
        Stack<string> names = new();
        for (SymbolResult? at = result; at is CommandResult { Command: not RootCommand } command; at = at.Parent)
        {
            names.Push(command.Command.Name);
        }

        return names;
    }

    private static int Report(Session session, Exception failure)
    {
        while (failure is AggregateException or TargetInvocationException && failure.InnerException is not null)
        {
            failure = failure.InnerException;
        }

        try
        {
            session.Output.Flush(); // what was printed is kept
        }
        catch (IOException)
        {
            // Standard output is gone; the failure is reported all the same.
        }

        if (failure is OperationCanceledException)
        {
            session.Error.WriteLine("interrupted");
            return ExitCode.Interrupted;
        }

        (int status, string message) = failure switch
        {
            IOException full when NewFile.IsDiskFull(full) => (ExitCode.Failed, "The disk is full: standard output could not be written. Free some space, or send it elsewhere."),
            UsageException or RecipeException => (ExitCode.WrongUse, failure.Message),
            DamagedLogitsException or DamagedWeightsException => (ExitCode.Failed, Damage(session, failure)),
            NoTokenLeftException => (ExitCode.Failed, SamplingArguments.Impossible(failure)),
            FailureException or ExplanationException or HubException or TrainingFailedException or ModelFormatException or ModelTensorException or CalibrationException or SizeTargetException or PruningException or DataFormatException or TokenizerException
                or ChatTemplateException or IOException or NotSupportedException => (ExitCode.Failed, failure.Message),
            UnauthorizedAccessException => (ExitCode.Failed, $"{failure.Message.TrimEnd('.')}. Check the permissions of the file and its folder."),
            ArgumentException argument => (ExitCode.Failed, WithoutParameter(argument)),
            OutOfMemoryException => (ExitCode.Failed, "There is not enough memory. Try a smaller model, a shorter --context or --kv-cache q8_0; kidogo doctor shows what fits."),
            _ => (ExitCode.Failed, $"This is a defect in kidogo, {failure.GetType().Name}: {failure.Message} Run again with --verbose and report what it prints."),
        };
        session.Fail(message);
        if (session.Verbose)
        {
            session.Error.WriteLine(failure.ToString());
        }

        return status;
    }

    /// <summary>What shows that weights are damaged, with the model's name.</summary>
    public static string Damage(Session session, Exception failure) => session.Models.Count == 0 ? failure.Message : $"{string.Join(" or ", session.Models.Distinct())}: {failure.Message}";

    private static string WithoutParameter(ArgumentException failure)
    {
        string suffix = $" (Parameter '{failure.ParamName}')";
        int at = failure.ParamName is null ? -1 : failure.Message.IndexOf(suffix, StringComparison.Ordinal);
        return at < 0 ? failure.Message : failure.Message.Remove(at, suffix.Length);
    }
}
