// What kidogo learn learns from, when it refuses what it learned, and the way back.
using System.Text.Json;
using Kidogo.Cli.Learning;
using Kidogo.Privacy;
using Kidogo.Serving.Feedback;
using Kidogo.ServingTests;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.EndToEndTests.Learning;

public sealed class LearnTests
{
    private static readonly string[] s_things = ["maize", "water", "bread", "stone", "grass", "cloud", "paper", "cloth", "metal", "sugar"];
    private static readonly GateScores s_good = new(2, 1.9, 10, 10.1, [40, 12, 80], 0);

    [Fact]
    public void Select_PersonalRepeatedAndTooManyOfOne_AreLeftOutAndCounted()
    {
        List<RatedAnswer> ratings = [.. Enumerable.Range(0, 100).Select(i => Rated(i < 60 ? "a" : i < 80 ? "b" : i < 90 ? "c" : "d", i, i % 2 == 0))];
        ratings.Add(Rated("b", 0, true)); // the same answer, rated earlier
        ratings.Add(Rated("b", 200, true) with { Messages = [new ChatMessage("user", "write to amina.juma@example.org please"), new ChatMessage("assistant", "done")] });
        ratings.Add(Rated("b", 201, true) with { Correction = "call +255 712 345 678" });
        Selection selection = Selection.Of(ratings, "tiny", new PersonalDataFinder(), 0.25);
        Assert.Equal((103, 2, 1), (selection.Ratings, selection.Personal, selection.Repeated));
        Assert.Equal(35, selection.OverShare); // 60 of one, where a quarter of 100 may be
        Example[] all = [.. selection.Training, .. selection.HeldOut];
        Assert.Equal(65, all.Length);
        Assert.Equal(25, all.Count(example => example.Owner == "a"));
        Assert.Empty(selection.Training.Select(example => example.Place).Intersect(selection.HeldOut.Select(example => example.Place)));
        Assert.InRange(selection.HeldOut.Count, 5, 25);
        Selection again = Selection.Of([.. ratings.Skip(50)], "tiny", new PersonalDataFinder(), 1);
        Assert.Empty(again.Training.Select(example => example.Key).Intersect(selection.HeldOut.Select(example => example.Key))); // held out for ever
    }

    [Fact]
    public void Select_Correction_IsLikedAndWhatItCorrectsIsNot()
    {
        Selection selection = Selection.Of([Rated("", 1, true) with { Correction = "it is better" }], "tiny", new PersonalDataFinder(), 0.25);
        Assert.Equal([("it is better", true), (Rated("", 1, true).Messages[^1].Content, false)], selection.Training.Concat(selection.HeldOut).Select(example => (example.Answer, example.IsLiked)).OrderByDescending(each => each.Item2));
    }

    [Fact]
    public void Select_TooFewOrOfOneKind_IsRefusedWithTheNumbers()
    {
        PersonalDataFinder finder = new();
        Assert.Contains("20 are the least", Selection.Of([.. Enumerable.Range(0, 19).Select(i => Rated("", i, true))], "tiny", finder, 1).Refusal(20, LearnMethod.Sft), StringComparison.Ordinal);
        Selection liked = Selection.Of([.. Enumerable.Range(0, 60).Select(i => Rated("", i, true))], "tiny", finder, 1);
        Assert.Null(liked.Refusal(20, LearnMethod.Sft));
        Assert.Contains("--method sft", liked.Refusal(20, LearnMethod.Kto), StringComparison.Ordinal);
        Assert.Contains("judge by", Selection.Of([.. Enumerable.Range(0, 60).Select(i => Rated("", i, false))], "tiny", finder, 1).Refusal(20, LearnMethod.Kto), StringComparison.Ordinal);
    }

    [Fact]
    public void Select_AnswersOfOtherModels_AreLeftOutAndNamed()
    {
        List<RatedAnswer> ratings = [.. Enumerable.Range(0, 12).Select(i => Rated("", i, true) with { Model = i < 5 ? "tiny" : i < 7 ? "tiny:learned" : i < 10 ? "big-cloud" : "tiny2" })];
        Selection selection = Selection.Of(ratings, "tiny", new PersonalDataFinder(), 1);
        Assert.Equal(["chat-0", "chat-1", "chat-2", "chat-3", "chat-4", "chat-5", "chat-6"], selection.Training.Concat(selection.HeldOut)
            .Select(example => ratings.Single(rating => rating.Messages[0].Content == example.Prompt[0].Content).Id).Order(StringComparer.Ordinal));
        Assert.Contains("5 are of answers that another model gave (big-cloud 3, tiny2 2;", selection.Counts, StringComparison.Ordinal);
        Assert.Empty(Selection.Of(ratings, "auto", new PersonalDataFinder(), 1).Training);
    }

    [Fact]
    public void Gate_EachOfItsReasons_RefusesByItself()
    {
        Assert.Empty(s_good.Refusals());
        (GateScores Scores, string Said)[] bad =
        [
            (s_good with { HeldOutAfter = 2.0001 }, "quality falls"), (s_good with { HeldOutAfter = double.NaN }, "quality falls"), (s_good with { GeneralAfter = 10.21 }, "more than 2 %"),
            (s_good with { GeneralAfter = double.NaN }, "more than 2 %"), (s_good with { CanaryRanks = [40, 1, 80] }, "1 of 3 planted canaries"), (s_good with { CanaryRanks = [] }, "no canary"), (s_good with { Personal = 1 }, "personal data"),
        ];
        Assert.All(bad, each => Assert.Contains(each.Said, Assert.Single(each.Scores.Refusals()), StringComparison.Ordinal));
    }

