// The weights of a model as an optimiser sees them: named tensors. Knows no optimiser and no files.
using Kidogo.Models.Adapters;
using Kidogo.Models.Layers;
using Kidogo.Tensors;

namespace Kidogo.Models;

/// <summary>A weight that is trained.</summary>
/// <param name="Name">GGUF's tensor name, <c>blk.0.attn_q.weight</c>.</param>
/// <param name="Values">The values, with their gradient. A matrix is [outputs, inputs], a vector one row.</param>
/// <param name="IsMatrix">Whether it has two dimensions: not so norms and biases, which are not decayed by default.</param>
public sealed record ModelParameter(string Name, Tensor Values, bool IsMatrix)
{
    /// <summary>Whether it is a table that ids are looked up in (which a tied head also multiplies with).</summary>
    public bool IsEmbedding { get; init; }

    /// <summary>The shape: [rows, columns], or [length].</summary>
    public IReadOnlyList<int> Shape => IsMatrix ? [Values.Rows, Values.Columns] : [Values.Length];
}

/// <summary>Makes models trainable, and lists what is trained.</summary>
public static class ModelParameters
{
    /// <summary>Makes the weights of slots trainable: matrices are decoded to float32, whatever they are stored as.</summary>
    /// <param name="model">The model. Weights that are taken out are disposed.</param>
    /// <param name="trains">Which slots; null for all.</param>
    /// <returns>All that is trained now, in the order of computation.</returns>
    public static IReadOnlyList<ModelParameter> MakeTrainable(DecoderModel model, Func<Layer, bool>? trains = null)
    {
        model.Replace(layer => trains is null || trains(layer) ? Trainable(layer) : layer);
        return Of(model);
    }

    /// <summary>All weights of a model that are trained, in the order of computation; a tied head is its embedding.</summary>
    public static IReadOnlyList<ModelParameter> Of(DecoderModel model)
    {
        List<ModelParameter> parameters = [];
        foreach (Layer layer in model.Slots())
        {
            switch (layer)
            {
                case TokenEmbedding embedding:
                    AddMatrix(layer.Name, embedding.Weight, isEmbedding: true);
                    break;
                case Linear linear:
                    AddMatrix(layer.Name, linear.Weight, isEmbedding: false);
                    AddVector($"{layer.Name}.bias", linear.Bias);
                    foreach (SlotChange change in (linear as AdaptedLinear)?.Trained ?? [])
                    {
                        parameters.Add(new ModelParameter($"{layer.Name}.lora_a", change.Change.A, IsMatrix: true));
                        parameters.Add(new ModelParameter($"{layer.Name}.lora_b", change.Change.B, IsMatrix: true));
                        AddVector($"{layer.Name}.lora_magnitude_vector", change.Magnitudes);
                    }

                    break;
                case RmsNorm norm:
                    AddVector($"{layer.Name}.weight", norm.Weight);
                    break;
                case LayerNorm norm:
                    AddVector($"{layer.Name}.weight", norm.Weight);
                    AddVector($"{layer.Name}.bias", norm.Bias);
                    break;
                default:
                    throw new NotSupportedException($"The slot {layer.Name} holds a {layer.GetType().Name}, whose weights are unknown here.");
            }
        }

        return parameters;

        void AddMatrix(string slot, Weight weight, bool isEmbedding)
        {
            if (weight is TrainableWeight { Values: var values })
            {
                parameters.Add(new ModelParameter($"{slot}.weight", values, IsMatrix: true) { IsEmbedding = isEmbedding });
            }
        }

        void AddVector(string name, Tensor? values)
        {
            if (values is { IsParameter: true })
            {
                parameters.Add(new ModelParameter(name, values, IsMatrix: false));
            }
        }
    }

    private static Layer Trainable(Layer layer)
    {
        switch (layer)
        {
            case TokenEmbedding embedding:
                return embedding.Weight is TrainableWeight ? layer : new TokenEmbedding(layer.Name, Decoded(embedding.Weight), embedding.Scale);
            case Linear { IsPlain: true } linear:
                linear.Bias?.AsParameter();
                return linear.Weight is TrainableWeight ? layer : new Linear(layer.Name, Decoded(linear.Weight), linear.Bias);
            case RmsNorm norm:
                norm.Weight.AsParameter();
                return layer;
            case LayerNorm norm:
                norm.Weight.AsParameter();
                norm.Bias?.AsParameter();
                return layer;
            default:
                throw new NotSupportedException($"The slot {layer.Name} holds a {layer.GetType().Name}: only plain layers can be made trainable.");
        }
    }

    private static TrainableWeight Decoded(Weight weight)
    {
        Tensor values = new(weight.Rows, weight.Columns);
        for (int row = 0; row < weight.Rows; row++)
        {
            weight.DecodeRow(row, values.Row(row));
        }

        weight.Dispose();
        return new TrainableWeight(values);
    }
}
