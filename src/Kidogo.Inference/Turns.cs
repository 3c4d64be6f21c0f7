// Who computes when, with a model that computes one pass at a time for many callers. Knows no model.
using Kidogo.Inference.Scheduling;

namespace Kidogo.Inference;

/// <summary>Lets long lists and short ones take turns, and refuses calls when too many wait. Safe for several threads.</summary>
/// <param name="queueLength">Calls that may wait while another computes; one more is refused.</param>
/// <param name="end">Called once, after the last turn.</param>
internal sealed class Turns(int queueLength, Action end) : IDisposable
{
    private const int ItemsOfTurn = 64;

    private readonly SemaphoreSlim _turn = new(1);
    private int _waiting;
    private bool _isOver;

    /// <summary>Computes a list, some of it in each turn.</summary>
    /// <param name="count">Items of the list.</param>
    /// <param name="compute">Computes the items of a range; called on a thread of the pool.</param>
    /// <param name="cancellation">Looked at between turns, and while it waits.</param>
    /// <exception cref="QueueFullException">Too many wait already.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">There are no more turns.</exception>
    public async Task<T[]> RunAsync<T>(int count, Func<Range, T[]> compute, CancellationToken cancellation)
    {
        T[] results = new T[count];
        if (Interlocked.Increment(ref _waiting) > queueLength + 1L)
        {
            Interlocked.Decrement(ref _waiting);
            throw new QueueFullException(queueLength, TimeSpan.FromSeconds(1));
        }

        try
        {
            for (int first = 0; first < count; first += ItemsOfTurn)
            {
                Range range = first..Math.Min(first + ItemsOfTurn, count);
                await _turn.WaitAsync(cancellation).ConfigureAwait(false);
                try
                {
                    ObjectDisposedException.ThrowIf(_isOver, this);
                    (await Task.Run(() => compute(range), cancellation).ConfigureAwait(false)).CopyTo(results, first);
                }
                finally
                {
                    _turn.Release();
                }
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }

        return results;
    }

    /// <summary>Waits for the pass that runs, and gives no more turns; who waits still is told.</summary>
    public void Dispose()
    {
        _turn.Wait();
        try
        {
            if (!_isOver)
            {
                _isOver = true;
                end();
            }
        }
        finally
        {
            _turn.Release();
        }
    }
}
