// Why a generation ended.
namespace Kidogo.Inference.Output;

/// <summary>Why a generation ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended its turn with an end token.</summary>
    Stop,

    /// <summary>The allowed number of tokens, or the context, was used up.</summary>
    Length,

    /// <summary>The caller cancelled.</summary>
    Cancelled,

    /// <summary>A stop string came.</summary>
    StopString,
}
