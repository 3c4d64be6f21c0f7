// From a name to a model in the cache: what the hub has, which files make the model, room on the disk, downloads, and only then a snapshot. Draws nothing.
using Kidogo.Catalog.Cache;
using Kidogo.Models;

namespace Kidogo.Catalog.Hub;

/// <summary>What is to be fetched.</summary>
/// <param name="Name">The model.</param>
public sealed record PullRequest(HubName Name)
{
    /// <summary>What somebody says the weights may take, by format; a file that is far from all of it is not fetched. Nothing is said by an empty list.</summary>
    public Func<string, IReadOnlyList<long>> ExpectedBytes { get; init; } = _ => [];

    /// <summary>Whether sizes other than expected are taken.</summary>
    public bool TakesAnySize { get; init; }

    /// <summary>Told what goes on, in sentences.</summary>
    public Action<string>? Tell { get; init; }

    /// <summary>Told how many bytes are there of how many.</summary>
    public Action<long, long>? Progress { get; init; }
}

/// <summary>What was fetched.</summary>
/// <param name="Model">The model in the cache.</param>
/// <param name="ReceivedBytes">Bytes of files that came through the line; 0 where all was there.</param>
/// <param name="IsConfirmed">Whether the hub was asked for the newest; false where it could not be, and the copy in the cache is what there is.</param>
public sealed record PulledModel(CachedModel Model, long ReceivedBytes, bool IsConfirmed);

/// <summary>Fetches models from a hub into the cache.</summary>
/// <param name="settings">Which hub, which cache.</param>
/// <param name="handler">Makes what sends requests; null for sockets.</param>
/// <param name="clock">The clock.</param>
public sealed class ModelPull(HubSettings settings, Func<HttpMessageHandler>? handler = null, TimeProvider? clock = null)
{
    private const double SizeTolerance = 0.15;
    private const long MostSmallBytes = 64L * 1024 * 1024; // the largest tokenizers have half of it
    private const long SpareBytes = 64L * 1024 * 1024;
    private readonly HubCache _cache = new(settings.CacheFolder);

    /// <summary>Fetches a model, or what is missing of it.</summary>
    /// <exception cref="HubException">It cannot be had; what has come is kept.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; what has come is kept.</exception>
    public async Task<PulledModel> RunAsync(PullRequest request, CancellationToken cancellation)
    {
        HubName name = request.Name;
        if (settings.IsOffline)
        {
            return Cached(name) ?? throw new HubException($"{name} is not in the cache {_cache.Folder}, and no connection is opened: --offline or HF_HUB_OFFLINE says so.");
        }

        using HubClient client = new(settings, handler, clock);
        string revision = name.Revision ?? HubCache.MainRevision;
        HubListing listing;
        try
        {
            listing = await client.ListAsync(name.Repository, revision, cancellation).ConfigureAwait(false);
        }
        catch (HubException failure) when (failure.IsUnreachable && Cached(name) is { } cached)
        {
            request.Tell?.Invoke($"{failure.InnerException?.Message.TrimEnd('.')}: {settings.Endpoint.Host} could not be asked for anything newer, and the copy in the cache is what there is.");
            return cached;
        }

        FileChoice choice = FileChoice.Of(listing, name.Format ?? name.File);
        List<HubFile> files = [];
        foreach (HubFile file in choice.Files)
        {
            files.Add(Checked(listing, file is { Bytes: not null, Etag: not null } ? file : await client.HeadAsync(listing, file, cancellation).ConfigureAwait(false)));
        }

        CheckSize(request, choice with { Files = files });
        CacheWriter writer = new(_cache, name.Repository);
        CheckRoom(writer, listing.Commit, files);
        writer.Prepare();
        Download download = new(client, settings, listing);
        await FetchAsync(request, writer, listing, files, download, cancellation).ConfigureAwait(false);
        writer.AddToSnapshot(listing.Commit, files);
        writer.NoteAbsent(listing.Commit, choice.Format == FileChoice.Folder ? FileChoice.Optional.Where(path => listing.Files.All(file => file.Path != path)) : []);
        writer.NoteListing(listing);
        writer.SetReference(revision, listing.Commit);
        CachedModel model = CachedModel.Of(_cache, name.Repository).First(model => model.Commit == listing.Commit && model.Files.Contains(files[0].Path));
        return new PulledModel(model, download.Received, IsConfirmed: true);
    }

