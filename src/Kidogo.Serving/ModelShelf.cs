// The models of a server: loaded when first asked for, let go of when memory is short. Knows no requests, no files, and not how memory is measured.
using System.Diagnostics;
using Kidogo.Models.Adapters;
using Kidogo.Routing;
using Kidogo.Serving.Access;
using Kidogo.Serving.Api;

namespace Kidogo.Serving;

/// <summary>A model that a server can serve.</summary>
/// <param name="Id">What clients call it.</param>
/// <param name="Load">Loads it; called by one thread at a time, and again after it was let go of.</param>
public sealed record ModelEntry(string Id, Func<Served> Load)
{
    /// <summary>What is told of it while it is not loaded.</summary>
    public required ModelFacts Facts { get; init; }

    /// <summary>Bytes that it takes once loaded, with what its answers need.</summary>
    public long NeededBytes { get; init; }

    /// <summary>Its adapters, which clients call <c>id:name</c>.</summary>
    public IReadOnlyList<string> Adapters { get; init; } = [];

    /// <summary>Whether it makes vectors rather than text.</summary>
    public bool IsEncoder => Kind == ModelKind.Encoder;

    /// <summary>What it makes of texts.</summary>
    public ModelKind Kind => Facts.Kind;
}

/// <summary>Holds models and counts who uses them. For any number of threads.</summary>
public sealed class ModelShelf : IDisposable
{
    private readonly Place[] _places;
    private readonly Func<long> _availableBytes;
    private readonly long _roomAtFirst;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _loading = new(1); // one model at a time: what is left of memory is looked at first
    private readonly bool _isOwner = true;

    /// <summary>A shelf on which nothing is loaded yet.</summary>
    /// <param name="entries">One or more, with names of their own. The first is what is meant where a request names none of several.</param>
    /// <param name="availableBytes">Bytes that could be taken now.</param>
    /// <param name="budgetBytes">Bytes that all loaded models may take together; null for what is available now.</param>
    /// <exception cref="ServerSetupException">There are none, or two of one name.</exception>
    public ModelShelf(IReadOnlyList<ModelEntry> entries, Func<long> availableBytes, long? budgetBytes = null)
    {
        string[] names = [.. entries.SelectMany(NamesOf)];
        if (names.Length == 0 || names.Distinct(StringComparer.Ordinal).Count() < names.Length)
        {
            throw new ServerSetupException("A server needs one model or more, each with a name of its own.");
        }

        _places = [.. entries.Select(entry => new Place(entry))];
        _availableBytes = availableBytes;
        _roomAtFirst = Math.Min(availableBytes(), budgetBytes ?? long.MaxValue);
    }

    private ModelShelf(IReadOnlyList<Served> models)
        : this([.. models.Select(EntryOf)], () => long.MaxValue)
    {
        _isOwner = false;
        for (int i = 0; i < models.Count; i++)
        {
            _places[i].Model = models[i];
        }
    }

    /// <summary>All that can be served.</summary>
    public IReadOnlyList<ModelEntry> Entries => [.. _places.Select(place => place.Entry)];

    /// <summary>What is loaded now.</summary>
    public IReadOnlyList<Served> Loaded
    {
        get
        {
            lock (_gate)
            {
                return [.. _places.Where(place => place.Model is not null).Select(place => place.Model!)];
            }
        }
    }

    /// <summary>A shelf of models that are loaded and stay so; they stay the caller's.</summary>
    public static ModelShelf Of(IReadOnlyList<Served> models) => new(models);

