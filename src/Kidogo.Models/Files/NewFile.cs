// A file, or a folder, that is there whole or not at all: written beside, flushed to disk, renamed. Knows not what is in it.
namespace Kidogo.Models.Files;

/// <summary>A file that takes the place of an old one only when it is complete.</summary>
public sealed class NewFile : IDisposable
{
    private const int BufferBytes = 1 << 16;
    private readonly string _path;
    private bool _isCommitted;

    private NewFile(string path, long bytes)
    {
        _path = ReplacedBy(path);
        string folder = Path.GetDirectoryName(Path.GetFullPath(_path)) ?? ".";
        TemporaryPath = Path.Combine(folder, $".{Path.GetFileName(_path)}.{Environment.ProcessId}.tmp");
        try
        {
            // Asking for all of the room at once makes a disk that is too small say so before hours are spent.
            Stream = new FileStream(TemporaryPath, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = BufferBytes, PreallocationSize = bytes });
        }
        catch
        {
            File.Delete(TemporaryPath);
            throw;
        }
    }

    /// <summary>Where to write.</summary>
    public FileStream Stream { get; }

    /// <summary>The file as long as it is not complete.</summary>
    public string TemporaryPath { get; }

    /// <summary>Begins a file.</summary>
    /// <param name="path">What it will be called. A link is followed: it goes on pointing where it points.</param>
    /// <param name="bytes">How many bytes it will have, where that is known: room for them is taken at once. 0 where not.</param>
    /// <exception cref="IOException">There is no such folder, no room, or the path is a folder.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static NewFile Create(string path, long bytes = 0)
    {
        if (Directory.Exists(path))
        {
            throw new IOException($"{path} is a folder, where a file was expected. Name a file in it.");
        }

        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? ".";
        return Directory.Exists(folder)
            ? new NewFile(path, bytes)
            : throw new DirectoryNotFoundException($"The folder {folder} does not exist, so {Path.GetFileName(path)} cannot be written there. Make it first.");
    }

    /// <summary>Whether the reason is that there is no room: on the disk, in a quota, or below a limit on the size of files.</summary>
    public static bool IsDiskFull(IOException failure)
    {
        const int UnixFileTooLarge = 27, UnixNoSpace = 28, UnixQuota = 122, WindowsHandleFull = 39, WindowsDiskFull = 112;
        int code = failure.HResult & 0xFFFF;
        return code is UnixFileTooLarge or UnixNoSpace or UnixQuota or WindowsHandleFull or WindowsDiskFull
            || failure.Message.Contains("No space left", StringComparison.Ordinal)
            || failure.Message.Contains("disk was full", StringComparison.Ordinal); // so .NET says it where room is asked for beforehand
    }

    /// <summary>Writes a small file whole.</summary>
    /// <exception cref="IOException">As for <see cref="Create"/>.</exception>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        using NewFile file = Create(path);
        file.Stream.Write(bytes);
        file.Commit();
    }

    /// <summary>Ends the writing, to disk, without giving the file its name, so that it can be looked at.</summary>
    public void Close()
    {
        if (Stream.CanWrite)
        {
            Stream.Flush(flushToDisk: true);
            Stream.Dispose();
        }
    }

    /// <summary>Puts the complete file in its place.</summary>
    public void Commit()
    {
        Close();
        File.Move(TemporaryPath, _path, overwrite: true);
        _isCommitted = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isCommitted)
        {
            return;
        }

        try
        {
            Stream.Dispose();
        }
        catch (IOException)
        {
            // The rest of the buffer does not fit either; the file is thrown away anyhow.
        }

        File.Delete(TemporaryPath);
    }

    private static string ReplacedBy(string path)
    {
        try
        {
            return new FileInfo(path) is { LinkTarget: not null } link ? link.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path : path;
        }
        catch (IOException)
        {
            return path; // a link in a circle: opening it says so
        }
    }
}

/// <summary>A folder of files that appears under its name only when all of them are complete.</summary>
public sealed class NewFolder : IDisposable
{
    private readonly string _path;
    private readonly List<string> _names = [];
    private bool _isCommitted;

    private NewFolder(string path)
    {
        _path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string parent = Path.GetDirectoryName(_path) ?? _path;
        TemporaryPath = Path.Combine(parent, $".{Path.GetFileName(_path)}.{Environment.ProcessId}.tmp");
        DeleteTemporary(); // of an earlier process of the same number
        Directory.CreateDirectory(TemporaryPath);
    }

    /// <summary>Where the files are as long as they are not complete.</summary>
    public string TemporaryPath { get; }

    /// <summary>Begins a folder. Folders above it are made.</summary>
    /// <exception cref="IOException">The path is a file, or cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be written to.</exception>
    public static NewFolder Create(string path) =>
        File.Exists(path) ? throw new IOException($"{path} is a file, where a folder was expected. Name another place.") : new NewFolder(path);

    /// <summary>Writes a file and flushes it to disk.</summary>
    /// <param name="name">Its name in the folder, which may begin with the name of a folder within.</param>
    /// <param name="bytes">As for <see cref="NewFile.Create"/>.</param>
    /// <param name="write">Writes it.</param>
    public void Add(string name, long bytes, Action<FileStream> write)
    {
        string path = Path.Combine(TemporaryPath, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using NewFile file = NewFile.Create(path, bytes);
        write(file.Stream);
        file.Commit();
        _names.Add(name);
    }

    /// <summary>Writes a small file.</summary>
    public void Add(string name, ReadOnlyMemory<byte> content) => Add(name, 0, stream => stream.Write(content.Span));

    /// <summary>Puts the folder in its place. Where there is one already, the new files take the place of those of the same names, one by one in the order they were added, and the others stay.</summary>
    public void Commit()
    {
        if (!Directory.Exists(_path))
        {
            Directory.Move(TemporaryPath, _path);
        }
        else
        {
            foreach (string name in _names)
            {
                string target = Path.Combine(_path, name);
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                File.Move(Path.Combine(TemporaryPath, name), target, overwrite: true);
            }

            Directory.Delete(TemporaryPath, recursive: true);
        }

        _isCommitted = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_isCommitted)
        {
            DeleteTemporary();
        }
    }

    private void DeleteTemporary()
    {
        if (Directory.Exists(TemporaryPath))
        {
            Directory.Delete(TemporaryPath, recursive: true);
        }
    }
}
