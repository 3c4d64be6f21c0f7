// From a carried folder into the cache: lengths first, hashes while copying, nothing visible before all of it is right. Knows no network.
using System.Security.Cryptography;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Catalog.Cache;

/// <summary>Imports models.</summary>
public static class ModelImport
{
    private const long SpareBytes = 16L * 1024 * 1024;

    /// <summary>Brings a model from a folder that <see cref="ModelExport"/> wrote into the cache.</summary>
    /// <param name="cache">The cache.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="progress">Told how many bytes are done of how many.</param>
    /// <param name="tell">Told what goes on, in sentences.</param>
    /// <param name="pieceBytes">The longest piece.</param>
    /// <param name="cancellation">Ends it; then nothing shows in the cache.</param>
    /// <exception cref="HubException">It is no such folder, not whole, not what its list says, or one that would do harm.</exception>
    public static async Task<CachedModel> ReadAsync(
        HubCache cache, string folder, Action<long, long>? progress = null, Action<string>? tell = null, long pieceBytes = CarriedModel.PieceBytes, CancellationToken cancellation = default)
    {
        if (!Directory.Exists(folder))
        {
            throw new HubException(File.Exists(folder) ? $"{folder} is a file, where the folder of a model that travels was expected: kidogo export writes one." : $"There is no folder {folder}.");
        }

        if (!File.Exists(Path.Combine(folder, CarriedModel.ListName)))
        {
            string[] inside = [.. Directory.EnumerateDirectories(folder, $"*{CarriedModel.Ending}").Take(9)];
            throw new HubException(inside.Length > 0 ? $"{folder} holds {inside.Length} models. Name one: {string.Join(", ", inside)}" : $"{folder} has no {CarriedModel.ListName}: it is no model that kidogo export wrote.");
        }

        CarriedModel model = CarriedModel.Read(Inside(folder, CarriedModel.ListName));
        CheckPieces(folder, model, pieceBytes);
        CheckSnapshot(cache, model, cancellation);
        CacheWriter writer = new(cache, model.Repository);
        HubFile[] files = [.. model.Files.Select(file => new HubFile(file.Path, file.Bytes, file.Etag))];
        long missing = files.DistinctBy(file => file.Etag).Sum(file => writer.Has(model.Commit, file) ? 0 : file.Bytes!.Value);
        if (missing > 0 && FreeSpace.Of(cache.Folder) is { } free && missing + SpareBytes > free)
        {
            throw new HubException($"{model.Repository} takes {missing} bytes more and {SpareBytes} have to stay free, but {cache.Folder} has {free} left.");
        }

        writer.Prepare();
        long done = 0, total = model.Files.Sum(file => file.Bytes);
        foreach ((CarriedFile carried, HubFile file) in model.Files.Zip(files))
        {
            using CacheLock taken = await CacheLock.TakeAsync(cache, model.Repository, carried.Etag, () => tell?.Invoke($"Another program is writing {carried.Path} of {model.Repository}; waiting for it."), cancellation).ConfigureAwait(false);
            if (!writer.Has(model.Commit, file))
            {
                Copy(folder, carried, writer.GrowingPath(carried.Etag), pieceBytes, bytes => progress?.Invoke(done + bytes, total), cancellation);
                writer.Finish(carried.Etag);
            }

            done += carried.Bytes;
            progress?.Invoke(done, total);
        }

        writer.AddToSnapshot(model.Commit, files);
        foreach (string reference in model.References.Count > 0 ? model.References : [HubCache.MainRevision])
        {
            if (cache.Reference(model.Repository, reference) is { } other && other != model.Commit)
            {
                tell?.Invoke($"{reference} of {model.Repository} goes on meaning {other}, which was there before; what was imported is {model.Repository}@{model.Commit}.");
                continue;
            }

            writer.SetReference(reference, model.Commit);
        }

        return CachedModel.Of(cache, model.Repository).First(each => each.Commit == model.Commit && each.Files.Any(file => model.Files.Any(carried => carried.Path == file && FileChoice.IsWeights(file))));
    }

