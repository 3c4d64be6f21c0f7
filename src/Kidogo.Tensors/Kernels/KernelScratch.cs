// Buffers that one thread computes in. Knows nothing of what they hold.
namespace Kidogo.Tensors.Kernels;

/// <summary>Growing buffers of one thread: allocated once for the largest use, then used again.</summary>
internal sealed class KernelScratch
{
    private readonly Tensor _panel = new();
    private readonly Tensor _outputs = new();
    private readonly Tensor _row = new();

    /// <summary>Room for a decoded panel of weights.</summary>
    public Span<float> Panel(int length) => Sized(_panel, length);

    /// <summary>Room for the outputs of a panel that is short of rows.</summary>
    public Span<float> Outputs(int length) => Sized(_outputs, length);

    /// <summary>Room for a row.</summary>
    public Span<float> Row(int length) => Sized(_row, length);

    private static Span<float> Sized(Tensor tensor, int length)
    {
        tensor.Reshape(1, length);
        return tensor.Span;
    }
}