    private PulledModel? Cached(HubName name)
    {
        if (_cache.CommitOf(name.Repository, name.Revision) is not { } commit)
        {
            return null;
        }

        CachedModel[] models = [.. CachedModel.Of(_cache, name.Repository).Where(model => model.Commit == commit)];
        CachedModel? found = (name.File ?? name.Format) is { } called ? models.FirstOrDefault(model => model.IsCalled(called))
            : models.FirstOrDefault(model => model.Format == "Q4_K_M") ?? models.FirstOrDefault();
        return found is null ? null : new PulledModel(found, 0, IsConfirmed: false);
    }

    private static HubFile Checked(HubListing listing, HubFile file)
    {
        if (file.Etag is null || file.Bytes is not { } bytes)
        {
            throw new HubException($"The hub says neither in its list nor in its headers what {file.Path} of {listing.Repository} has for a {(file.Bytes is null ? "length" : "hash")}, so that it could not be checked. Nothing is taken.");
        }

        return FileChoice.IsWeights(file.Path) || bytes <= MostSmallBytes ? file
            : throw new HubException($"The hub announces {file.Path} of {listing.Repository} with {bytes} bytes; at most {MostSmallBytes} are accepted for a file that holds no weights.");
    }

    private static void CheckSize(PullRequest request, FileChoice choice)
    {
        IReadOnlyList<long> expected = request.ExpectedBytes(choice.Format);
        if (request.TakesAnySize || expected.Count == 0)
        {
            return;
        }

        long announced = choice.Files.Where(file => FileChoice.IsWeights(file.Path)).Sum(file => file.Bytes!.Value);
        if (expected.All(bytes => Math.Abs(announced - bytes) > bytes * SizeTolerance))
        {
            throw new HubException($"The catalogue says that {request.Name.Repository} in {choice.Format} takes {string.Join(" or ", expected)} bytes, and the hub announces {announced}: one of them is wrong, or the model is another by now. Nothing is taken; --any-size takes it all the same.");
        }
    }

    private void CheckRoom(CacheWriter writer, string commit, IReadOnlyList<HubFile> files)
    {
        long missing = files.DistinctBy(file => file.Etag).Sum(file => writer.Missing(commit, file));
        if (missing > 0 && FreeSpace.Of(_cache.Folder) is { } free && missing + SpareBytes > free)
        {
            throw new HubException($"{missing} bytes are still to come and {SpareBytes} have to stay free, but {_cache.Folder} has {free} left. Free some space, or let HF_HUB_CACHE name a folder on another disk.");
        }
    }

    private async Task FetchAsync(PullRequest request, CacheWriter writer, HubListing listing, IReadOnlyList<HubFile> files, Download download, CancellationToken cancellation)
    {
        long total = files.Sum(file => file.Bytes!.Value), done = 0, most = 0;
        foreach (HubFile file in files)
        {
            void Report(long bytes)
            {
                most = Math.Max(most, done + bytes); // a bar never goes back, whatever the line does
                request.Progress?.Invoke(most, total);
            }

            if (!writer.Has(listing.Commit, file))
            {
                using CacheLock taken = await CacheLock.TakeAsync(_cache, listing.Repository, file.Etag!, () => request.Tell?.Invoke($"Another program is fetching {file.Path} of {listing.Repository}; waiting for it."), cancellation).ConfigureAwait(false);
                if (!writer.Has(listing.Commit, file))
                {
                    await download.RunAsync(file, writer.GrowingPath(file.Etag!), Report, cancellation).ConfigureAwait(false);
                    writer.Finish(file.Etag!);
                }
            }

            Report(file.Bytes!.Value);
            done += file.Bytes.Value;
        }
    }
}
