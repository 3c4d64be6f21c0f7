// What a sweep tells whoever watches. Knows no terminal.
namespace Kidogo.Training.Sweeps;

/// <summary>Told what goes on in a sweep, and in the run that is on; all methods do nothing until they are overridden.</summary>
public class SweepObserver : TrainingObserver
{
    /// <summary>A run is measured.</summary>
    public virtual void Measuring(SweepRun run, int number, int count)
    {
    }

    /// <summary>All was measured and planned.</summary>
    /// <param name="runs">Runs.</param>
    /// <param name="most">Steps of the longest.</param>
    /// <param name="seconds">What is left takes about so long, at most.</param>
    public virtual void Planned(int runs, long most, double seconds)
    {
    }

    /// <summary>A run goes on.</summary>
    /// <param name="run">The run.</param>
    /// <param name="rung">The rung, from 0.</param>
    /// <param name="rungs">Rungs in all.</param>
    /// <param name="until">The step at which it pauses.</param>
    public virtual void GoesOn(SweepRun run, int rung, int rungs, long until)
    {
    }

    /// <summary>A run has paused or ended, and was judged.</summary>
    public virtual void Judged(SweepRun run, SweepScore score)
    {
    }

    /// <summary>A run is out since it cannot go on.</summary>
    public virtual void Lost(SweepRun run, string reason)
    {
    }

    /// <summary>A rung is over; what was found so far.</summary>
    public virtual void RungOver(SweepResult result)
    {
    }
}
