// The whole life cycle in order: each step reads what the steps before left in the folder. Knows no terminal.
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Kidogo.Compression.Reports;
using Kidogo.Data;
using Kidogo.Data.Village;
using Kidogo.Evaluation.Machine;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Text.Tokenizers.Training;
using Kidogo.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Compression.Demo;

/// <summary>What a demo left.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Models">All that was judged, in the order of the table.</param>
/// <param name="ToTalkTo">The file to talk to, and something to ask it.</param>
public sealed record DemoResult(string Folder, IReadOnlyList<JudgedModel> Models, (string Model, string Prompt) ToTalkTo);

/// <summary>Makes texts, a tokenizer, a model, a student, an adapter and smaller files, judges them all and writes a report. What is finished is kept: the same options go on where a run was interrupted.</summary>
/// <param name="options">What is asked for.</param>
/// <param name="observer">Told what goes on.</param>
public sealed class DemoRun(DemoOptions options, DemoObserver observer)
{
    /// <summary>The file that people talk to.</summary>
    public const string TalkName = "model-q4.gguf";

    // The story and its question as the model was trained on them, in as few tokens as can be: an answer's end is the only token that is not the text's.
    private const string Template = """
        {% for message in messages %}{{ message['content'] }}{% if message['role'] == 'assistant' %}<|im_end|>{% endif %}
        {% endfor %}
        """;

    internal const string BeforeName = "second language, before", AfterName = "second language, adapted";

    private const int Nearby = 32; // entries: a vocabulary this near to the largest is large enough
    private const ulong SecondSeed = 1, OverheardSeed = 2; // added to the seed, so that all texts tell of different things

    private readonly DemoSettings _settings = DemoSettings.For(options.Length);
    private readonly int _threads = options.Threads > 0 ? options.Threads : MachineInfo.CountPhysicalCores();
    private DemoFolder _folder = null!;
    private ModelJudge? _judge, _secondJudge;
    private int _number;

    /// <summary>Removes what an earlier demo wrote to a folder, and nothing else.</summary>
    public static void Clear(string folder) => DemoFolder.Clear(folder);

    /// <summary>Runs the steps that are not finished.</summary>
    /// <param name="cancellation">Ends it; finished steps, and the training's checkpoint, stay.</param>
    /// <exception cref="TrainingFailedException">The folder holds something else, or a step failed.</exception>
    public DemoResult Run(CancellationToken cancellation)
    {
        _folder = DemoFolder.Open(options);
        _number = 0;
        Step("texts", "stories to learn from", () => WriteTexts(cancellation));
        Step("tokenizer", "a tokenizer", () => TrainTokenizer(cancellation));
        Step("model", "a model, from nothing", () => Train("model", ModelRecipe(), cancellation));
        Judge("model", "trained from nothing, float32", _folder.At("model"), cancellation);
        Step("student", "a student, taught by the model", () => Train("student", StudentRecipe(), cancellation));
        Step("adapter", "an adapter for a second language", () => Train("adapter", AdapterRecipe(), cancellation));
        foreach (DemoVariant variant in DemoVariant.All)
        {
            Step(variant.Name, variant.Title, () => variant.Make(new DemoWork(_folder, _settings, Calibration, (HealingFields(), observer.Training), _threads, observer.Progress), cancellation));
        }

        Judge("student", "distilled, float32", _folder.At("student"), cancellation);
        foreach (DemoVariant variant in DemoVariant.All)
        {
            Judge(variant.Name, variant.Made, variant.PathIn(_folder), cancellation);
        }

        Judge(BeforeName, "the model, asked in the second language", _folder.At("model"), cancellation, second: true);
        Judge(AfterName, "with its adapter", _folder.At("model"), cancellation, second: true, adapter: _folder.At("adapter"));
        DemoReport report = new(_folder, options, _settings, _threads);
        string[] order = ["model", "student", .. DemoVariant.All.Select(variant => variant.Name), BeforeName, AfterName];
        List<JudgedModel> models = [.. order.Select(name => Read(name))];
        Step("report", "a report", () => report.Write(models));
        return new DemoResult(_folder.Path, models, (_folder.At(TalkName), models[0].Samples is [var first, ..] ? first.Prompt : ""));
    }

    /// <summary>Steps in all: three of making, the model and its judgement, student and adapter, two for each variant, three more judgements, the report.</summary>
    private static int Steps => 10 + (2 * DemoVariant.All.Count);

