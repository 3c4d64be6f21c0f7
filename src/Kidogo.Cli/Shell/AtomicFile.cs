// A file that is there whole or not at all: written beside, flushed, renamed. Knows not what is in it.
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Cli.Shell;

/// <summary>A stream to a new file that takes the place of the old one only when it is complete.</summary>
internal sealed class AtomicFile : IDisposable
{
    private readonly Session _session;
    private readonly string _path;
    private readonly string _temporary;
    private readonly bool _isDirect;
    private bool _isCommitted;

    private AtomicFile(Session session, string path)
    {
        _session = session;
        bool isOther = RegularFile.IsOther(path); // also behind a link such as /dev/stdout: it cannot be replaced by renaming, and is written to as it is
        path = isOther ? path : TargetOf(path);
        _path = path;
        if (isOther)
        {
            _temporary = path;
            _isDirect = true;
            Stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 1 << 16);
            return;
        }

        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? ".";
        _temporary = Path.Combine(folder, $".{Path.GetFileName(path)}.{Environment.ProcessId}.tmp");
        Stream = new FileStream(_temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        session.OnAbandon(() => File.Delete(_temporary));
    }

    /// <summary>Where to write.</summary>
    public FileStream Stream { get; }

    /// <summary>Begins a file.</summary>
    /// <exception cref="FailureException">The place cannot be written to.</exception>
    public static AtomicFile Create(Session session, string path)
    {
        if (path.Length == 0)
        {
            throw new UsageException("--out is empty; name a file to write.");
        }

        if (Directory.Exists(path))
        {
            throw new FailureException($"{path} is a folder, where a file was expected. Name a file in it.");
        }

        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? ".";
        if (!Directory.Exists(folder))
        {
            throw new FailureException($"The folder {folder} does not exist, so {Path.GetFileName(path)} cannot be written there. Make it first.");
        }

        return new AtomicFile(session, path);
    }

    /// <summary>Writes with the sentence that a full disk deserves.</summary>
    public static void Guarded(string path, Action write)
    {
        try
        {
            write();
        }
        catch (IOException failure) when (NewFile.IsDiskFull(failure))
        {
            throw new FailureException($"The disk is full: {path} could not be written. Nothing was left behind; free some space, or name another place.");
        }
    }

    /// <summary>Puts the complete file in its place.</summary>
    public void Commit()
    {
        if (_isDirect)
        {
            Stream.Dispose();
            _isCommitted = true;
            return;
        }

        Stream.Flush(flushToDisk: true);
        Stream.Dispose();
        File.Move(_temporary, _path, overwrite: true);
        _isCommitted = true;
    }

    public void Dispose()
    {
        _session.OnAbandon(null);
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

        if (!_isDirect)
        {
            File.Delete(_temporary);
        }
    }

    /// <summary>Where a link points, for it goes on pointing there; the path itself where it is no link or nothing is there.</summary>
    private static string TargetOf(string path)
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
