// What OpenTelemetry would be told: every instrument with its unit and attributes, spans by the conventions, and nothing of what people write.
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Kidogo.Inference.Telemetry;

namespace Kidogo.ServingTests;

public sealed class TelemetryTests
{
    private const string Secret = "siri-kubwa-sana";

    [Fact]
    public async Task Requests_AreMeasuredWithoutContents()
    {
        ConcurrentBag<(string Name, string? Unit, double Value, string Tags)> measured = [];
        ConcurrentBag<Activity> spans = [];
        using MeterListener meters = new() { InstrumentPublished = (instrument, listener) => { if (instrument.Meter.Name == ModelTelemetry.SourceName) { listener.EnableMeasurementEvents(instrument); } } };
        meters.SetMeasurementEventCallback<double>((instrument, value, tags, _) => measured.Add((instrument.Name, instrument.Unit, value, TagsOf(tags))));
        meters.SetMeasurementEventCallback<long>((instrument, value, tags, _) => measured.Add((instrument.Name, instrument.Unit, value, TagsOf(tags))));
        meters.Start();
        using ActivityListener activities = new() { ShouldListenTo = source => source.Name == ModelTelemetry.SourceName, Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData, ActivityStopped = spans.Add };
        ActivitySource.AddActivityListener(activities);

        string model = $"m{Guid.NewGuid():N}"; // other tests run beside this one
        using Tests.Models.Files.TestFolder folder = new();
        await using TestServer server = await TestServer.StartAsync(model: TinyModel.Serve(folder.Write("tiny.gguf", TinyModel.File()), new Inference.Scheduling.SchedulerOptions(), model));
        await server.PostJsonAsync("/v1/chat/completions", $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"{Secret}\"}}],\"temperature\":0,\"max_tokens\":7,\"stop\":[\"{Secret}\"],\"user\":\"{Secret}\"}}");
        await server.PostStreamAsync("/v1/completions", $"{{\"prompt\":\"{Secret}\",\"temperature\":0,\"max_tokens\":5,\"stream\":true}}");
        await server.PostJsonAsync("/v1/completions", $"{{\"prompt\":\"{new string('a', 600)}\"}}", 400);

        (string Name, string? Unit, double Value, string Tags)[] own = [.. measured.Where(each => each.Tags.Contains($"gen_ai.request.model={model}", StringComparison.Ordinal))];
        Assert.Equal([5, 7, Secret.Length], own.Where(each => each.Name == "gen_ai.client.token.usage" && (each.Tags.Contains("type=output", StringComparison.Ordinal) || each.Tags.Contains("text_completion", StringComparison.Ordinal))).Select(each => (int)each.Value).Order());
        Assert.Equal(3, own.Count(each => each is { Name: "gen_ai.server.request.duration", Unit: "s" }));
        Assert.Contains(own, each => each.Name == "gen_ai.server.request.duration" && each.Tags.Contains("error.type=context_length_exceeded", StringComparison.Ordinal));
        Assert.Equal(2, own.Count(each => each is { Name: "gen_ai.server.time_to_first_token", Unit: "s", Value: > 0 }));
        Assert.Equal(2, own.Count(each => each is { Name: "gen_ai.server.time_per_output_token", Unit: "s", Value: >= 0 }));
        Assert.All(own, each => Assert.Contains("gen_ai.provider.name=kidogo", each.Tags, StringComparison.Ordinal));

        Activity chat = Assert.Single(spans, span => span.DisplayName == $"chat {model}");
        Assert.Equal(("chat", 7, 7), (chat.GetTagItem("gen_ai.operation.name"), chat.GetTagItem("gen_ai.request.max_tokens"), (int)(long)chat.GetTagItem("gen_ai.usage.output_tokens")!));
        Assert.Equal(["length"], (string[])chat.GetTagItem("gen_ai.response.finish_reasons")!);
        Assert.Equal(2, spans.Count(span => span.DisplayName == $"text_completion {model}"));
        Assert.DoesNotContain(spans.SelectMany(span => span.TagObjects), tag => $"{tag.Value}".Contains(Secret, StringComparison.Ordinal));
        Assert.DoesNotContain(own, each => each.Tags.Contains(Secret, StringComparison.Ordinal));
    }

    private static string TagsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string text = "";
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            text += $"{tag.Key}={tag.Value};";
        }

        return text;
    }
}
