// A named place of weights in a model. Knows neither what the weights are stored as nor what surrounds it.
namespace Kidogo.Models.Layers;

/// <summary>Something with weights that sits in a named slot of a model, and can be replaced there.</summary>
/// <param name="name">The slot: GGUF's tensor name without its ending, <c>blk.0.attn_q</c>.</param>
public abstract class Layer(string name)
{
    /// <summary>The slot: GGUF's tensor name without its ending, <c>blk.0.attn_q</c>.</summary>
    public string Name => name;

    /// <summary>Number of weights, biases included.</summary>
    public abstract long ParameterCount { get; }

    /// <summary>Bytes of memory that the weights hold beside the mapped file.</summary>
    public abstract long MemoryBytes { get; }
}

/// <summary>Goes over the slots of a model, and may put something else into each.</summary>
public interface ISlotVisitor
{
    /// <summary>Called for every slot, in the order of computation.</summary>
    void Visit<TLayer>(ref TLayer slot)
        where TLayer : Layer;
}
