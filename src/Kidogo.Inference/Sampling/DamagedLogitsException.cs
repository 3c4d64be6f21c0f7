// What is thrown where a model's logits mean nothing. Knows no model.
namespace Kidogo.Inference.Sampling;

/// <summary>Logits of which one is NaN or positive infinity, or all are negative infinity: the weights are damaged, or everything was forbidden.</summary>
public sealed class DamagedLogitsException(string message) : InvalidOperationException(message);
