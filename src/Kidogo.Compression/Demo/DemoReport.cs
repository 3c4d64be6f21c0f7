// What the demo's report says. Knows the folder and the numbers, not how pages look.
using System.Globalization;
using System.Runtime.InteropServices;
using Kidogo.Compression.Reports;
using Kidogo.Data.Village;
using Kidogo.Evaluation.Machine;
using Kidogo.Models.Passports;
using Kidogo.Training;

namespace Kidogo.Compression.Demo;

internal sealed class DemoReport(DemoFolder folder, DemoOptions options, DemoSettings settings, int threads)
{
    private static readonly string[] s_trained = ["model", "student", "adapter"];

    /// <summary>Writes the report's three forms.</summary>
    public void Write(IReadOnlyList<JudgedModel> models) => Of(models).Write(folder.Path);

    private JudgedReport Of(IReadOnlyList<JudgedModel> judged)
    {
        JudgedModel[] others = [.. judged.Where(model => model.Name is DemoRun.BeforeName or DemoRun.AfterName)];
        JudgedModel[] models = [.. judged.Except(others)];
        JudgedModel first = models[0];
        MachineInfo machine = MachineInfo.Read();
        StepRecord[][] records = [.. s_trained.Select(name => TrainingLog.Read(folder.At(name)).ToArray())];
        string languages = string.Join(", ", settings.Languages.Select(code => VillageLanguage.BuiltIn(code)!.Name));
        string seconds = string.Join(", ", s_trained.Select(step => $"{step} {Seconds(step)}"));
        return new JudgedReport
        {
            Title = "A small language model, from nothing to a file",
            Introduction =
            [
                $"Kidogo wrote small stories about a simulated village ({languages}), trained a tokenizer and a model of {first.Parameters:N0} weights on them, "
                    + $"taught a smaller student, adapted the model to {VillageLanguage.BuiltIn(settings.SecondLanguage)!.Name} and made it smaller in "
                    + $"{DemoVariant.All.Count} ways. Every number was measured in this run.",
                .. Overheard(),
                $"Each model was asked {first.Questions} questions about {settings.JudgedStories} stories that never occur in training. The model answers "
                    + $"{ReportColumns.Percent(first.QuestionAccuracy)} right; the best guess that does not read the story gets "
                    + $"{ReportColumns.Percent(first.BaselineAccuracy)}. Perplexity and divergence are of the right answers' tokens.",
            ],
            Path = Way(models, others, records[0].Length),
            Models = models,
            Others = others,
            Curves =
            [
                .. s_trained.Zip(records, (name, steps) =>
                    new ReportCurve(name, [.. steps.Where(record => double.IsFinite(record.Loss)).Select(record => ((double)record.Step, record.Loss))])),
            ],
            Facts =
            [
                ("processor", $"{machine.Processor}, {threads} threads"),
                ("instructions", string.Join(", ", machine.Instructions.Where(tier => tier.IsUsed).Select(tier => tier.Name))),
                ("system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}"),
                ("Kidogo", PassportRecipe.ThisProgram),
                ("seed", options.Seed.ToString(CultureInfo.InvariantCulture)),
                ("training took", seconds),
                ("the same numbers", "come out of the same seed on the same kind of processor; speeds, times and memory may differ"),
            ],
            Commands =
            [
                $"kidogo demo{(options.Length switch { DemoLength.Quick => " --quick", DemoLength.Long => " --long", _ => "" })} --seed {options.Seed}",
                $"kidogo run {Path.Combine(options.Folder, DemoRun.TalkName)} --temperature 0 \"{(first.Samples is [var sample, ..] ? sample.Prompt : "")}\"",
                $"kidogo eval village {Path.Combine(options.Folder, DemoRun.TalkName)} --level {(settings.Level == VillageLevel.Simple ? "simple" : "full")} --stories {settings.JudgedStories} --seed {options.Seed}",
            ],
        };
    }

    /// <summary>What the model knew of the second language before it was adapted.</summary>
    private string[] Overheard() => settings.Languages.Contains(settings.SecondLanguage) ? [] :
    [
        $"{ReportColumns.Percent(settings.Overheard)} of what the model read was plain text in {VillageLanguage.BuiltIn(settings.SecondLanguage)!.Name}: enough to know the words, not to answer. An adapter leaves the words' vectors as they are, "
            + "so it can teach only a language whose words a model has met.",
    ];

    private List<ReportStation> Way(JudgedModel[] models, JudgedModel[] others, int steps)
    {
        int stories = (settings.Stories * settings.Languages.Count) + settings.SecondStories;
        List<ReportStation> way =
        [
            new("texts", $"{stories:N0} stories in {Seconds("texts")}", 0), new("tokenizer", $"in {Seconds("tokenizer")}", 0),
            new("model", $"{models[0].Parameters:N0} weights, {steps:N0} steps in {Seconds("model")}", 0),
        ];
        way.AddRange(models.Skip(1).Select(model => new ReportStation(model.Name, $"{model.Made}; {model.Bytes / 1e3:N0} kB", 1)));
        way.AddRange(others.Skip(1).Select(model => new ReportStation("adapter", $"LoRA of rank {settings.AdapterRank} for {model.JudgedOn}, {Seconds("adapter")}", 1)));
        way.Add(new ReportStation("report", "all of them judged on the same questions", 0));
        return way;
    }

    private string Seconds(string step) => string.Create(CultureInfo.InvariantCulture, $"{folder.TimeOf(step)?.TotalSeconds ?? 0:0.0} s");
}
