// A cache and a hub for one test, gone when it ends.
using Kidogo.Catalog.Cache;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Catalog;

internal sealed class StoreFolder : IDisposable
{
    public const string Repository = "org/name";

    public ScriptedHub Hub { get; } = new();

    public string Path { get; } = Directory.CreateTempSubdirectory("kidogo-store-").FullName;

    public HubCache Cache => new(System.IO.Path.Combine(Path, "hub"));

    public HubSettings Settings => new() { CacheFolder = Cache.Folder, Endpoint = Hub.Endpoint, FirstPause = TimeSpan.FromMilliseconds(1), Attempts = 4 };

    public string At(params string[] names) => System.IO.Path.Combine([Cache.RepositoryFolder(Repository), .. names]);

    public string Blob(byte[] content) => At("blobs", ScriptedHub.Sha256(content));

    /// <summary>Puts files on the hub.</summary>
    public StoreFolder With(params (string Path, byte[] Content)[] files)
    {
        foreach ((string path, byte[] content) in files)
        {
            Hub.Files[path] = content;
        }

        return this;
    }

    public PulledModel Pull(string name = Repository, HubSettings? settings = null, Func<PullRequest, PullRequest>? change = null, Func<HttpMessageHandler>? handler = null, CancellationToken cancellation = default)
    {
        PullRequest request = new(HubName.TryParse(name)!);
        return new ModelPull(settings ?? Settings, handler).RunAsync(change?.Invoke(request) ?? request, cancellation).GetAwaiter().GetResult();
    }

    /// <summary>Holds a lock as another program does.</summary>
    public CacheLock Lock(string name) => CacheLock.TakeAsync(Cache, Repository, name, null, default).GetAwaiter().GetResult();

    /// <summary>Imports what was carried.</summary>
    public CachedModel Import(string folder, long pieceBytes, Action<string>? tell = null) => ModelImport.ReadAsync(Cache, folder, tell: tell, pieceBytes: pieceBytes).GetAwaiter().GetResult();

    /// <summary>What pulling throws.</summary>
    public string Refusal(string name = Repository, HubSettings? settings = null, Func<PullRequest, PullRequest>? change = null) => Assert.Throws<HubException>(() => Pull(name, settings, change)).Message;

    /// <summary>Nothing shows in the cache.</summary>
    public void AssertEmpty()
    {
        Assert.Empty(CachedModel.All(Cache));
        Assert.Empty(Directory.Exists(At("snapshots")) ? Directory.GetDirectories(At("snapshots")) : []);
        Assert.False(File.Exists(At("refs", "main")));
    }

    public void Dispose()
    {
        Hub.Dispose();
        Directory.Delete(Path, recursive: true);
    }
}
