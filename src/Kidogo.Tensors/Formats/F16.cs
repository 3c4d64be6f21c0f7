// F16: plain float16. GGUF type 1.
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>One float16 (IEEE 754 binary16).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct F16 : IWeightBlock<F16>
{
    /// <summary>The weight.</summary>
    public Half Value;

    /// <inheritdoc/>
    public static string Name => "F16";

    /// <inheritdoc/>
    public static uint GgufTypeId => 1;

    /// <inheritdoc/>
    public static int BlockSize => 1;

    /// <inheritdoc/>
    public static int BlockBytes => 2;

    /// <inheritdoc/>
    public static void Decode(in F16 block, Span<float> destination)
    {
        destination[0] = (float)block.Value;
    }

    /// <inheritdoc/>
    public static void DecodeAll(ReadOnlySpan<F16> blocks, Span<float> destination) =>
        TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<F16, Half>(blocks), destination);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>Rounds to nearest, ties to even; from 65520 on the result is infinite.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<F16> blocks) =>
        TensorPrimitives.ConvertToHalf(row, MemoryMarshal.Cast<F16, Half>(blocks));
}