    /// <summary>Loads a model before anybody asks for it, whatever memory is left: its own loading refuses where there is too little.</summary>
    public async Task LoadAsync(ModelEntry entry) => (await UseAsync(entry, CancellationToken.None, makesRoom: false).ConfigureAwait(false)).Dispose();

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isOwner)
        {
            foreach (Served model in Loaded)
            {
                model.Dispose();
            }
        }

        foreach (Place place in _places)
        {
            place.Model = null;
        }
    }

    /// <summary>The names by which clients may call a model: its own, and one for each adapter.</summary>
    internal static IEnumerable<string> NamesOf(ModelEntry entry) => [entry.Id, .. entry.Adapters.Select(adapter => $"{entry.Id}:{adapter}")];

    /// <summary>Takes a model into use, loaded if need be. It stays loaded until the result is disposed.</summary>
    /// <exception cref="ApiException">503: there is not enough memory for it beside those that are in use.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled while it waited for others to load.</exception>
    internal async ValueTask<ModelUse> UseAsync(ModelEntry entry, CancellationToken cancellation, bool makesRoom = true)
    {
        Place place = _places.First(each => each.Entry == entry);
        if (TryUse(place) is { } use)
        {
            return use;
        }

        await _loading.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (TryUse(place) is { } meanwhile)
            {
                return meanwhile;
            }

            Served loaded = await Task.Run(() =>
            {
                if (makesRoom)
                {
                    MakeRoom(entry);
                }

                return entry.Load();
            }, CancellationToken.None).ConfigureAwait(false);
            lock (_gate)
            {
                place.Model = loaded;
                return Use(place);
            }
        }
        finally
        {
            _loading.Release();
        }
    }

    private static ModelEntry EntryOf(Served model) =>
        new(model.Id, () => model) { Facts = model.Facts, Adapters = model is ServedModel decoder ? [.. decoder.Adapters.All.Select(adapter => adapter.Name)] : [] };

    private ModelUse? TryUse(Place place)
    {
        lock (_gate)
        {
            return place.Model is null ? null : Use(place);
        }
    }

    private ModelUse Use(Place place)
    {
        place.Users++;
        return new ModelUse(place.Model!, () =>
        {
            lock (_gate)
            {
                place.Users--;
                place.LastUsed = Stopwatch.GetTimestamp();
            }
        });
    }

    /// <summary>Lets go of models that nobody uses, the longest unused first, until there is room.</summary>
    private void MakeRoom(ModelEntry entry)
    {
        while (Room() < entry.NeededBytes)
        {
            Served? gone;
            lock (_gate)
            {
                Place? unused = _places.Where(place => place.Model is not null && place.Users == 0).MinBy(place => place.LastUsed);
                gone = unused?.Model;
                if (unused is not null)
                {
                    unused.Model = null;
                }
            }

            if (gone is null)
            {
                throw new ApiException(
                    503, "unavailable_error",
                    $"`{entry.Id}` needs about {entry.NeededBytes >> 20} MiB, and {Math.Max(0, Room()) >> 20} MiB are left beside the models in use. Try again when they are idle.",
                    "model", "insufficient_memory") { RetryAfterSeconds = 5 };
            }

            gone.Dispose();
            GC.Collect(); // what it held of the managed heap goes now, before the system is asked what is left
        }
    }

    /// <summary>Bytes that are left: of what there was at first, less what the loaded models may come to need, and of what there is now.</summary>
    private long Room()
    {
        lock (_gate)
        {
            return Math.Min(_roomAtFirst - _places.Sum(place => place.Model is null ? 0 : place.Entry.NeededBytes), _availableBytes());
        }
    }

    private sealed class Place(ModelEntry entry)
    {
        public ModelEntry Entry => entry;

        public Served? Model { get; set; }

        public int Users { get; set; }

        public long LastUsed { get; set; }
    }
}

/// <summary>A model while somebody uses it.</summary>
/// <param name="model">The model.</param>
/// <param name="release">Called once, when nobody does any more.</param>
internal sealed class ModelUse(Served model, Action release) : IDisposable
{
    private int _isReleased;

    public Served Model => model;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isReleased, 1) == 0)
        {
            release();
        }
    }
}

/// <summary>A decoder as a request names it.</summary>
/// <param name="Model">The decoder.</param>
/// <param name="Adapter">The adapter that the request names; null for what the model does by default.</param>
/// <param name="Name">What the request called it, or its id.</param>
internal sealed record AskedModel(ServedModel Model, Adapter? Adapter, string Name)
{
    /// <summary>Why it answers, where there is a router; null where there is none.</summary>
    public RouteOutcome? Route { get; init; }
}
