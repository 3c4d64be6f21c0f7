// A few threads that stay ready to do short pieces of work together. Knows nothing of what the work is.
using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Kidogo.Tensors;

/// <summary>Work that a <see cref="WorkerTeam"/> can share: a number of independent items.</summary>
/// <remarks>Items must not depend on which thread does them, nor in which order: then results do not depend on the number of threads.</remarks>
internal abstract class SharedWork
{
    internal int NextItem;

    /// <summary>How many items there are.</summary>
    public int Items { get; set; }

    /// <summary>Does item <paramref name="item"/> on the calling thread, which is number <paramref name="worker"/> of the team.</summary>
    public abstract void Do(int item, int worker);
}

/// <summary>A team of worker threads: the caller and <c>Threads - 1</c> others.</summary>
/// <remarks>
/// A forward pass is a sequence of short steps, down to a few microseconds, so between steps the workers spin, then yield, before they sleep:
/// waking a sleeping thread costs as much as a small matrix product, and where there are more threads than processors, spinning longer would keep a thread that has work off its processor. One caller at a time, and an item may not use the team.
/// <para>
/// Every thread takes part in every work: <see cref="Run"/> returns only after each has counted itself out of <c>_busy</c>, so none can still hold the former work when the
/// next begins, and none can miss a generation. A thread falls asleep by setting its flag and then looking at the generation once more, and a caller raises the generation and
/// then looks at the flag, with full fences between: one of the two always sees the other. Whoever takes the flag down decides: the caller then releases the semaphore,
/// exactly once for a thread that waits or is about to.
/// </para>
/// </remarks>
public sealed class WorkerTeam : IDisposable
{
    private const int HotSpins = 5_000; // about a millisecond: longer than the gap between two tokens
    private const int HotSpinsWhenCrowded = 50; // more threads than processors: the one that is waited for probably needs this processor
    private const int SpinIterations = 4; // 0.1 to 0.2 µs between two looks
    private static readonly TimeSpan s_yieldingTime = TimeSpan.FromMilliseconds(1); // then the machine is left idle

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim[] _wake;
    private readonly int[] _sleeping;
    private readonly int _hotSpins;
    private SharedWork? _work;
    private int _generation;
    private int _busy;
    private int _isRunning;
    private ExceptionDispatchInfo? _failure;
    private bool _disposed;

    /// <summary>Starts the team.</summary>
    /// <param name="threads">Threads in all, the caller's included; 1 or more.</param>
    public WorkerTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _hotSpins = threads <= Environment.ProcessorCount ? HotSpins : HotSpinsWhenCrowded;
        _threads = new Thread[threads - 1];
        _wake = new SemaphoreSlim[threads - 1];
        _sleeping = new int[threads - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int worker = i + 1;
            _wake[i] = new SemaphoreSlim(0);
            _threads[i] = new Thread(() => Serve(worker)) { IsBackground = true, Name = $"kidogo worker {worker}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads in the team, the caller's included.</summary>
    public int Threads => _threads.Length + 1;

    /// <summary>Does all items of <paramref name="work"/> and returns when the last is done.</summary>
    /// <remarks>An exception of an item reaches the caller as it is, whichever thread it came from; items not yet begun are left undone, and the team stays usable.</remarks>
    /// <exception cref="InvalidOperationException">The team is at work already: for another caller, or for the item that asks.</exception>
    internal void Run(SharedWork work)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Interlocked.Exchange(ref _isRunning, 1) != 0)
        {
            throw new InvalidOperationException("Two passes run at once in one context. A context computes one pass at a time: give each thread that computes its own.");
        }

        try
        {
            RunAlone(work);
        }
        finally
        {
            Volatile.Write(ref _isRunning, 0);
        }
    }

    private void RunAlone(SharedWork work)
    {
        if (_threads.Length == 0 || work.Items <= 1)
        {
            for (int item = 0; item < work.Items; item++)
            {
                work.Do(item, 0);
            }

            return;
        }

        work.NextItem = 0;
        _work = work;
        Volatile.Write(ref _busy, _threads.Length);
        Interlocked.Increment(ref _generation); // a full fence: workers that see the new generation see the work
        for (int i = 0; i < _threads.Length; i++)
        {
            if (Interlocked.Exchange(ref _sleeping[i], 0) == 1)
            {
                _wake[i].Release();
            }
        }

        TakeItems(work, 0);
        for (int spins = 0; Volatile.Read(ref _busy) != 0; spins++)
        {
            if (spins < _hotSpins)
            {
                Thread.SpinWait(SpinIterations);
            }
            else
            {
                Thread.Yield(); // the thread that is waited for may need this processor
            }
        }

        _work = null;
        if (_failure is { } failure)
        {
            _failure = null;
            failure.Throw();
        }
    }

    /// <summary>Takes items until none is left. The first failure is kept, and ends the work: nobody takes another item.</summary>
    private void TakeItems(SharedWork work, int worker)
    {
        try
        {
            for (int item = Interlocked.Increment(ref work.NextItem) - 1; item < work.Items; item = Interlocked.Increment(ref work.NextItem) - 1)
            {
                work.Do(item, worker);
            }
        }
        catch (Exception failure)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(failure), null);
            Volatile.Write(ref work.NextItem, work.Items);
        }
    }

    private void Serve(int worker)
    {
        int index = worker - 1;
        int seen = 0;
        while (true)
        {
            long yieldingSince = 0;
            for (int spins = 0; Volatile.Read(ref _generation) == seen; spins++)
            {
                if (spins < _hotSpins)
                {
                    Thread.SpinWait(SpinIterations);
                    continue;
                }

                if (spins == _hotSpins)
                {
                    yieldingSince = Stopwatch.GetTimestamp();
                }

                if (Stopwatch.GetElapsedTime(yieldingSince) < s_yieldingTime)
                {
                    Thread.Yield();
                    continue;
                }

                Interlocked.Exchange(ref _sleeping[index], 1);
                if (Volatile.Read(ref _generation) != seen && Interlocked.Exchange(ref _sleeping[index], 0) == 1)
                {
                    break; // work came between the last look and falling asleep
                }

                _wake[index].Wait();
                spins = -1;
            }

            seen = Volatile.Read(ref _generation);
            if (_disposed)
            {
                return;
            }

            TakeItems(_work!, worker);
            Interlocked.Decrement(ref _busy);
        }
    }

    /// <summary>Ends the threads.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        Interlocked.Increment(ref _generation);
        for (int i = 0; i < _threads.Length; i++)
        {
            if (Interlocked.Exchange(ref _sleeping[i], 0) == 1)
            {
                _wake[i].Release();
            }
        }

        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        foreach (SemaphoreSlim wake in _wake)
        {
            wake.Dispose();
        }
    }
}
