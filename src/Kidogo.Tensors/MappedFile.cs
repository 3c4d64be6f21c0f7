// A file seen as memory. Knows no format; refuses every read outside the file.
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Kidogo.Tensors;

/// <summary>A read-only memory mapping of a whole file.</summary>
/// <remarks>
/// Spans are int-indexed, so a file is addressed by a 64-bit offset and read in pieces of less than 2 GiB. The length is that at opening; a file
/// that another program cuts short while it is mapped ends the process, as with every memory mapping, so what must survive that reads by position.
/// </remarks>
public sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _map;
    private readonly MemoryMappedViewAccessor? _view;
    private byte* _start;

    private MappedFile(string path, long length, MemoryMappedFile? map)
    {
        Path = path;
        Length = length;
        if (map is not null)
        {
            _map = map;
            _view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        }
    }

    /// <summary>The path that was opened.</summary>
    public string Path { get; }

    /// <summary>Bytes in the file when it was opened.</summary>
    public long Length { get; }

    /// <summary>Maps <paramref name="path"/>.</summary>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static MappedFile Open(string path)
    {
        using SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        long length = RandomAccess.GetLength(handle);
        if (length == 0)
        {
            return new MappedFile(path, 0, null); // an empty file cannot be mapped, and has nothing to read
        }

        FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return new MappedFile(path, length, MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false));
    }

    /// <summary>The bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="count"/>).</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie within the file.</exception>
    public ReadOnlySpan<byte> Read(long offset, int count)
    {
        if (offset < 0 || count < 0 || offset > Length - count)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset} + {count} do not lie within the {Length} bytes of {Path}.");
        }

        ObjectDisposedException.ThrowIf(_start is null && Length > 0, this);
        return new ReadOnlySpan<byte>(_start + offset, count);
    }

    /// <summary>The part [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="length"/>) of the file, which may be larger than a span can be.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie within the file.</exception>
    public MappedRange Range(long offset, long length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset} + {length} do not lie within the {Length} bytes of {Path}.");
        }

        return new MappedRange(this, offset, length);
    }

    /// <summary>Tells the system that these bytes will not be read again soon; reading them later is allowed and reads the file again.</summary>
    internal void LetGo(long offset, long length)
    {
        const int DontNeed = 4; // MADV_DONTNEED of Linux
        if (!OperatingSystem.IsLinux() || _start is null || length <= 0)
        {
            return;
        }

        long page = Environment.SystemPageSize;
        long first = (offset + page - 1) / page * page;
        long end = (offset + length) / page * page;
        if (end > first)
        {
            _ = MemoryAdvice.Advise((nint)(_start + first), (nuint)(end - first), DontNeed);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_start is not null)
        {
            _start = null;
            _view!.SafeMemoryMappedViewHandle.ReleasePointer();
        }

        _view?.Dispose();
        _map?.Dispose();
    }
}

/// <summary>A part of a mapped file.</summary>
/// <param name="File">The file.</param>
/// <param name="Offset">First byte, from the start of the file.</param>
/// <param name="Length">Number of bytes.</param>
public readonly record struct MappedRange(MappedFile File, long Offset, long Length)
{
    /// <summary>The bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="count"/>), counted from the start of this range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They do not lie within this range.</exception>
    public ReadOnlySpan<byte> Read(long offset, int count)
    {
        if (offset < 0 || count < 0 || offset > Length - count)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset} + {count} do not lie within the {Length} bytes of this part of {File.Path}.");
        }

        return File.Read(Offset + offset, count);
    }

    /// <summary>Tells the system that this part will not be read again soon.</summary>
    internal void LetGo() => File.LetGo(Offset, Length);
}
