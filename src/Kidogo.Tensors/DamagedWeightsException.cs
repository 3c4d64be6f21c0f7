// What is thrown where numbers show that a model's weights are damaged. Knows no model.
namespace Kidogo.Tensors;

/// <summary>A value that has to be finite is not: the weights that it was computed with are damaged.</summary>
public sealed class DamagedWeightsException(string message) : InvalidOperationException(message);
