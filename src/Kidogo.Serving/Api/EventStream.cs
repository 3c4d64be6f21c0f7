// Server-sent events: one JSON value an event, comments while there is nothing to say. Knows no shapes.
using System.Text.Json;
using System.Threading.Channels;
using Kidogo.Text;
using Microsoft.AspNetCore.Http;

namespace Kidogo.Serving.Api;

/// <summary>Writes a stream of events, and reads the steps that they are made of.</summary>
/// <param name="http">The exchange.</param>
/// <param name="heartbeat">After how long without an event a comment is sent, so that nobody takes the connection for dead.</param>
/// <param name="patience">How long the client may read nothing while there is more than buffers hold; then it counts as gone. (Kestrel's own limit grows with all that was sent before.)</param>
internal sealed class EventStream(HttpContext http, TimeSpan heartbeat, TimeSpan patience)
{
    /// <summary>Whether the answer has begun, so that its status is settled.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>Waits for steps; writes comments meanwhile.</summary>
    /// <param name="steps">What is waited for.</param>
    /// <param name="beforeComment">Called where a comment begins the answer, while its headers can still be changed.</param>
    /// <returns>Whether there are any; false at the end.</returns>
    /// <exception cref="OperationCanceledException">The client has gone.</exception>
    public async Task<bool> WaitAsync<T>(ChannelReader<T> steps, Action? beforeComment = null)
    {
        await FlushAsync().ConfigureAwait(false);
        Task<bool> ready = steps.WaitToReadAsync(http.RequestAborted).AsTask();
        while (!ready.IsCompleted)
        {
            using CancellationTokenSource stop = new();
            Task pause = Task.Delay(heartbeat, stop.Token);
            if (await Task.WhenAny(ready, pause).ConfigureAwait(false) == pause)
            {
                if (!HasBegun)
                {
                    beforeComment?.Invoke();
                }

                Begin();
                Append(http.Response.BodyWriter, ": still here\n\n"u8);
                await FlushAsync().ConfigureAwait(false);
            }

            await stop.CancelAsync().ConfigureAwait(false);
        }

        return await ready.ConfigureAwait(false);
    }

    /// <summary>Adds an event; it goes out with the next wait.</summary>
    /// <param name="write">Writes its data.</param>
    /// <param name="name">Its name, where events have such.</param>
    public void Add(Action<Utf8JsonWriter> write, string? name = null)
    {
        Begin();
        System.IO.Pipelines.PipeWriter body = http.Response.BodyWriter;
        if (name is not null)
        {
            Append(body, System.Text.Encoding.ASCII.GetBytes($"event: {name}\n"));
        }

        Append(body, "data: "u8);
        using (Utf8JsonWriter json = new(body, JsonBuilding.Options))
        {
            write(json);
        }

        Append(body, "\n\n"u8);
    }

    /// <summary>Adds the mark that a stream of chunks is whole.</summary>
    public void AddDone()
    {
        Begin();
        Append(http.Response.BodyWriter, "data: [DONE]\n\n"u8);
    }

    /// <summary>Sends what was added.</summary>
    /// <exception cref="OperationCanceledException">The client has gone, or reads nothing.</exception>
    public async Task FlushAsync()
    {
        if (!HasBegun)
        {
            return;
        }

        ValueTask<System.IO.Pipelines.FlushResult> flush = http.Response.BodyWriter.FlushAsync(http.RequestAborted);
        if (flush.IsCompletedSuccessfully)
        {
            return;
        }

        try
        {
            await flush.AsTask().WaitAsync(patience).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            http.Abort();
            await Task.Delay(Timeout.Infinite, http.RequestAborted).ConfigureAwait(false); // until it is known everywhere
        }
    }

    private static void Append(System.IO.Pipelines.PipeWriter body, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(body.GetSpan(bytes.Length));
        body.Advance(bytes.Length);
    }

    private void Begin()
    {
        if (HasBegun)
        {
            return;
        }

        HasBegun = true;
        http.Response.ContentType = "text/event-stream; charset=utf-8";
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers["X-Accel-Buffering"] = "no"; // a proxy in front shall not collect the events
    }
}
