// Stored matrices in temporary files, with random weights of usual size in any format. Knows no expected values.
using System.Runtime.CompilerServices;
using Kidogo.Tensors;
using Kidogo.Tensors.Formats;

namespace Kidogo.KernelTests.Weights;

/// <summary>A matrix in a file of its own.</summary>
internal sealed class StoredData : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"kidogo-{Guid.NewGuid():N}.bin");
    private readonly MappedFile _file;
    private readonly WeightFormat _format;
    private readonly int _columns;

    public StoredData(WeightFormat format, int rows, int columns, ulong seed)
    {
        Pseudorandom random = new(seed);
        _format = format;
        _columns = columns;
        byte[] bytes = new byte[rows * format.RowBytes(columns)];
        Span<float> decoded = stackalloc float[format.BlockSize];
        for (int start = 0; start < bytes.Length; start += format.BlockBytes)
        {
            Span<byte> block = bytes.AsSpan(start, format.BlockBytes);
            do // any bytes are a block, but some have scales that are huge, infinite or no number
            {
                random.Fill(block);
                format.Decode(block, decoded);
            }
            while (!Usual(decoded));
        }

        File.WriteAllBytes(_path, bytes);
        _file = MappedFile.Open(_path);
    }

    public StoredData(WeightFormat format, int columns, byte[] bytes)
    {
        _format = format;
        _columns = columns;
        File.WriteAllBytes(_path, bytes);
        _file = MappedFile.Open(_path);
    }

    /// <summary>The matrix, or another choice of its rows.</summary>
    public StoredMatrix Matrix(int rows, int[]? rowOrder = null, float scale = 1) => new(_format, rows, _columns, _file.Range(0, _file.Length), rowOrder, scale);

    public void Dispose()
    {
        _file.Dispose();
        File.Delete(_path);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Usual(ReadOnlySpan<float> weights)
    {
        float largest = 0;
        foreach (float weight in weights)
        {
            if (!(Math.Abs(weight) < 16))
            {
                return false;
            }

            largest = Math.Max(largest, Math.Abs(weight));
        }

        return largest > 1e-6f;
    }
}
