// The passport of a GGUF file that is being written: a place in its metadata, filled when the tensors' hashes are known. Knows no tensors' meaning.
using Kidogo.Models.Files;

namespace Kidogo.Models.Passports;

/// <summary>Reserves, watches and fills in.</summary>
internal sealed class GgufPassport
{
    private readonly GgufMetadata _metadata;
    private readonly IReadOnlyList<TensorToWrite> _tensors;
    private readonly PassportRequest? _request;
    private readonly TensorHashes _hashes = new();
    private readonly int _length;

    /// <summary>Takes the passport of a parent out of the metadata and makes room for this one, if there is to be one.</summary>
    public GgufPassport(GgufMetadata metadata, IReadOnlyList<TensorToWrite> tensors, PassportRequest? request)
    {
        _metadata = metadata;
        _tensors = tensors;
        _request = request;
        metadata.Remove(Passport.MetadataKey);
        Tensors = tensors;
        if (request is not null)
        {
            Tensors = [.. tensors.Select(_hashes.Watched)];
            Passport draft = WithHashes(request.Draft);
            _length = PassportJson.Reserve(draft);
            metadata.SetUtf8(Passport.MetadataKey, PassportJson.Write(draft, _length));
        }
    }

    /// <summary>The tensors as they have to be written, so that they are hashed meanwhile.</summary>
    public IReadOnlyList<TensorToWrite> Tensors { get; }

    /// <summary>Measures the finished file and writes the passport into it.</summary>
    public void Complete(string path)
    {
        if (_request is null)
        {
            return;
        }

        Passport passport = WithHashes(_request.Draft);
        passport = _request.Measure?.Invoke(path, passport) ?? passport;
        _metadata.SetUtf8(Passport.MetadataKey, PassportJson.Write(passport, _length));
        using FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.None, 1 << 16);
        stream.Write(GgufWriter.Header(_metadata, _tensors)); // as long as the one that is there
        stream.Flush(flushToDisk: true);
    }

    private Passport WithHashes(Passport passport) => passport with { Tensors = _hashes.Of(_tensors), Files = [ModelHash.Metadata(_metadata)] };
}