    private void Step(string name, string title, Action work)
    {
        _number++;
        observer.Began(_number, Steps, title);
        TimeSpan? kept = _folder.TimeOf(name);
        if (kept is null)
        {
            long start = Stopwatch.GetTimestamp();
            work();
            _folder.Finish(name, Stopwatch.GetElapsedTime(start));
        }

        observer.Finished(title, _folder.TimeOf(name)!.Value, kept is not null);
    }

    private VillageOptions Village(string language, VillageSplit split, ulong seed) =>
        new() { Language = VillageLanguage.BuiltIn(language)!, Level = _settings.Level, Split = split, Seed = seed };

    private void WriteTexts(CancellationToken cancellation)
    {
        Directory.CreateDirectory(_folder.At("texts"));
        foreach (string language in _settings.Languages)
        {
            WriteText(TextOf(language), Village(language, VillageSplit.Training, options.Seed), _settings.Stories, cancellation);
        }

        WriteText(SecondText, Village(_settings.SecondLanguage, VillageSplit.Training, options.Seed + SecondSeed), _settings.SecondStories, cancellation);
        if (Overhears)
        {
            WriteText(OverheardText, Village(_settings.SecondLanguage, VillageSplit.Training, options.Seed + OverheardSeed), _settings.SecondStories, cancellation, VillageForm.Text);
        }
    }

    private string TextOf(string language) => _folder.At("texts", $"{language}.jsonl");

    private string SecondText => _folder.At("texts", "second.jsonl");

    private string OverheardText => _folder.At("texts", "overheard.txt");

    private bool Overhears => !_settings.Languages.Contains(_settings.SecondLanguage);

    private void WriteText(string path, VillageOptions village, int count, CancellationToken cancellation, VillageForm form = VillageForm.Conversations)
    {
        using NewFile file = NewFile.Create(path);
        foreach (VillageStory story in new VillageGenerator(village).Stories(count))
        {
            cancellation.ThrowIfCancellationRequested();
            VillageFiles.Write(file.Stream, form, story, village);
            observer.Progress("writing stories", story.Number + 1, count);
        }

        file.Commit();
    }

    /// <summary>A tokenizer as large as the texts support: whole words, since there are few.</summary>
    private void TrainTokenizer(CancellationToken cancellation)
    {
        const int Largest = 1024, Smallest = 272;
        DataSource[] sources = [.. _settings.Languages.Select(language => new DataSource { Path = TextOf(language) }), new DataSource { Path = SecondText }];
        TrainedTokenizer? best = null;
        for (int low = Smallest, high = Largest; low <= high;)
        {
            int size = (low + high) / 2;
            try
            {
                best = TokenizerFromSources.Train(sources, TokenizerKind.Bpe, new TokenizerTrainingOptions { VocabularySize = size, Threads = _threads }, measure: false, null, cancellation).Trained;
                low = size + 1;
            }
            catch (TokenizerTrainingException) when (size > Smallest)
            {
                high = size - 1; // the texts do not support so many
            }

            if (high - low < Nearby && best is not null)
            {
                break;
            }
        }

        best!.WriteTo(_folder.At("tokenizer"));
        NewFile.Write(_folder.At("tokenizer", TrainedTokenizer.ChatTemplateFile), System.Text.Encoding.UTF8.GetBytes(Template));
    }

    /// <summary>What the model reads: conversations in its languages, and a little plain text in the second.</summary>
    private IEnumerable<DataSource> Sources()
    {
        double share = Overhears ? _settings.Overheard : 0;
        IEnumerable<DataSource> own = _settings.Languages.Select(language => new DataSource { Path = TextOf(language), Weight = (1 - share) / _settings.Languages.Count });
        return share > 0 ? own.Append(new DataSource { Path = OverheardText, Weight = share }) : own;
    }

    private Recipe ModelRecipe() => new()
    {
        Data = new DataRecipe { Sources = [.. Sources()], SkipLongConversations = true },
        Tokenizer = new TokenizerRecipe { Path = _folder.At("tokenizer") },
        Model = new ModelRecipe { Shape = _settings.Shape },
        Batch = new BatchRecipe { Context = _settings.Context, Sequences = _settings.Batch },
        Stop = new StopRecipe { Steps = _settings.Steps },
        Optimizer = new OptimizerRecipe { Kind = OptimizerKind.Muon, LearningRate = _settings.LearningRate, MatrixLearningRate = _settings.MatrixLearningRate },
        Precision = new PrecisionRecipe { Threads = _threads },
        Output = new OutputRecipe { Seed = options.Seed, SampleEvery = 0, EvalEvery = Math.Max(1, _settings.Steps / 4), EvalTokens = 4096, Keep = 1 },
    };

