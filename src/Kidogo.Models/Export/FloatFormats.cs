// The plain formats, which every converter needs by name. Knows how they are rounded to.
using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Formats;

namespace Kidogo.Models.Export;

/// <summary>Float32, float16 and bfloat16.</summary>
public static class FloatFormats
{
    /// <summary>Float32.</summary>
    public static WeightFormat F32 { get; } = WeightFormats.ForName("F32")!;

    /// <summary>IEEE binary16.</summary>
    public static WeightFormat F16 { get; } = WeightFormats.ForName("F16")!;

    /// <summary>The upper half of a float32.</summary>
    public static WeightFormat BF16 { get; } = WeightFormats.ForName("BF16")!;

    /// <summary>Whether a format is one of them.</summary>
    public static bool IsPlain(WeightFormat format) => format == F32 || format == F16 || format == BF16;

    /// <summary>Rounds to the nearest value of a plain format, ties to even.</summary>
    internal static void Encode(WeightFormat format, ReadOnlySpan<float> values, Span<byte> destination)
    {
        if (format == F32)
        {
            MemoryMarshal.AsBytes(values).CopyTo(destination);
        }
        else if (format == F16)
        {
            TensorPrimitives.ConvertToHalf(values, MemoryMarshal.Cast<byte, Half>(destination));
        }
        else if (format == BF16)
        {
            for (int i = 0; i < values.Length; i++)
            {
                uint bits = BitConverter.SingleToUInt32Bits(values[i]);
                uint rounded = float.IsNaN(values[i]) ? bits | 0x400000 : bits + 0x7FFF + ((bits >> 16) & 1);
                BinaryPrimitives.WriteUInt16LittleEndian(destination[(2 * i)..], (ushort)(rounded >> 16));
            }
        }
        else
        {
            throw new NotSupportedException($"{format.Name} is no plain format.");
        }
    }
}
