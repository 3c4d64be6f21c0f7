// 256 positions of cached keys and values of one layer, and how they are stored. Knows no sequences and no threads.
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>A page: for each head, keys as [8 groups, E, 32 positions] and values as [E / 32, 256 positions, 32].</summary>
/// <remarks>
/// In Q8_0 codes lie in the same order as bytes, with float32 scales beside them, one for each 32 elements of a position. In F16 values below the smallest normal
/// number (6.1e-5) become 0: a subnormal operand would cost some processors a hundred cycles, and the difference is below the format's rounding of values near 0.06;
/// finite values above the largest (65,504) become 65,536.
/// </remarks>
internal sealed class KvPage : IDisposable
{
    public const int Positions = AttentionKernel.ChunkPositions;
    private const int Group = AttentionKernel.GroupPositions;
    private const int ScaleBlock = 32;

    private readonly AlignedBuffer _buffer;
    private readonly int _headDim;
    private readonly int _padded;
    private readonly KvFormat _format;

    public KvPage(int kvHeads, int headDim, KvFormat format)
    {
        _headDim = headDim;
        _padded = AttentionKernel.PaddedHeadDim(headDim);
        _format = format;
        _buffer = new AlignedBuffer(Bytes(kvHeads, headDim, format));
    }

    private long HeadBytes => Bytes(1, _headDim, _format);

    /// <summary>Bytes of a page.</summary>
    public static long Bytes(int kvHeads, int headDim, KvFormat format)
    {
        long elements = (long)Positions * (headDim + AttentionKernel.PaddedHeadDim(headDim));
        long scales = 2L * Positions * ScaleBlocks(headDim) * sizeof(float);
        return kvHeads * (format switch
        {
            KvFormat.F32 => elements * sizeof(float),
            KvFormat.F16 => elements * sizeof(ushort),
            _ => elements + scales,
        });
    }

    /// <summary>Takes over all bytes of a page of the same shape.</summary>
    public void CopyFrom(KvPage source)
    {
        for (long offset = 0; offset < _buffer.Length; offset += int.MaxValue)
        {
            int count = (int)Math.Min(int.MaxValue, _buffer.Length - offset);
            source._buffer.Slice<byte>(offset, count).CopyTo(_buffer.Slice<byte>(offset, count));
        }
    }

    /// <summary>Stores one position of one head.</summary>
    /// <param name="position">0 to 255.</param>
    /// <param name="head">The head.</param>
    /// <param name="keys">[E]</param>
    /// <param name="values">[E]</param>
    /// <exception cref="DamagedWeightsException">In F16, a value is infinite or no number.</exception>
    public void Write(int position, int head, ReadOnlySpan<float> keys, ReadOnlySpan<float> values)
    {
        switch (_format)
        {
            case KvFormat.F32:
                Scatter(keys, values, position, Keys<float>(head), Values<float>(head));
                break;
            case KvFormat.F16:
                Span<ushort> halves = stackalloc ushort[2 * _headDim];
                ToHalves(keys, halves[.._headDim]);
                ToHalves(values, halves[_headDim..]);
                Scatter<ushort>(halves[.._headDim], halves[_headDim..], position, Keys<ushort>(head), Values<ushort>(head));
                break;
            default:
                Span<sbyte> codes = stackalloc sbyte[2 * _headDim];
                Span<float> scales = Scales(head);
                for (int block = 0; block < ScaleBlocks(_headDim); block++)
                {
                    int start = block * ScaleBlock;
                    int count = Math.Min(ScaleBlock, _headDim - start);
                    scales[(block * Positions) + position] = ToBytes(keys.Slice(start, count), codes.Slice(start, count));
                    scales[((ScaleBlocks(_headDim) + block) * Positions) + position] = ToBytes(values.Slice(start, count), codes.Slice(_headDim + start, count));
                }

                Scatter<sbyte>(codes[.._headDim], codes[_headDim..], position, Keys<sbyte>(head), Values<sbyte>(head));
                break;
        }
    }

    /// <summary>The keys of the first groups of a head as float32.</summary>
    /// <param name="head">The head.</param>
    /// <param name="groups">Groups of 32 positions.</param>
    /// <param name="scratch">Room for [groups, E, 32].</param>
    /// <returns>[groups, E, 32]</returns>
    public ReadOnlySpan<float> KeysOf(int head, int groups, Span<float> scratch)
    {
        int length = groups * _headDim * Group;
        if (_format == KvFormat.F32)
        {
            return Keys<float>(head)[..length];
        }

        Span<float> result = scratch[..length];
        if (_format == KvFormat.F16)
        {
            HalfKernel.Widen<Float16Form>(Keys<ushort>(head)[..length], Float16Form.Factor(lifted: false), result);
            return result;
        }

        TensorPrimitives.ConvertChecked<sbyte, float>(Keys<sbyte>(head)[..length], result);
        ReadOnlySpan<float> scales = Scales(head);
        for (int g = 0; g < groups; g++)
        {
            for (int e = 0; e < _headDim; e++)
            {
                Span<float> lanes = result.Slice(((g * _headDim) + e) * Group, Group);
                TensorPrimitives.Multiply(lanes, scales.Slice((e / ScaleBlock * Positions) + (g * Group), Group), lanes);
            }
        }

        return result;
    }

