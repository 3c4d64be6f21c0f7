// GET /metrics: the schedulers' numbers as Prometheus reads them. Knows no contents and no clients.
using System.Globalization;
using System.Text;
using Kidogo.Inference.Scheduling;

namespace Kidogo.Serving.Api;

/// <summary>Writes metrics.</summary>
internal static class MetricsEndpoint
{
    private static readonly (string Name, string Kind, string Help, Func<SchedulerStatus, double> Value)[] s_metrics =
    [
        ("kidogo_prompt_tokens_total", "counter", "Prompt tokens computed.", status => status.PromptTokens),
        ("kidogo_cached_tokens_total", "counter", "Prompt tokens that were cached.", status => status.CachedTokens),
        ("kidogo_generated_tokens_total", "counter", "Tokens generated.", status => status.GeneratedTokens),
        ("kidogo_prompt_seconds_total", "counter", "Time in passes with parts of prompts.", status => status.PromptTime.TotalSeconds),
        ("kidogo_decode_seconds_total", "counter", "Time in passes that only decoded.", status => status.DecodeTime.TotalSeconds),
        ("kidogo_steps_total", "counter", "Passes through the model.", status => status.Steps),
        ("kidogo_step_sequences_total", "counter", "Sequences of all passes.", status => status.SequenceSteps),
        ("kidogo_sequences_finished_total", "counter", "Sequences that came to their end.", status => status.Finished),
        ("kidogo_sequences_cancelled_total", "counter", "Sequences whose client went away.", status => status.Cancelled),
        ("kidogo_sequences_failed_total", "counter", "Sequences that failed.", status => status.Failed),
        ("kidogo_sequences_refused_total", "counter", "Sequences refused because the queue was full.", status => status.Refused),
        ("kidogo_sequences_active", "gauge", "Sequences that have a place.", status => status.Active),
        ("kidogo_sequences_waiting", "gauge", "Sequences that wait for a place.", status => status.Waiting),
        ("kidogo_places", "gauge", "Places.", status => status.Parallel),
        ("kidogo_idle_cache_bytes", "gauge", "Memory of sequences kept for later prompts.", status => status.IdleCacheBytes),
    ];

    /// <summary>Answers.</summary>
    public static async Task AnswerAsync(ApiCall call)
    {
        IReadOnlyList<Served> loaded = call.Shelf.Loaded;
        (string Label, SchedulerStatus Status)[] models = [.. loaded.OfType<ServedModel>().Select(model => (Escaped(model.Id), model.Scheduler.Status()))];
        StringBuilder text = new();
        foreach ((string name, string kind, string help, Func<SchedulerStatus, double> value) in s_metrics)
        {
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {kind}\n");
            foreach ((string label, SchedulerStatus status) in models)
            {
                text.Append(CultureInfo.InvariantCulture, $"{name}{{model=\"{label}\"}} {value(status)}\n");
            }
        }

        text.Append("# HELP kidogo_model_loaded Whether a model is in memory.\n# TYPE kidogo_model_loaded gauge\n");
        foreach (ModelEntry entry in call.Shelf.Entries)
        {
            text.Append(CultureInfo.InvariantCulture, $"kidogo_model_loaded{{model=\"{Escaped(entry.Id)}\"}} {(loaded.Any(model => model.Id == entry.Id) ? 1 : 0)}\n");
        }

        call.Http.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        await call.Http.Response.BodyWriter.WriteAsync(Encoding.UTF8.GetBytes(text.ToString()), call.Gone).ConfigureAwait(false);
    }

    private static string Escaped(string label) => label.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
