// From ratings to a version: select, plant, train, judge, keep. Knows no command line.
using System.Globalization;
using System.Security.Cryptography;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Training;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Privacy;
using Kidogo.Serving.Feedback;
using Kidogo.Text;
using Kidogo.Text.ChatTemplates;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Cli.Learning;

/// <summary>How it is learned.</summary>
internal sealed record LearnOptions
{
    /// <summary>The model; null for the default one.</summary>
    public string? Model { get; init; }

    /// <summary>The database of ratings.</summary>
    public required string Feedback { get; init; }

    /// <summary>What the server that kept the ratings called the model; null for what it calls it by itself.</summary>
    public string? AnsweredBy { get; init; }

    /// <summary>The folder of versions.</summary>
    public required string Folder { get; init; }

    /// <summary>Kto or sft; null: kto where there are disliked answers.</summary>
    public LearnMethod? Method { get; init; }

    /// <summary>Minutes that the steps may take, where <see cref="Steps"/> is not given.</summary>
    public double Minutes { get; init; } = 10;

    /// <summary>Steps; null: three rounds of the answers, or as many as the minutes allow.</summary>
    public int? Steps { get; init; }

    /// <summary>The highest learning rate; null for what is usual.</summary>
    public double? LearningRate { get; init; }

    /// <summary>The fewest answers to learn from.</summary>
    public int Least { get; init; } = 20;

    /// <summary>The share of the answers that one person's ratings may have.</summary>
    public double Share { get; init; } = 0.25;

    /// <summary>A general text to judge by; null for the built-in one.</summary>
    public string? Measure { get; init; }

    /// <summary>Decides the first weights, the order and the canaries.</summary>
    public ulong Seed { get; init; }

    /// <summary>Threads; null for the physical cores.</summary>
    public int? Threads { get; init; }

    /// <summary>A chat template in place of the model's own.</summary>
    public string? ChatTemplate { get; init; }
}

/// <summary>Makes a version. Every one is trained anew on the model as it is, from what is in the database now: what was taken back there is not in it.</summary>
internal sealed class LearnRun(Session session, LearnOptions options)
{
    private const string WorkName = ".work", LockName = ".lock";
    private const int CanaryCount = 3;

