// What is wrong with a calibration. Knows no files.
namespace Kidogo.Compression.Calibration;

/// <summary>A calibration file is damaged or of another model, or what a model computes on the text cannot be used.</summary>
public sealed class CalibrationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What was found, what was expected, and what to do.</param>
    /// <param name="inner">What caused it, if anything did.</param>
    public CalibrationException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
