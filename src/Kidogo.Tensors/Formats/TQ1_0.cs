// TQ1_0: 256 ternary weights, five to a byte. GGUF type 34.
using Kidogo.Tensors.Formats.Encoding;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats;

/// <summary>256 weights of -1, 0 or 1 scales: w = (trit - 1) · scale.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct TQ1_0 : IWeightBlock<TQ1_0>
{
    /// <summary>Five trits a byte: byte j of the first 32 holds trits j, j + 32, … j + 128;
    /// byte j of the last 16 holds trits 160 + j, … 160 + j + 64.</summary>
    public Bytes48 Codes;

    /// <summary>Four trits a byte: byte j holds trits 240 + j, 244 + j, 248 + j, 252 + j.</summary>
    public Bytes4 LastCodes;

    /// <summary>The scale.</summary>
    public Half Scale;

    /// <inheritdoc/>
    public static string Name => "TQ1_0";

    /// <inheritdoc/>
    public static uint GgufTypeId => 34;

    /// <inheritdoc/>
    public static int BlockSize => 256;

    /// <inheritdoc/>
    public static int BlockBytes => 54;

    /// <inheritdoc/>
    public static void Decode(in TQ1_0 block, Span<float> destination)
    {
        float scale = (float)block.Scale;
        ReadOnlySpan<byte> codes = block.Codes;
        for (int i = 0; i < 3; i++)
        {
            // The first 32 bytes are one run, whose trits of one digit lie 32 apart; the last 16 are another.
            int stride = i < 2 ? 32 : 16;
            int start = i < 2 ? 16 * i : 160;
            (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(Vector128.Create(codes.Slice(16 * i, 16)));
            for (int n = 0; n < 5; n++)
            {
                CodeWriter.Write(NextTrits(ref low, ref high), scale, destination.Slice(start + (n * stride), 16));
            }
        }

        uint last = MemoryMarshal.Read<uint>(block.LastCodes);
        Vector128<ushort> four = Vector128.WidenLower(Vector128.CreateScalar(last).AsByte());
        Vector128<ushort> none = default;
        Span<float> sixteen = stackalloc float[16];
        for (int n = 0; n < 4; n++)
        {
            CodeWriter.Write(NextTrits(ref four, ref none), scale, sixteen);
            sixteen[..4].CopyTo(destination.Slice(240 + (4 * n), 4));
        }
    }

    /// <summary>A byte is a fraction of 256 whose ternary digits are the trits: the next is the whole part of three times it,
    /// and what is left over goes on.</summary>
    /// <param name="low">Bytes 0 to 7, widened: 3 · 255 fits.</param>
    /// <param name="high">Bytes 8 to 15.</param>
    /// <returns>The trits less 1.</returns>
    private static Vector128<sbyte> NextTrits(ref Vector128<ushort> low, ref Vector128<ushort> high)
    {
        Vector128<ushort> mask = Vector128.Create((ushort)255);
        low += low + low;
        high += high + high;
        Vector128<byte> trits = Vector128.Narrow(low >>> 8, high >>> 8);
        low &= mask;
        high &= mask;
        return trits.AsSByte() - Vector128<sbyte>.One;
    }

    /// <inheritdoc/>
    public static int CodeCount => 3;

    /// <inheritdoc/>
    public static void WriteCode(ref TQ1_0 block, int element, int code)
    {
        if (element < 240)
        {
            int start = element < 160 ? 0 : 160, stride = element < 160 ? 32 : 16;
            CodePlaces.WriteTrit(ref block.Codes[(start / 5) + ((element - start) % stride)], (element - start) / stride, code);
        }
        else
        {
            CodePlaces.WriteTrit(ref block.LastCodes[element % 4], (element - 240) / 4, code);
        }
    }

    /// <inheritdoc/>
    public static bool CanEncode => true;

    /// <inheritdoc/>
    /// <remarks>The scale is the largest magnitude; weights round to the nearest of -1, 0 and 1 scales, half away from zero. Meant for weights that are
    /// ternary already.</remarks>
    public static void EncodeRow(ReadOnlySpan<float> row, ReadOnlySpan<float> importance, Span<TQ1_0> blocks)
    {
        Span<byte> trits = stackalloc byte[256];
        for (int i = 0; i < blocks.Length; i++)
        {
            blocks[i].Scale = TernaryRounding.Round(row.Slice(256 * i, 256), trits);
            Span<byte> codes = blocks[i].Codes;
            for (int j = 0; j < 48; j++)
            {
                int stride = j < 32 ? 32 : 16;
                codes[j] = Fraction(trits[(j < 32 ? j : 128 + j)..], stride, 5);
            }

            for (int j = 0; j < 4; j++)
            {
                blocks[i].LastCodes[j] = Fraction(trits[(240 + j)..], 4, 4);
            }
        }
    }

    /// <summary>Trits as the digits of a fraction, in 256ths and rounded up: 243 = 3^5. A fifth trit that is missing is 0.</summary>
    private static byte Fraction(ReadOnlySpan<byte> trits, int stride, int count)
    {
        int number = 0;
        for (int n = 0; n < 5; n++)
        {
            number = (3 * number) + (n < count ? trits[n * stride] : 0);
        }

        return (byte)(((number * 256) + 242) / 243);
    }
}
