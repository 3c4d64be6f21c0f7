// Puts values back into an answer that comes in pieces. Knows no wire.
namespace Kidogo.Privacy;

/// <summary>Restores a stream: a placeholder that is cut between two pieces is held back until it is whole.</summary>
/// <param name="placeholders">What stands for what.</param>
/// <param name="isJson">Whether the answer is JSON, so that values are escaped.</param>
public sealed class StreamRestorer(Placeholders placeholders, bool isJson = false)
{
    private string _held = "";

    /// <summary>Takes a piece.</summary>
    /// <returns>What can be shown now; may be empty.</returns>
    public string Take(string piece)
    {
        string text = _held + piece;
        int certain = placeholders.Certain(text);
        _held = text[certain..];
        return placeholders.Restore(text[..certain], isJson);
    }

    /// <summary>What was held back, at the end.</summary>
    public string End()
    {
        string rest = placeholders.Restore(_held, isJson);
        _held = "";
        return rest;
    }
}