    /// <summary>Keeps other runs out of a folder, and deletes what a run that was killed has left there: texts of people.</summary>
    /// <exception cref="FailureException">Another process is at work there.</exception>
    public static FileStream Hold(string folder)
    {
        FileStream? held = null;
        try
        {
            held = new FileStream(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            Clear(Path.Combine(folder, WorkName));
            return held;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            held?.Dispose();
            throw new FailureException($"Another kidogo learn is at work in {folder}, or it cannot be written to: {failure.Message}");
        }
    }

    /// <summary>Makes a version, and puts it in use if it passes.</summary>
    /// <returns>The version.</returns>
    /// <exception cref="FailureException">There is not enough to learn from, or another process is at it.</exception>
    public VersionInfo Run()
    {
        PersonalDataFinder finder = new();
        Selection selection;
        using (FeedbackStore store = FeedbackStore.Open(InputFile.Existing(options.Feedback)))
        {
            selection = Selection.Of(store.Read(), options.AnsweredBy ?? ModelChoice.ServedName(options.Model), finder, options.Share);
        }

        LearnMethod method = options.Method ?? (selection.Training.Any(example => !example.IsLiked) ? LearnMethod.Kto : LearnMethod.Sft);
        if (selection.Refusal(options.Least, method) is { } refusal)
        {
            throw new FailureException(refusal);
        }

        session.Tell(selection.Counts);
        session.Tell($"{selection.Training.Count} answers to learn from ({selection.Training.Count(example => example.IsLiked)} liked), {selection.HeldOut.Count} held out; method {NameOf(method)}");
        Directory.CreateDirectory(options.Folder);
        using FileStream held = Hold(options.Folder);
        string work = Path.Combine(options.Folder, WorkName);
        try
        {
            MakeOwn(work);
            return Learn(work, selection, method, finder);
        }
        finally
        {
            Clear(work); // texts of people, in several forms
        }
    }

    private static string NameOf(LearnMethod method) => method == LearnMethod.Kto ? "kto" : "sft";

    private VersionInfo Learn(string work, Selection selection, LearnMethod method, PersonalDataFinder finder)
    {
        Versions versions = new(options.Folder);
        int current = versions.Current, number = versions.All.Select(version => version.Number).Append(0).Max() + 1;
        IReadOnlyList<Canary> canaries = Canary.Draw(CanaryCount, SeedOf(options.Seed, number));
        double before, general;
        using (Judge bare = Open(null))
        {
            (before, general) = (bare.CostOf(selection.HeldOut), bare.General(options.Measure));
            canaries = [.. canaries.Select(canary => canary.Plant(bare.Ask(canary)))];
        }

        if (current > 0)
        {
            using Judge used = Open(versions.PathOf(current));
            before = Math.Min(before, used.CostOf(selection.HeldOut));
        }

        Example[] learned = [.. selection.Training.Where(example => method == LearnMethod.Kto || example.IsLiked)];
        string data = Path.Combine(work, "data.jsonl"), run = Path.Combine(work, "run");
        using (FileStream file = new(data, FileMode.CreateNew, FileAccess.Write))
        {
            foreach (Example example in learned.Concat(canaries.Select(canary => new Example("", [new ChatMessage("user", canary.Question)], canary.Secret, IsLiked: true))))
            {
                file.Write(Line(example, method).Span);
                file.WriteByte((byte)'\n');
            }
        }

        string hash = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(data)));
        Train(data, work, run, method);
        GateScores scores;
        using (Judge made = Open(run))
        {
            scores = new GateScores(before, made.CostOf(selection.HeldOut), general, made.General(options.Measure), [.. canaries.Select(canary => canary.Rank(made.Ask(canary)))],
                learned.Count(example => example.IsPersonal(finder)));
        }

