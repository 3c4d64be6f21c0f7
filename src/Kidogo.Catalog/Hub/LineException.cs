// What goes wrong on the way and may go well next time. Knows no file.
using System.Net.Http.Headers;

namespace Kidogo.Catalog.Hub;

/// <summary>The line failed, or the hub asks to come again: worth another attempt.</summary>
internal sealed class LineException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    private static readonly TimeSpan s_longestWish = TimeSpan.FromMinutes(2);

    /// <summary>How long the hub asks to wait; null where it does not.</summary>
    public TimeSpan? Wish { get; private init; }

    /// <summary>With the wish of an answer, of which no more than two minutes are granted.</summary>
    public static LineException Of(string message, RetryConditionHeaderValue? wish, TimeProvider clock)
    {
        TimeSpan? wait = wish?.Delta ?? (wish?.Date is { } date ? date - clock.GetUtcNow() : null);
        return new LineException(message) { Wish = wait is { } time ? TimeSpan.FromTicks(Math.Clamp(time.Ticks, 0, s_longestWish.Ticks)) : null };
    }
}

/// <summary>Counts attempts that brought nothing new, and pauses between them: each pause twice as long as the last.</summary>
/// <param name="settings">How patiently.</param>
/// <param name="attempts">How many attempts in a row may bring nothing.</param>
/// <param name="clock">The clock that pauses go by.</param>
internal sealed class Patience(HubSettings settings, int attempts, TimeProvider clock)
{
    private const int MostDoublings = 6;
    private int _failures;

    /// <summary>Something new came: the count begins again.</summary>
    public void Progress() => _failures = 0;

    /// <summary>Waits before the next attempt.</summary>
    /// <exception cref="HubException">That was the last one.</exception>
    public async Task PauseAsync(LineException failure, string what, CancellationToken cancellation)
    {
        if (++_failures >= attempts)
        {
            throw new HubException($"{what}: {failure.Message} That was attempt {_failures} without anything new. The same command goes on with what has come.", failure) { IsUnreachable = true };
        }

        TimeSpan pause = settings.FirstPause * Math.Pow(2, Math.Min(_failures - 1, MostDoublings));
        await Task.Delay(failure.Wish is { } wish && wish > pause ? wish : pause, clock, cancellation).ConfigureAwait(false);
    }
}
