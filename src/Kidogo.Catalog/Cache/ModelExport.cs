// Out of the cache into a folder that can be carried: hashes taken while copying, and the list written last. Knows no network.
using System.Security.Cryptography;
using Kidogo.Catalog.Hub;
using Kidogo.Models.Files;

namespace Kidogo.Catalog.Cache;

/// <summary>Exports models.</summary>
public static class ModelExport
{
    /// <summary>What the folder of a model is called by default: <c>org--name.kidogo</c>, with the format where it is one of several.</summary>
    public static string FolderNameOf(CachedModel model) =>
        $"{model.Repository.Replace("/", "--", StringComparison.Ordinal)}{(model.Format == FileChoice.Folder ? "" : $".{model.Format}")}{CarriedModel.Ending}";

    /// <summary>Writes a model into a new folder.</summary>
    /// <param name="model">The model.</param>
    /// <param name="folder">The folder, which must not be there yet.</param>
    /// <param name="progress">Told how many bytes are done of how many.</param>
    /// <param name="pieceBytes">The longest piece.</param>
    /// <param name="cancellation">Ends it; then nothing is left behind.</param>
    /// <exception cref="HubException">The folder is there, the disk has no room, or the cache is damaged.</exception>
    /// <exception cref="IOException">The folder cannot be written to.</exception>
    public static void Write(CachedModel model, string folder, Action<long, long>? progress = null, long pieceBytes = CarriedModel.PieceBytes, CancellationToken cancellation = default)
    {
        if (Directory.Exists(folder) || File.Exists(folder))
        {
            throw new HubException($"{folder} is there already. Remove it, or name another place.");
        }

        if (FreeSpace.Of(folder) is { } free && model.Bytes > free)
        {
            throw new HubException($"{model.Name} takes {model.Bytes} bytes, but there are {free} left where {folder} would lie.");
        }

        string snapshot = model.Format == FileChoice.Folder ? model.Path : model.Path[..^(model.Files[0].Length + 1)];
        string[] files = [.. model.Files.Union(FileNames(snapshot)).Where(FileChoice.IsOfModel)];
        if (!files.Any(FileChoice.IsWeights))
        {
            throw new HubException($"{model.Name} has no weights in GGUF or safetensors that could be exported.");
        }

        using NewFolder target = NewFolder.Create(folder);
        List<CarriedFile> carried = [];
        HashSet<string> written = [];
        long done = 0, total = files.Sum(file => CachedModel.LengthOf(snapshot, file));
        foreach (string file in files)
        {
            string path = Path.Combine(snapshot, file);
            string etag = ContentName(path);
            // The pieces are called by the hash of the whole file, which is not known before it was read: so it is read twice, and a change between the two is found.
            string sha256 = Convert.ToHexStringLower(HashOf(path, cancellation));
            long bytes = CachedModel.LengthOf(snapshot, file);
            if (etag.Length == 64 ? etag != sha256 : etag.Length != 0 && ContentHash.OfFile(etag, path, cancellation) != etag)
            {
                throw new HubException($"{file} of {model.Name} is damaged in the cache: its content is not what its name {etag} says. kidogo remove {model.Repository}, then kidogo pull it again.");
            }

            if (written.Add(sha256))
            {
                CopyPieces(target, path, sha256, bytes, pieceBytes, count => progress?.Invoke(done += count, total), cancellation);
            }

            carried.Add(new CarriedFile(file, bytes, sha256, etag.Length == 0 ? sha256 : etag));
        }

        target.Add(CarriedModel.ListName, new CarriedModel(model.Repository, model.Commit, model.References, carried).ToJson());
        target.Commit();
    }

    /// <summary>Licences and the like beside a GGUF file.</summary>
    private static IEnumerable<string> FileNames(string snapshot) => Directory.EnumerateFiles(snapshot).Select(path => Path.GetFileName(path)).Where(name => FileChoice.IsOfModel(name) && !FileChoice.IsWeights(name));

    /// <summary>What the cache calls the content of a file: the name of the blob behind the link; empty where there is none that can be checked.</summary>
    private static string ContentName(string path) =>
        new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true) is { } blob && ContentHash.IsKnown(blob.Name) ? blob.Name : "";

    private static byte[] HashOf(string path, CancellationToken cancellation)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 18];
        for (int count = stream.Read(buffer); count > 0; count = stream.Read(buffer))
        {
            cancellation.ThrowIfCancellationRequested();
            hash.AppendData(buffer.AsSpan(0, count));
        }

        return hash.GetHashAndReset();
    }

    private static void CopyPieces(NewFolder target, string path, string sha256, long bytes, long pieceBytes, Action<int> progress, CancellationToken cancellation)
    {
        using FileStream source = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 18];
        for (int number = 0; number < CarriedModel.PiecesOf(bytes, pieceBytes); number++)
        {
            long length = Math.Min(pieceBytes, bytes - (number * pieceBytes));
            target.Add(Path.Combine(CarriedModel.PiecesName, CarriedModel.PieceName(sha256, number)), length, stream =>
            {
                for (long at = 0; at < length;)
                {
                    cancellation.ThrowIfCancellationRequested();
                    int count = source.Read(buffer, 0, (int)Math.Min(buffer.Length, length - at));
                    if (count == 0)
                    {
                        throw new HubException($"{path} became shorter while it was read.");
                    }

                    hash.AppendData(buffer.AsSpan(0, count));
                    stream.Write(buffer, 0, count);
                    at += count;
                    progress(count);
                }
            });
        }

        if (Convert.ToHexStringLower(hash.GetHashAndReset()) != sha256)
        {
            throw new HubException($"{path} changed while it was read. Try again when no other program writes it.");
        }
    }
}
