// Q4_0: 32 weights of 4 bits with one scale. GGUF type 2.
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>32 weights of 4 bits around zero: w = (code - 8) · scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Q4_0 : IWeightBlock<Q4_0>
{
    /// <summary>The scale.</summary>
    public Half Scale;

    /// <summary>Code j in the low nibble of byte j, code j + 16 in the high one.</summary>
    public Bytes16 Codes;

    /// <inheritdoc/>
    public static string Name => "Q4_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 2;

    /// <inheritdoc/>
    public static int BlockSize => 32;

    /// <inheritdoc/>
    public static int BlockBytes => 18;

    /// <inheritdoc/>
    public static void Decode(in Q4_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        Vector128<byte> codes = Vector128.Create<byte>(block.Codes);
        Vector128<sbyte> eight = Vector128.Create((sbyte)8);
        CodeWriter.Write(CodeWriter.Bits(codes, 0, 15).AsSByte() - eight, scale, destination);
        CodeWriter.Write(CodeWriter.Bits(codes, 4, 15).AsSByte() - eight, scale, destination[16..]);
    }
}
