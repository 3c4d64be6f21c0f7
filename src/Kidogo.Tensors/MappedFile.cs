// A file seen as memory. Knows no format; refuses every read outside the file.
using System.IO.MemoryMappedFiles;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Kidogo.Tensors;

/// <summary>A read-only memory mapping of a whole file.</summary>
/// <remarks>
/// <para>Spans are int-indexed, so a file is addressed by a 64-bit offset and read in pieces of less than 2 GiB. The length is that at opening.</para>
/// <para>A file that another program cuts short while it is mapped ends the process when a page that is gone is touched (SIGBUS), as with every memory mapping:
/// .NET cannot catch it. Headers of untrusted files are therefore read with <see cref="CopyTo"/>, which reads by position and throws instead. Replace model files
/// by renaming a new one over them, never by writing into them.</para>
/// <para>A span must not be used after <see cref="Dispose"/>. An object that is merely forgotten keeps its mapping, so its spans stay valid.</para>
/// </remarks>
public sealed unsafe class MappedFile : IDisposable
{
    private readonly SafeFileHandle? _handle;
    private readonly MemoryMappedFile? _map;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly AlignedBuffer? _memory;
    private byte* _start;

    private MappedFile(string path, long length, SafeFileHandle? handle)
    {
        Path = path;
        Length = length;
        _handle = handle;
        if (handle is not null)
        {
            _map = MemoryMappedFile.CreateFromFile(handle, null, length, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            _view = _map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        }
    }

    private MappedFile(string path, long length)
    {
        Path = path;
        Length = length;
        _memory = new AlignedBuffer(length);
        _start = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(_memory.Slice<byte>(0, (int)Math.Min(length, 1))));
    }

    /// <summary>The path that was opened.</summary>
    public string Path { get; }

    /// <summary>Bytes in the file when it was opened.</summary>
    public long Length { get; }

    /// <summary>Maps <paramref name="path"/>.</summary>
    /// <exception cref="IOException">The file does not exist, is a folder, a pipe or a device, or changed its length while it was opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static MappedFile Open(string path)
    {
        if (Directory.Exists(path))
        {
            throw new IOException($"{path} is a folder, where a file was expected.");
        }

        // Pipes and devices have no length. They are told by it before they are opened, for opening a pipe waits for its writer.
        FileInfo info = new(RealPath.Of(path));
        if (info.Exists && info.Length == 0)
        {
            return RegularFile.IsOther(path) ? throw new IOException(RegularFile.Sentence(path)) : new MappedFile(path, 0, null); // an empty file cannot be mapped, and has nothing to read
        }

        SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            long length = RandomAccess.GetLength(handle);
            if (length == 0)
            {
                handle.Dispose();
                return new MappedFile(path, 0, null);
            }

            return new MappedFile(path, length, handle);
        }
        catch (Exception e) when (e is ArgumentException or UnauthorizedAccessException or NotSupportedException)
        {
            handle.Dispose();
            throw new IOException($"{path} cannot be mapped: it is no regular file, or its length changed while it was opened.", e);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Memory that is read as a file is, zeros until something is written; pages that nobody writes take no room.</summary>
    /// <param name="path">What it is called in messages.</param>
    /// <param name="length">Bytes.</param>
    public static MappedFile InMemory(string path, long length) => new(path, length);

    /// <summary>The bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="count"/>) of memory, to write to.</summary>
    /// <exception cref="InvalidOperationException">This is a file, which is never written to.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie within the memory.</exception>
    public Span<byte> Memory(long offset, int count)
    {
        CheckRange(offset, count);
        return _memory is null ? throw new InvalidOperationException($"{Path} is a file, which is read only.") : _memory.Slice<byte>(offset, count);
    }

    /// <summary>Copies the bytes from <paramref name="offset"/> on by reading the file, not the mapping: a file that was cut short throws instead of ending the process.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie within the file as it was opened.</exception>
    /// <exception cref="EndOfStreamException">The file has become shorter since it was opened.</exception>
    public void CopyTo(long offset, Span<byte> destination)
    {
        CheckRange(offset, destination.Length);
        if (destination.IsEmpty)
        {
            return;
        }

        ObjectDisposedException.ThrowIf(_start is null, this);
        if (_handle is null)
        {
            Read(offset, destination.Length).CopyTo(destination);
            return;
        }

        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(_handle!, destination, offset);
            if (read == 0)
            {
                throw new EndOfStreamException($"{Path} has become shorter than the {Length} bytes it had when it was opened.");
            }

            destination = destination[read..];
            offset += read;
        }
    }

    /// <summary>The bytes [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="count"/>).</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie within the file.</exception>
    public ReadOnlySpan<byte> Read(long offset, int count)
    {
        CheckRange(offset, count);

        byte* start = _start;
        ObjectDisposedException.ThrowIf(start is null && Length > 0, this);
        return new ReadOnlySpan<byte>(start + offset, count);
    }

    /// <summary>The part [<paramref name="offset"/>, <paramref name="offset"/> + <paramref name="length"/>) of the file, which may be larger than a span can be.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie within the file.</exception>
    public MappedRange Range(long offset, long length)
    {
        CheckRange(offset, length);

        return new MappedRange(this, offset, length);
    }

    /// <summary>Tells the system that these bytes will not be read again soon; reading them later is allowed and reads the file again. Memory that is let go is zero until it is written anew.</summary>
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
            _view?.SafeMemoryMappedViewHandle.ReleasePointer();
        }

        _view?.Dispose();
        _map?.Dispose();
        _handle?.Dispose();
        _memory?.Dispose();
    }

    private void CheckRange(long offset, long count)
    {
        if (offset < 0 || count < 0 || offset > Length - count)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), $"Bytes {offset} to {offset} + {count} do not lie within the {Length} bytes of {Path}.");
        }
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
