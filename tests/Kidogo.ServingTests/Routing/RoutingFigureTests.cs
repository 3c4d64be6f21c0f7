// The router's figures: nothing personal leaves, little else is held back, and calibrated routing against chance on questions about the village.
using System.Text.Json;
using Kidogo.Data.Village;
using Kidogo.Privacy;
using Kidogo.Routing;
using Kidogo.Routing.Policy;
using Kidogo.Routing.Worth;
using Kidogo.TestSupport;
using Microsoft.Extensions.AI;
using Xunit.Abstractions;

namespace Kidogo.ServingTests.Routing;

public sealed class RoutingFigureTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Generated_WithPersonalData_NothingReachesTheUpstream(bool masks)
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        using HybridChatClient client = new(new FixedClient(), Routes.Policy(scripted) with { PersonalData = masks ? PersonalDataRule.Mask : PersonalDataRule.Block });
        foreach ((string text, string secret) in PersonalRequests.With(500))
        {
            int before = scripted.Bodies.Count;
            ChatResponse response = await client.AskAsync(text);
            string? sent = scripted.Bodies.Skip(before).SingleOrDefault();
            Assert.True(sent is null || (masks && !TestServer.Parse(sent).GetProperty("messages").ToString().Contains(secret, StringComparison.OrdinalIgnoreCase) && response.Outcome().Masked > 0), text);
        }

        int held = 0;
        foreach (string text in PersonalRequests.Without(500))
        {
            RouteOutcome outcome = (await client.AskAsync(text)).Outcome();
            if (outcome.IsLocal || outcome.Masked > 0)
            {
                held++;
                output.WriteLine($"held: {text}");
            }
        }

        Assert.InRange(held, 0, 10);
    }

    [SharedFact]
    public async Task NewsSentences_WithPersons_NothingReachesTheUpstream()
    {
        const int OfEach = 50;
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        using HybridChatClient client = new(new FixedClient(), Routes.Policy(scripted));
        int asked = 0, left = 0;
        foreach (string language in (string[])["hau", "swa", "wol", "yor", "zul"])
        {
            foreach ((string text, bool _) in Sentences(language).Where(sentence => sentence.HasPerson).Take(OfEach))
            {
                asked++;
                if (!(await client.AskAsync(text)).Outcome().IsLocal)
                {
                    left++;
                    output.WriteLine($"left: {text}");
                }
            }
        }

        Assert.Equal((250, 0, 0), (asked, left, scripted.Requests));
    }

    [Fact]
    public void Village_CalibratedRouting_ReachesTheLargeModelWithFewerCalls()
    {
        // A small model that is right in three of five and unsure mostly where it is wrong; a large one that is right in 95 of 100.
        CalibrationExample[] examples = [.. Village(1200).Select(each => each.With(new ConfidenceSigns(each.Mean, -each.Mean * 0.7, each.Mean * 2.5)))];
        CalibrationExample[] known = examples[..600], others = examples[600..];
        Assert.InRange(examples.Average(example => example.IsRight ? 1.0 : 0), 0.55, 0.65);
        Calibration calibration = Calibration.Of(known, new CalibrationTarget { Quality = 0.95 }, new ConfidenceRule());
        output.WriteLine(calibration.Draw());
        ConfidenceModel model = calibration.Rule.Model!;
        CalibrationExample[] asked = [.. others.Where(example => model.Score(example.Signs) < calibration.Rule.Threshold)];
        double calls = asked.Length / (double)others.Length;
        double quality = (asked.Sum(example => example.LargeRight) + others.Except(asked).Count(example => example.IsRight)) / others.Length;
        double large = others.Average(example => example.LargeRight), small = others.Average(example => example.IsRight ? 1.0 : 0);
        output.WriteLine($"calls {calls:0.000}, quality {quality:0.000}, small {small:0.000}, large {large:0.000}, random {small + (calls * (large - small)):0.000}");
        Assert.True(quality >= 0.95 * large, $"{quality} of {large}");
        Assert.True(calls <= 0.6, $"{calls}");
        Assert.True(quality > small + (calls * (large - small)) + 0.05, "no better than chance");
        Calibration byCost = Calibration.Of(known, new CalibrationTarget { Calls = 0.2 }, new ConfidenceRule());
        Assert.InRange(others.Count(example => byCost.Rule.Model!.Score(example.Signs) < byCost.Rule.Threshold) / (double)others.Length, 0.15, 0.25);
    }

    [Fact]
    public async Task Village_ThroughTheRouter_IsWhatTheCalibrationSays()
    {
        VillageCase[] cases = [.. Village(1200).DistinctBy(each => each.Item.Prompt)];
        VillageCase[] known = cases[..600], others = cases[600..];
        Calibration calibration = Calibration.Of([.. known.Select(each => each.With(ConfidenceSigns.Of([each.Mean], null)))], new CalibrationTarget { Quality = 0.95 }, new ConfidenceRule());
        Dictionary<string, VillageCase> asked = others.ToDictionary(each => each.Item.Prompt);
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        scripted.Says = prompt => [asked[prompt].Large];
        RoutingOptions policy = Routes.Policy(scripted, RoutePreference.LocalFirst) with
        {
            Confidence = calibration.Rule,
            Privacy = new PrivacyOptions { Except = Enum.GetValues<PersonalKind>().ToHashSet() }, // villagers have names, which would keep every question here
        };
        using HybridChatClient client = new(new FixedClient { Says = prompt => (asked[prompt].Small, asked[prompt].Mean) }, policy);
        int right = 0;
        foreach (VillageCase each in others)
        {
            right += AnswerJudge.IsRight(each.Item, (await client.AskAsync(each.Item.Prompt)).Text) ? 1 : 0;
        }

        double calls = scripted.Requests / (double)others.Length, quality = right / (double)others.Length;
        double large = others.Average(each => AnswerJudge.IsRight(each.Item, each.Large) ? 1.0 : 0), small = others.Average(each => AnswerJudge.IsRight(each.Item, each.Small) ? 1.0 : 0);
        output.WriteLine($"{others.Length} questions: calls {calls:0.000}, quality {quality:0.000}, small {small:0.000}, large {large:0.000}, random {small + (calls * (large - small)):0.000}");
        Assert.True(quality >= 0.95 * large, $"{quality} of {large}");
        Assert.True(calls <= 0.6, $"{calls}");
        Assert.True(quality > small + (calls * (large - small)) + 0.05, "no better than chance");
    }

    [Fact]
    public void Calibration_TooLittleOrAllRight_IsRefused()
    {
        CalibrationExample example = new(new ConfidenceSigns(-1, 1, -2), true, 1);
        Assert.Throws<RoutingException>(() => Calibration.Of([.. Enumerable.Repeat(example, 10)], new CalibrationTarget(), new ConfidenceRule()));
        Assert.Throws<RoutingException>(() => Calibration.Of([.. Enumerable.Repeat(example, 100)], new CalibrationTarget(), new ConfidenceRule()));
    }

    [Fact]
    public void Worth_Rows_AreWhatTheyShouldBe()
    {
        TestItem item = new() { Question = "q", Answers = ["yes"] };
        LocalRun sure = new("yes", new ConfidenceSigns(-0.01, 0, -0.01), 1, 0.5, 10, 20), unsure = new("no", new ConfidenceSigns(-3, 1, -4), 1, 0.5, 10, 20);
        LargeAnswer right = new("Yes.", 2, 20, 10);
        WorthReport report = WorthReport.Of([new(item, sure, right), new(item, unsure, right), new(item, sure, null), new(item, unsure, right)], new ConfidenceRule(), new WorthPrices { Input = 1, Output = 2 }, 80, "estimated", false);
        WorthRow small = report.Rows[0], large = report.Rows[1], routed = report.Rows[2];
        Assert.Equal((0.5, 1.0, 1.0), (small.Quality, large.Quality, routed.Quality));
        Assert.Equal((0.5, 0.5, 1), (small.ShareOfLarge, routed.LocalShare, report.Private));
        Assert.Equal((0.04, 0.02, 0.5), (Math.Round(large.CostPerThousand, 9), Math.Round(routed.CostPerThousand, 9), Math.Round(routed.Saving, 9)));
        Assert.Equal((2.0, 1.75, 2.0), (small.JoulesPerToken, routed.Seconds, large.Slow));
    }

    /// <summary>A question with what both sides say, and how sure the small one is.</summary>
    private sealed record VillageCase(TestItem Item, string Small, string Large, double Mean)
    {
        public CalibrationExample With(ConfidenceSigns signs) => new(signs, AnswerJudge.IsRight(Item, Small), AnswerJudge.IsRight(Item, Large) ? 1 : 0);
    }

    private static IEnumerable<VillageCase> Village(int count)
    {
        VillageGenerator generator = new(new VillageOptions { Language = VillageLanguage.BuiltIn("en")!, Seed = 5 });
        Random random = new(11);
        bool[] known = [.. Enumerable.Range(0, count).Select(index => index % 5 < 3)];
        random.Shuffle(known);
        int made = 0;
        foreach (VillageStory story in generator.Stories(count))
        {
            foreach (VillageQuestion question in story.Questions)
            {
                TestItem item = new() { Question = VillageFiles.Prompt(story, question.Text), Answers = [question.Answer] };
                string Wrong() => question.Choices.First(choice => !AnswerJudge.IsRight(item, choice));
                bool knows = known[made];
                string small = knows ? question.Answer : Wrong(), large = random.NextDouble() < 0.95 ? question.Answer : Wrong();
                double mean = -Math.Exp((knows ? -1.6 : -0.1) + Normal(random)); // one and a half deviations apart
                yield return new VillageCase(item, small, large, mean);
                if (++made == count)
                {
                    yield break;
                }
            }
        }
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(Math.Tau * random.NextDouble());

    private static IEnumerable<(string Text, bool HasPerson)> Sentences(string language)
    {
        foreach (string line in File.ReadLines(SharedFolder.PathOf($"eval/names-{language}.jsonl")))
        {
            using JsonDocument document = JsonDocument.Parse(line);
            string text = string.Join(' ', document.RootElement.GetProperty("tokens").EnumerateArray().Select(token => token.GetString()));
            yield return (text, document.RootElement.GetProperty("tags").EnumerateArray().Any(tag => tag.GetString()!.EndsWith("PER", StringComparison.Ordinal)));
        }
    }
}
