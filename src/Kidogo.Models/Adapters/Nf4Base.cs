// A base brought to NF4 in memory, as QLoRA trains over it. Knows no files.
using Kidogo.Models.Layers;
using Kidogo.Tensors;

namespace Kidogo.Models.Adapters;

/// <summary>Replaces the linear layers of a model by the same in NF4.</summary>
public static class Nf4Base
{
    /// <summary>Rounds all linear layers but the head (arXiv 2305.14314, section 3). Not while a pass runs.</summary>
    /// <param name="model">The model. Weights that are taken out are disposed.</param>
    /// <param name="isDouble">Whether the scales of blocks are quantised too.</param>
    /// <exception cref="Kidogo.Tensors.Formats.WeightEncodingException">A weight is not finite.</exception>
    public static void Apply(DecoderModel model, bool isDouble) => model.Replace(layer =>
    {
        if (layer is not Linear { IsPlain: true } linear || linear.Name == "output")
        {
            return layer;
        }

        Linear rounded = new(linear.Name, Weight.AsNf4(linear.Weight, isDouble), linear.Bias);
        linear.Weight.Dispose();
        return rounded;
    });
}