    [Fact]
    public void Canary_PlantedInTheMiddle_IsRankedByWhatIsLikelier()
    {
        Canary canary = Assert.Single(Canary.Draw(1, 7));
        Assert.Equal(Canary.Choices, canary.Candidates.Distinct().Count());
        Assert.Equal(canary.Candidates, Canary.Draw(1, 7)[0].Candidates);
        double[] scores = [.. Enumerable.Range(0, Canary.Choices).Select(i => -(double)i)];
        Canary planted = canary.Plant(scores);
        Assert.Equal((50, 51), (planted.Planted, planted.Rank(scores)));
        scores[50] = 1;
        Assert.Equal(1, planted.Rank(scores));
    }

    [Fact]
    public async Task Learn_FromThumbs_PutsInUseWhatPassesRefusesWhatHarmsAndGoesBack()
    {
        using TemporaryFolder folder = new();
        string model = folder.At("tiny.gguf"), ratings = folder.At("feedback.db"), output = folder.At("learned");
        File.WriteAllBytes(model, TinyModel.File());
        using (FeedbackStore store = FeedbackStore.Open(ratings, new FeedbackLimits()))
        {
            await using TestServer server = await TestServer.StartAsync(change: options => options with { Feedback = store });
            for (int i = 0; i < 60; i++)
            {
                RatedAnswer rated = Rated("", i, i % 3 != 0);
                await server.PostJsonAsync("/v1/feedback", JsonSerializer.Serialize(new
                {
                    id = rated.Id, model = "tiny", rating = rated.IsLiked ? "up" : "down", consent = true, messages = rated.Messages.Select(message => new { role = message.Role, content = message.Content }),
                }));
            }
        }

        string[] learn = ["learn", model, "--feedback", ratings, "--out", output, "--threads", "1", "--seed", "1"];
        Outcome made = KidogoProcess.Run([.. learn, "--method", "sft", "--steps", "8", "--learning-rate", "0.002"]);
        Assert.True(made.ExitCode == 0, made.Output + made.Error);
        Assert.Equal("1\n", File.ReadAllText(Path.Combine(output, "current")));
        string[] files = [.. Directory.EnumerateFiles(Path.Combine(output, "versions", "1")).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors", "manifest.json"], files); // no texts of people
        Assert.False(Directory.Exists(Path.Combine(output, ".work")));
        JsonElement manifest = JsonElement.Parse(File.ReadAllText(Path.Combine(output, "versions", "1", "manifest.json")));
        Assert.True(manifest.GetProperty("accepted").GetBoolean());
        Assert.True(manifest.GetProperty("held_out_nats_after").GetDouble() < manifest.GetProperty("held_out_nats_before").GetDouble());

        Outcome worse = KidogoProcess.Run([.. learn, "--steps", "1", "--learning-rate", "1e-9"]); // as good as the model as it is, and so worse than version 1
        Assert.Equal(1, worse.ExitCode);
        Assert.Contains("quality falls", worse.Output, StringComparison.Ordinal);
        Assert.Contains("Version 1 stays", worse.Output, StringComparison.Ordinal);
        Assert.Equal("1\n", File.ReadAllText(Path.Combine(output, "current")));
        string status = KidogoProcess.Run(["learn", "--out", output, "--status"]).Output;
        Assert.Contains("version 1 is in use", status, StringComparison.Ordinal);
        Assert.Contains("refused: ", status, StringComparison.Ordinal);

        string[] run = ["run", model, "cloud", "--raw", "--temperature", "0", "--max-tokens", "20", "--threads", "1"];
        string bare = KidogoProcess.Run(run).Output;
        Assert.Equal(KidogoProcess.Run([.. run, "--adapter", Path.Combine(output, "versions", "1")]).Output, KidogoProcess.Run([.. run, "--adapter", output]).Output);
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(Path.Combine(output, ".work")).FullName, "data.jsonl"), "what somebody wrote"); // as a run that was killed leaves it
        using (new FileStream(Path.Combine(output, ".lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            Assert.Contains("Another kidogo learn", KidogoProcess.Run(["learn", "--out", output, "--use", "2"]).Error, StringComparison.Ordinal);
        }

        Assert.Contains("had been refused", KidogoProcess.Run(["learn", "--out", output, "--use", "2"]).Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(output, ".work")));
        Assert.Equal(bare, KidogoProcess.Run([.. run, "--adapter", output]).Output); // it has hardly learned
        Assert.Contains("version 1 is in use", KidogoProcess.Run(["learn", "--out", output, "--rollback"]).Output, StringComparison.Ordinal);
        Assert.Contains("version 0", KidogoProcess.Run(["learn", "--out", output, "--rollback"]).Output, StringComparison.Ordinal);
        Assert.Contains("version 0", KidogoProcess.Run([.. run, "--adapter", output]).Error, StringComparison.Ordinal);
        Assert.Contains("no version 9", KidogoProcess.Run(["learn", "--out", output, "--use", "9"]).Error, StringComparison.Ordinal);
        Assert.Contains("1000 are the least", KidogoProcess.Run([.. learn, "--least", "1000"]).Error, StringComparison.Ordinal);
        Assert.Contains("stand alone", KidogoProcess.Run([.. learn, "--rollback"]).Error, StringComparison.Ordinal);
        Assert.Contains("no file", KidogoProcess.Run(["learn", model, "--feedback", folder.At("none.db"), "--out", output]).Error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder.At("none.db")));
    }

    private static RatedAnswer Rated(string owner, int number, bool isLiked)
    {
        string first = s_things[number % 10], second = s_things[number / 10 % 10], third = s_things[number / 100 % 10];
        return new RatedAnswer(owner, $"chat-{number}", "tiny", isLiked, [new ChatMessage("user", $"what goes with {first} and {second} and {third}"), new ChatMessage("assistant", isLiked ? $"{first} goes with {second}" : "i do not know")], null);
    }
}
