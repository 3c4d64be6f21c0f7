// F32: plain float32. GGUF type 0.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Formats;

/// <summary>One float32 (IEEE 754 binary32).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct F32 : IWeightBlock<F32>
{
    /// <summary>The weight.</summary>
    public float Value;

    /// <inheritdoc/>
    public static string Name => "F32";

    /// <inheritdoc/>
    public static uint GgufTypeId => 0;

    /// <inheritdoc/>
    public static int BlockSize => 1;

    /// <inheritdoc/>
    public static int BlockBytes => 4;

    /// <inheritdoc/>
    public static void Decode(in F32 block, Span<float> destination)
    {
        destination[0] = block.Value;
    }

    /// <inheritdoc/>
    public static void DecodeAll(ReadOnlySpan<F32> blocks, Span<float> destination) => MemoryMarshal.Cast<F32, float>(blocks).CopyTo(destination);

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<F32> blocks) => row.CopyTo(MemoryMarshal.Cast<F32, float>(blocks));
}
