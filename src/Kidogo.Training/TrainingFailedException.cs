// A run that cannot begin or go on. Knows no command line.
namespace Kidogo.Training;

/// <summary>A run cannot begin or go on: it does not fit, its folder is taken, its checkpoint is damaged or of another model, or its loss is no
/// number.</summary>
public sealed class TrainingFailedException : Exception
{
    /// <summary>Says what happened, what was expected and what to do.</summary>
    public TrainingFailedException(string message) : base(message)
    {
    }

    /// <summary>As above, with the cause.</summary>
    public TrainingFailedException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>An exception without a message, which nothing here throws.</summary>
    public TrainingFailedException()
    {
    }
}