    /// <summary>The path of a file of the folder, if it really lies there and is a file.</summary>
    private static string Inside(string folder, params string[] names)
    {
        string path = Path.Combine([folder, .. names]);
        string expected = Path.Combine([RealPath.Of(folder), .. names]);
        return RealPath.Of(path) != expected ? throw new HubException($"{path} is a link, or lies behind one, and is not followed: what travels is plain files. Nothing was taken.")
            : !File.Exists(path) ? throw new HubException($"{folder} is not whole: {string.Join('/', names)} is missing. Copy it again.")
            : RegularFile.IsOther(path) ? throw new HubException(RegularFile.Sentence(path))
            : path;
    }

    /// <summary>A commit that is there already is not changed by what somebody says it holds.</summary>
    private static void CheckSnapshot(HubCache cache, CarriedModel model, CancellationToken cancellation)
    {
        foreach (CarriedFile file in model.Files)
        {
            string there = Path.Combine(cache.SnapshotFolder(model.Repository, model.Commit), file.Path);
            if (File.Exists(there) && ContentHash.OfFile(file.Etag, there, cancellation) != file.Etag)
            {
                throw new HubException($"The cache has {file.Path} of {model.Repository} at {model.Commit} with another content, and a commit has one: the folder, or the cache, is not what it says. Nothing was taken.");
            }
        }
    }

    /// <summary>Looks at all lengths before a byte is copied.</summary>
    private static void CheckPieces(string folder, CarriedModel model, long pieceBytes)
    {
        foreach (CarriedFile file in model.Files)
        {
            for (int number = 0; number < CarriedModel.PiecesOf(file.Bytes, pieceBytes); number++)
            {
                long expected = Math.Min(pieceBytes, file.Bytes - (number * pieceBytes));
                long found = new FileInfo(Inside(folder, CarriedModel.PiecesName, CarriedModel.PieceName(file.Sha256, number))).Length;
                if (found != expected)
                {
                    throw new HubException($"Piece {number} of {file.Path} has {found} bytes, where its list says {expected}. The copy is not whole, or its list is wrong; nothing was taken.");
                }
            }
        }
    }

    private static void Copy(string folder, CarriedFile file, string target, long pieceBytes, Action<long> progress, CancellationToken cancellation)
    {
        using IncrementalHash sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using ContentHash content = ContentHash.For(file.Etag, file.Bytes);
        long copied = 0;
        bool isRight = false;
        try
        {
            using FileStream output = new(target, FileMode.Create, FileAccess.Write, FileShare.Read, 0);
            byte[] buffer = new byte[1 << 18];
            for (int number = 0; number < CarriedModel.PiecesOf(file.Bytes, pieceBytes); number++)
            {
                using FileStream piece = new(Inside(folder, CarriedModel.PiecesName, CarriedModel.PieceName(file.Sha256, number)), FileMode.Open, FileAccess.Read, FileShare.Read, 1);
                for (int count = piece.Read(buffer); count > 0 && copied + count <= file.Bytes; count = piece.Read(buffer))
                {
                    cancellation.ThrowIfCancellationRequested();
                    sha256.AppendData(buffer.AsSpan(0, count));
                    content.Add(buffer.AsSpan(0, count));
                    output.Write(buffer, 0, count);
                    copied += count;
                    progress(copied);
                }
            }

            output.Flush(flushToDisk: true);
            isRight = Convert.ToHexStringLower(sha256.GetHashAndReset()) == file.Sha256 && content.End() == file.Etag;
        }
        finally
        {
            if (!isRight)
            {
                File.Delete(target);
            }
        }

        if (!isRight)
        {
            throw new HubException($"{file.Path} is not what its list says: its hash differs. The stick or the copy is damaged, or somebody changed it; nothing of it was taken.");
        }
    }
}
