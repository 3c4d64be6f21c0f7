// Memory outside the garbage collector's heap for packed weights and caches. Knows nothing of what it holds.
using System.Runtime.InteropServices;

namespace Kidogo.Tensors;

/// <summary>A block of native memory on a page boundary, larger than an array can be if need be. Zero at first.</summary>
/// <remarks>Large blocks ask the system for huge pages: a decode step reads all weights once, and with small pages address translation costs a tenth of it.</remarks>
internal sealed unsafe partial class AlignedBuffer : IDisposable
{
    private const nuint HugePageBytes = 2 << 20;
    private const nuint SmallAlignment = 64;
    private const int AdviseHugePages = 14; // MADV_HUGEPAGE of Linux

    private byte* _allocation;
    private byte* _start;

    /// <summary>Allocates <paramref name="length"/> bytes of zeros.</summary>
    /// <exception cref="OutOfMemoryException">The system has no room.</exception>
    public AlignedBuffer(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        bool huge = length >= (long)HugePageBytes;
        nuint alignment = huge ? HugePageBytes : SmallAlignment;
        nuint bytes = ((nuint)length + alignment - 1) / alignment * alignment;

        // Zeroed memory of this size comes from the system untouched: pages are made by the threads that first write them, not here by one.
        _allocation = (byte*)NativeMemory.AllocZeroed(bytes + alignment);
        _start = (byte*)(((nuint)_allocation + alignment - 1) / alignment * alignment);
        if (huge && OperatingSystem.IsLinux())
        {
            // Advice only: where it is refused, small pages serve. The tail keeps small pages, or the last huge one would be mostly air.
            _ = MemoryAdvice.Advise((nint)_start, (nuint)length / HugePageBytes * HugePageBytes, AdviseHugePages);
        }

        GC.AddMemoryPressure(Math.Max(length, 1));
    }

    /// <summary>Frees the memory if the owner forgot to.</summary>
    ~AlignedBuffer() => Free();

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>The values [<paramref name="offset"/> / sizeof(T), + <paramref name="count"/>), the offset counted in bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They do not lie within the buffer.</exception>
    public Span<T> Slice<T>(long offset, int count)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_start is null, this);
        if (offset < 0 || count < 0 || offset > Length - ((long)count * sizeof(T)))
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"{count} values of {sizeof(T)} bytes at byte {offset} do not lie within the buffer's {Length} bytes.");
        }

        return new Span<T>(_start + offset, count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_allocation is not null)
        {
            NativeMemory.Free(_allocation);
            _allocation = null;
            _start = null;
            GC.RemoveMemoryPressure(Math.Max(Length, 1));
        }
    }
}

/// <summary>The system call that tells how memory will be used.</summary>
internal static unsafe partial class MemoryAdvice
{
    /// <summary>Advises the system about [<paramref name="address"/>, + <paramref name="length"/>). Linux only; the address lies on a page boundary.</summary>
    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Advise(nint address, nuint length, int advice);
}
