// A team does every item once, hands failures to its caller, and stays usable. Knows no arithmetic.
using Kidogo.Tensors;

namespace Kidogo.KernelTests;

public sealed class WorkerTeamTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60); // a hang, not slowness, is what a test looks for

    [Theory]
    [InlineData(1, 10)]
    [InlineData(2, 0)]
    [InlineData(2, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 100)]
    [InlineData(5, 3)]
    [InlineData(8, 1000)]
    public void Run_AnyItems_DoesEachOnceByAWorkerOfTheTeam(int threads, int items)
    {
        using WorkerTeam team = new(threads);
        Assert.Equal(threads, team.Threads);
        Counting work = new(items) { Items = items };
        for (int round = 1; round <= 20; round++)
        {
            team.Run(work);
            Assert.All(work.Done, done => Assert.Equal(round, done));
        }

        Assert.InRange(work.LargestWorker, 0, threads - 1);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Run_FromWithinAnItem_IsRefusedAndTheTeamStaysUsable(int threads)
    {
        using WorkerTeam team = new(threads);
        Assert.Throws<InvalidOperationException>(() => team.Run(new Nested(team) { Items = 2 }));
        Counting work = new(5) { Items = 5 };
        team.Run(work);
        Assert.All(work.Done, done => Assert.Equal(1, done));
    }

    /// <summary>Each run changes what the items do: a thread that still held the former work, or missed one, would leave a wrong sum.</summary>
    [Theory]
    [InlineData(2, 30_000)]
    [InlineData(3, 5_000)]
    [InlineData(6, 1_000)]
    public void Run_ManyShortWorks_LosesNone(int threads, int rounds) => WithinPatience(() =>
    {
        using WorkerTeam team = new(threads);
        Adding[] works = [new(), new()];
        for (int round = 0; round < rounds; round++)
        {
            Adding work = works[round % 2];
            work.Items = 2 + (round % 7);
            work.Value = round;
            work.Sum = 0;
            team.Run(work);
            Assert.Equal((long)work.Items * round, work.Sum);
        }
    });

    /// <summary>Pauses around the time that workers spin before they sleep.</summary>
    [Fact]
    public void Run_AfterPausesOfEveryLength_WakesSleepingWorkers() => WithinPatience(() =>
    {
        using WorkerTeam team = new(3);
        Meeting work = new(3) { Items = 3 };
        foreach (int milliseconds in new[] { 0, 50, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 1, 100, 0, 3, 5, 7 })
        {
            Thread.Sleep(milliseconds);
            work.Reset();
            team.Run(work); // each item waits for the others, so that all three threads must come
        }
    });

    [Fact]
    public void Run_FailingItems_ReachTheCallerAsTheyAre()
    {
        using WorkerTeam team = new(3);
        for (int failing = 0; failing < 3; failing++)
        {
            Meeting work = new(3) { Items = 3, FailingWorker = failing };
            FormatException failure = Assert.Throws<FormatException>(() => team.Run(work));
            Assert.Equal($"worker {failing}", failure.Message);
            AssertUsable(team);
        }
    }

    [Fact]
    public void Run_AllItemsFail_LeavesNothingBehind()
    {
        foreach (int threads in new[] { 1, 2, 5 })
        {
            using WorkerTeam team = new(threads);
            for (int round = 0; round < 50; round++)
            {
                Assert.Throws<FormatException>(() => team.Run(new Failing { Items = 1 + round }));
                AssertUsable(team);
            }
        }
    }

    [Fact]
    public void Run_FailureInALongWork_LeavesTheRestUndone()
    {
        using WorkerTeam team = new(2);
        Failing work = new() { Items = 1_000_000, After = 10 };
        Assert.Throws<FormatException>(() => team.Run(work));
        Assert.InRange(work.Begun, 11, 100_000);
    }

    [Fact]
    public void Dispose_SpinningSleepingAndNewTeams_Ends() => WithinPatience(() =>
    {
        foreach (int pause in new[] { 0, 2, 60 })
        {
            WorkerTeam team = new(4);
            Thread.Sleep(pause);
            team.Dispose();
            team.Dispose();
            Assert.Throws<ObjectDisposedException>(() => team.Run(new Counting(4) { Items = 4 }));
        }
    });

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void Constructor_NoThreads_Throws(int threads) => Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerTeam(threads));

    private static void AssertUsable(WorkerTeam team)
    {
        Counting work = new(9) { Items = 9 };
        team.Run(work);
        Assert.All(work.Done, done => Assert.Equal(1, done));
    }

    private static void WithinPatience(Action action)
    {
        Task task = Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        if (!((IAsyncResult)task).AsyncWaitHandle.WaitOne(Patience))
        {
            Assert.Fail($"The team hung for {Patience.TotalSeconds} s.");
        }

        task.GetAwaiter().GetResult();
    }

    private sealed class Counting(int items) : SharedWork
    {
        public int[] Done { get; } = new int[items];

        public int LargestWorker { get; private set; }

        public override void Do(int item, int worker)
        {
            Interlocked.Increment(ref Done[item]);
            lock (Done)
            {
                LargestWorker = Math.Max(LargestWorker, worker);
            }
        }
    }

    private sealed class Adding : SharedWork
    {
        public long Value, Sum;

        public override void Do(int item, int worker) => Interlocked.Add(ref Sum, Value);
    }

    /// <summary>Every item waits until as many have begun as there are threads.</summary>
    private sealed class Meeting(int threads) : SharedWork
    {
        private int _begun;

        public int FailingWorker { get; init; } = -1;

        public void Reset() => _begun = 0;

        public override void Do(int item, int worker)
        {
            Interlocked.Increment(ref _begun);
            SpinWait spinner = default;
            while (Volatile.Read(ref _begun) < threads)
            {
                spinner.SpinOnce();
            }

            if (worker == FailingWorker)
            {
                throw new FormatException($"worker {worker}");
            }
        }
    }

    private sealed class Failing : SharedWork
    {
        private int _begun;

        public int After { get; init; }

        public int Begun => _begun;

        public override void Do(int item, int worker)
        {
            if (Interlocked.Increment(ref _begun) > After)
            {
                throw new FormatException("an item");
            }
        }
    }

    private sealed class Nested(WorkerTeam team) : SharedWork
    {
        public override void Do(int item, int worker) => team.Run(this);
    }
}
