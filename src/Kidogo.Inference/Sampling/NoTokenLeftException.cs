// What is thrown where the sampler's settings leave nothing to draw. Knows no settings.
namespace Kidogo.Inference.Sampling;

/// <summary>Biases, penalties or the temperature forbid every token, or make a logit infinite: the logits were sound, the settings are not.</summary>
public sealed class NoTokenLeftException(string message) : InvalidOperationException(message);