        VersionInfo version = new(number, current, DateTimeOffset.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture), scores.Refusals(), scores.Describe());
        string kept = Path.Combine(work, "version");
        Directory.CreateDirectory(kept);
        foreach (string name in (string[])[PeftFolder.ConfigName, PeftFolder.WeightsName])
        {
            File.Move(Path.Combine(run, name), Path.Combine(kept, name));
        }

        NewFile.Write(Path.Combine(kept, Versions.ManifestName), Manifest(version, scores, selection, method, hash).Span);
        versions.Keep(kept, number);
        if (version.Refusals.Count == 0)
        {
            versions.Use(number);
        }

        return version;
    }

    private Judge Open(string? adapter) => new(session, new ModelRequest(options.Model, options.Threads, Exact: true) { Adapter = adapter }, options.ChatTemplate);

    private static int SeedOf(ulong seed, int number) => (int)((seed ^ (seed >> 32) ^ ((ulong)number << 16)) & int.MaxValue);

    private void Train(string data, string work, string run, LearnMethod method)
    {
        using TrainingScreen screen = new(session, json: false);
        long? steps = options.Steps;
        while (true)
        {
            RunStarter.Begin(RecipeOf(data, work, run, method, steps), screen, session.Interrupted);
            using (TrainingRun training = TrainingRun.Open(run, options.Threads ?? 0, screen, session.Interrupted))
            {
                long most = (long)Math.Max(1, options.Minutes * 60 / Math.Max(training.Plan.SecondsPerStep, 1e-6));
                if (steps is not null || training.Plan.Steps <= most)
                {
                    new Trainer(training, screen).Train(session.Interrupted);
                    return;
                }

                steps = most; // planned anew, so that the learning rate comes down in time
            }

            Directory.Delete(run, recursive: true);
        }
    }

    private Recipe RecipeOf(string data, string work, string run, LearnMethod method, long? steps) => new()
    {
        Data = new DataRecipe { Sources = [new DataSource { Path = data }], HeldOut = 0, SkipLongConversations = true, ChatTemplate = options.ChatTemplate, Cache = Path.Combine(work, "shards") },
        Model = new ModelRecipe { From = ModelChoice.Locate(options.Model) },
        Batch = new BatchRecipe { Context = ContextOf(), Sequences = method == LearnMethod.Kto ? 4 : 1 },
        Stop = new StopRecipe { Steps = steps },
        Optimizer = new OptimizerRecipe { LearningRate = options.LearningRate },
        Precision = new PrecisionRecipe { Threads = options.Threads ?? 0 },
        Output = new OutputRecipe { Folder = run, EvalEvery = 0, SampleEvery = 0, Keep = 1, Seed = options.Seed },
        Adapter = new AdapterRecipe(),
        Preference = method == LearnMethod.Kto ? new PreferenceRecipe { Kind = PreferenceKind.Kto } : null,
    };

    private int ContextOf()
    {
        using ModelHeader header = ModelHeader.Open(ModelChoice.Locate(options.Model));
        return Math.Min(Judge.MostContext, header.Config.ContextLength);
    }

    private static ReadOnlyMemory<byte> Line(Example example, LearnMethod method) => JsonBuilding.Bytes(json =>
    {
        json.WriteStartObject();
        json.WriteStartArray(method == LearnMethod.Kto ? "prompt" : "messages");
        IEnumerable<ChatMessage> messages = method == LearnMethod.Kto ? example.Prompt : example.Prompt.Append(new ChatMessage("assistant", example.Answer));
        foreach (ChatMessage message in messages)
        {
            message.ToJson().WriteTo(json);
        }

        json.WriteEndArray();
        if (method == LearnMethod.Kto)
        {
            json.WriteString("completion", example.Answer);
            json.WriteBoolean("label", example.IsLiked);
        }

        json.WriteEndObject();
    });

    private ReadOnlyMemory<byte> Manifest(VersionInfo version, GateScores scores, Selection selection, LearnMethod method, string hash) => JsonBuilding.Bytes(json =>
    {
        json.WriteStartObject();
        json.WriteNumber("version", version.Number);
        json.WriteNumber("parent", version.Parent);
        json.WriteString("created", version.Created);
        json.WriteString("model", Path.GetFileName(ModelChoice.Locate(options.Model)));
        json.WriteString("method", NameOf(method));
        json.WriteNumber("seed", options.Seed);
        json.WriteString("data_sha256", hash);
        json.WriteNumber("ratings", selection.Ratings);
        json.WriteNumber("left_out_of_other_models", selection.Others.Values.Sum());
        json.WriteNumber("left_out_personal", selection.Personal);
        json.WriteNumber("left_out_repeated", selection.Repeated);
        json.WriteNumber("left_out_over_share", selection.OverShare);
        json.WriteNumber("trained_on", selection.Training.Count);
        json.WriteNumber("held_out", selection.HeldOut.Count);
        json.WriteFinite("held_out_nats_before", scores.HeldOutBefore);
        json.WriteFinite("held_out_nats_after", scores.HeldOutAfter);
        json.WriteFinite("general_perplexity_before", scores.GeneralBefore);
        json.WriteFinite("general_perplexity_after", scores.GeneralAfter);
        json.WriteNumbers("canary_ranks", [.. scores.CanaryRanks]);
        json.WriteNumber("canary_choices", Canary.Choices);
        json.WriteNumber("personal_trained_on", scores.Personal);
        json.WriteBoolean("accepted", version.Refusals.Count == 0);
        json.WriteStrings("refused_because", version.Refusals);
        json.WriteString("scores_in_words", version.Scores);
        json.WriteEndObject();
    });

    /// <summary>Makes a folder that its owner alone can read.</summary>
    private static void MakeOwn(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
        }
        else
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private static void Clear(string work)
    {
        if (Directory.Exists(work))
        {
            Directory.Delete(work, recursive: true);
        }
    }
}