    /// <summary>The values of the first positions of a head as float32.</summary>
    /// <param name="head">The head.</param>
    /// <param name="positions">How many positions.</param>
    /// <param name="scratch">Room for [E / 32, 256, 32].</param>
    /// <returns>[E / 32, 256, 32]; positions from <paramref name="positions"/> on are undefined.</returns>
    public ReadOnlySpan<float> ValuesOf(int head, int positions, Span<float> scratch)
    {
        if (_format == KvFormat.F32)
        {
            return Values<float>(head);
        }

        int panel = Positions * FloatKernel.PanelRows;
        Span<float> result = scratch[..(_padded * Positions)];
        for (int p = 0; p < _padded / FloatKernel.PanelRows; p++)
        {
            Span<float> target = result.Slice(p * panel, positions * FloatKernel.PanelRows);
            if (_format == KvFormat.F16)
            {
                HalfKernel.Widen<Float16Form>(Values<ushort>(head).Slice(p * panel, target.Length), Float16Form.Factor(lifted: false), target);
                continue;
            }

            TensorPrimitives.ConvertChecked<sbyte, float>(Values<sbyte>(head).Slice(p * panel, target.Length), target);
            ReadOnlySpan<float> scales = Scales(head).Slice((ScaleBlocks(_headDim) + p) * Positions, positions);
            for (int i = 0; i < positions; i++)
            {
                Span<float> lanes = target.Slice(i * FloatKernel.PanelRows, FloatKernel.PanelRows);
                TensorPrimitives.Multiply(lanes, scales[i], lanes);
            }
        }

        return result;
    }

    /// <summary>Reads one position of all heads back.</summary>
    /// <param name="position">0 to 255.</param>
    /// <param name="keys">[K, E]</param>
    /// <param name="values">[K, E]</param>
    public void ReadRow(int position, Span<float> keys, Span<float> values)
    {
        for (int head = 0; head < keys.Length / _headDim; head++)
        {
            for (int e = 0; e < _headDim; e++)
            {
                int key = KeyIndex(position, e);
                int value = ValueIndex(position, e);
                (keys[(head * _headDim) + e], values[(head * _headDim) + e]) = _format switch
                {
                    KvFormat.F32 => (Keys<float>(head)[key], Values<float>(head)[value]),
                    KvFormat.F16 => ((float)BitConverter.UInt16BitsToHalf(Keys<ushort>(head)[key]), (float)BitConverter.UInt16BitsToHalf(Values<ushort>(head)[value])),
                    _ => (Keys<sbyte>(head)[key] * Scales(head)[(e / ScaleBlock * Positions) + position],
                        Values<sbyte>(head)[value] * Scales(head)[((ScaleBlocks(_headDim) + (e / ScaleBlock)) * Positions) + position]),
                };
            }
        }
    }

    public void Dispose() => _buffer.Dispose();

    private static int ScaleBlocks(int headDim) => (headDim + ScaleBlock - 1) / ScaleBlock;

    private int KeyIndex(int position, int element) => (((position / Group * _headDim) + element) * Group) + (position % Group);

    private static int ValueIndex(int position, int element) =>
        (((element / FloatKernel.PanelRows * Positions) + position) * FloatKernel.PanelRows) + (element % FloatKernel.PanelRows);

    private void Scatter<T>(ReadOnlySpan<T> keys, ReadOnlySpan<T> values, int position, Span<T> keyPage, Span<T> valuePage)
    {
        int first = KeyIndex(position, 0);
        for (int e = 0; e < keys.Length; e++)
        {
            keyPage[first + (e * Group)] = keys[e];
        }

        for (int e = 0; e < values.Length; e += FloatKernel.PanelRows)
        {
            int count = Math.Min(FloatKernel.PanelRows, values.Length - e);
            values.Slice(e, count).CopyTo(valuePage.Slice(ValueIndex(position, e), count));
        }
    }

    private static void ToHalves(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        TensorPrimitives.ConvertToHalf(source, MemoryMarshal.Cast<ushort, Half>(destination));
        const ushort Exponent = 0x7C00;
        Vector<ushort> largest = default;
        int i = 0;
        for (; i <= destination.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector<ushort> halves = new(destination[i..]);
            Vector<ushort> exponents = halves & new Vector<ushort>(Exponent);
            largest = Vector.Max(largest, exponents);
            Vector.AndNot(halves, Vector.Equals(exponents, Vector<ushort>.Zero)).CopyTo(destination[i..]);
        }

        bool mayBeInfinite = Vector.EqualsAny(largest, new Vector<ushort>(Exponent));
        for (; i < destination.Length; i++)
        {
            int exponent = destination[i] & Exponent;
            mayBeInfinite |= exponent == Exponent;
            destination[i] = exponent == 0 ? (ushort)0 : destination[i];
        }

        for (i = 0; i < source.Length && mayBeInfinite; i++)
        {
            if (!float.IsFinite(source[i])) // kernels would read it as 65,536, and damage would not show
            {
                throw new DamagedWeightsException($"A key or value is {source[i]}; they have to be finite. The model's weights are damaged.");
            }
        }
    }

    private static float ToBytes(ReadOnlySpan<float> source, Span<sbyte> codes)
    {
        const float Vanishing = 1e-30f; // below this the values become zeros: 127 / largest would overflow for the smallest
        float largest = Math.Abs(TensorPrimitives.MaxMagnitude(source));
        if (largest < Vanishing)
        {
            codes.Clear();
            return 0;
        }

        float inverse = 127f / largest;
        for (int i = 0; i < source.Length; i++)
        {
            codes[i] = (sbyte)MathF.Round(source[i] * inverse);
        }

        return largest / 127f;
    }

    private Span<T> Keys<T>(int head)
        where T : unmanaged => _buffer.Slice<T>(head * HeadBytes, Positions * _headDim);

    private unsafe Span<T> Values<T>(int head)
        where T : unmanaged => _buffer.Slice<T>((head * HeadBytes) + ((long)Positions * _headDim * sizeof(T)), Positions * _padded);

    private Span<float> Scales(int head) =>
        _buffer.Slice<float>((head * HeadBytes) + ((long)Positions * (_headDim + _padded)), 2 * ScaleBlocks(_headDim) * Positions);
}
