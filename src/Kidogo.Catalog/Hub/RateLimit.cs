// Keeps a download below a number of bytes a second. Knows a clock and nothing else.
namespace Kidogo.Catalog.Hub;

/// <summary>Counts bytes and says how long to wait.</summary>
/// <param name="bytesPerSecond">At most; null for no limit.</param>
/// <param name="clock">The clock.</param>
internal sealed class RateLimit(long? bytesPerSecond, TimeProvider clock)
{
    private const double BurstSeconds = 0.25; // what may come at once after a pause
    private readonly long _start = clock.GetTimestamp();
    private double _paidUntil; // seconds since the start that the bytes so far stand for

    /// <summary>How many bytes to read at once, so that waiting comes in small steps.</summary>
    public int PieceBytes { get; } = bytesPerSecond is { } rate ? (int)Math.Clamp(rate / 16, 1024, 1 << 17) : 1 << 17;

    /// <summary>Counts bytes that came, and returns how long to wait before the next.</summary>
    public TimeSpan Count(int bytes)
    {
        if (bytesPerSecond is not { } rate)
        {
            return TimeSpan.Zero;
        }

        double now = clock.GetElapsedTime(_start).TotalSeconds;
        _paidUntil = Math.Max(_paidUntil, now - BurstSeconds) + ((double)bytes / rate);
        return _paidUntil > now ? TimeSpan.FromSeconds(_paidUntil - now) : TimeSpan.Zero;
    }
}