    private Recipe StudentRecipe() => ModelRecipe() with
    {
        Tokenizer = null, // the teacher's
        Model = new ModelRecipe { Shape = _settings.StudentShape },
        Stop = new StopRecipe { Steps = _settings.StudentSteps },
        Distillation = new DistillationRecipe { Teacher = _folder.At("model") },
    };

    /// <summary>How a pruned model is trained again: as the model was, with steps a third as large.</summary>
    private IReadOnlyList<KeyValuePair<string, IReadOnlyList<string>>> HealingFields()
    {
        static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
        (string Name, string[] Values)[] fields =
        [
            ("data", [.. _settings.Languages.Select(TextOf)]), ("skip_long_conversations", ["true"]), ("context", [Text(_settings.Context)]), ("batch", [Text(_settings.Batch)]), ("optimizer", ["muon"]),
            ("learning_rate", [Text(_settings.LearningRate / 3)]), ("matrix_learning_rate", [Text(_settings.MatrixLearningRate / 3)]), ("eval_every", ["0"]), ("sample_every", ["0"]),
            ("seed", [options.Seed.ToString(CultureInfo.InvariantCulture)]),
        ];
        return [.. fields.Select(field => KeyValuePair.Create(field.Name, (IReadOnlyList<string>)field.Values))];
    }

    private Recipe AdapterRecipe()
    {
        Recipe model = ModelRecipe();
        return model with
        {
            Data = new DataRecipe { Sources = [new DataSource { Path = SecondText }], SkipLongConversations = true },
            Tokenizer = null,
            Model = new ModelRecipe { From = _folder.At("model") },
            Stop = new StopRecipe { Steps = _settings.AdapterSteps },
            Optimizer = new OptimizerRecipe { LearningRate = _settings.LearningRate },
            Adapter = new AdapterRecipe { Method = AdapterMethod.Lora, Rank = _settings.AdapterRank },
        };
    }

    private void Train(string name, Recipe recipe, CancellationToken cancellation)
    {
        string folder = _folder.At(name);
        if (!RunStarter.IsBegun(folder))
        {
            RunStarter.Begin(recipe with { Output = recipe.Output with { Folder = folder } }, observer.Training, cancellation);
        }

        using TrainingRun run = TrainingRun.Open(folder, _threads, observer.Training, cancellation);
        new Trainer(run, observer.Training).Train(cancellation);
    }

    /// <summary>Stories that were trained on, as the ids that the model read.</summary>
    private int[] Calibration() => DemoCalibration.Ids(_folder.At("model"), TextOf(_settings.Languages[0]), _settings.CalibrationTokens);

    /// <summary>Measures a model, or reads what was measured.</summary>
    private void Judge(string name, string made, string path, CancellationToken cancellation, bool second = false, string? adapter = null)
    {
        Step($"judged {name}", $"judging {name}", () =>
        {
            string language = second ? _settings.SecondLanguage : _settings.Languages[0];
            JudgeOptions how = new()
            {
                Village = Village(language, VillageSplit.Test, options.Seed),
                Stories = _settings.JudgedStories,
                Threads = _threads,
                Progress = observer.Progress,
            };
            ModelJudge judge = second ? _secondJudge ??= new ModelJudge(how) : _judge ??= BaseJudge(how, name, path, cancellation);
            JudgedModel judged = judge.Judge(name, made, path, adapter, cancellation);
            judged = judged with { Tensors = DemoVariant.TensorsOf(_folder, name) };
            Directory.CreateDirectory(_folder.At("judged"));
            NewFile.Write(JudgedPath(name), BytesOf(judged));
        });
        observer.Judged(Read(name));
    }

    /// <summary>A judge that knows the base: where that was judged by an earlier run, it is asked again for its logits.</summary>
    private ModelJudge BaseJudge(JudgeOptions how, string name, string path, CancellationToken cancellation)
    {
        ModelJudge judge = new(how);
        if (path != _folder.At("model"))
        {
            judge.Judge("the model", "", _folder.At("model"), null, cancellation);
        }

        return judge;
    }

    private string JudgedPath(string name) => _folder.At("judged", $"{name.Replace(", ", "-", StringComparison.Ordinal).Replace(' ', '-')}.json");

    private JudgedModel Read(string name)
    {
        string path = JudgedPath(name);
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
            return JudgedModel.Read(json.RootElement);
        }
        catch (Exception failure) when (failure is JsonException or FileNotFoundException or DirectoryNotFoundException)
        {
            throw new TrainingFailedException($"{path}, which an earlier run wrote, cannot be read: {failure.Message} Begin again with --force.", failure);
        }
    }

    private static byte[] BytesOf(JudgedModel judged)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            judged.Write(json);
            json.WriteEndObject();
        }

        return bytes.ToArray();
    }
}
