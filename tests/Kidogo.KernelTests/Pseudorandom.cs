// Pseudorandom test data that is the same on every machine and runtime. Knows no kernels.
using Kidogo.Tensors;

namespace Kidogo.KernelTests;

/// <summary>SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 16): digests of products depend on it, so it is not the runtime's.</summary>
internal sealed class Pseudorandom(ulong seed)
{
    private ulong _state = seed;

    public ulong Next()
    {
        unchecked
        {
            ulong z = _state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }

    /// <summary>Uniform in [-1, 1), with 24 bits.</summary>
    public float Float() => ((int)(Next() >> 40) / 8388608f) - 1;

    public int Below(int end) => (int)(Next() % (ulong)end);

    public byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        Fill(bytes);
        return bytes;
    }

    public void Fill(Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)(Next() >> 56);
        }
    }

    public float[] Floats(int count, float size = 1)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = Float() * size;
        }

        return values;
    }

    public Tensor Tensor(int rows, int columns, float size = 1)
    {
        Tensor tensor = new(rows, columns);
        Floats(rows * columns, size).CopyTo(tensor.Span);
        return tensor;
    }
}
