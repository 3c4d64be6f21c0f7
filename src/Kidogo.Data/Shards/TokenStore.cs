// All shards of a source as one row of tokens. Knows documents as ranges of it.
namespace Kidogo.Data.Shards;

/// <summary>A source's tokens. Any number of threads may use it at once.</summary>
internal sealed class TokenStore : IDisposable
{
    private readonly TokenShard[] _shards;
    private readonly long[] _firstTokens;

    private TokenStore(TokenShard[] shards, Manifest manifest)
    {
        _shards = shards;
        Manifest = manifest;
        _firstTokens = new long[shards.Length + 1];
        for (int i = 0; i < shards.Length; i++)
        {
            _firstTokens[i + 1] = _firstTokens[i] + shards[i].Tokens;
        }
    }

    public Manifest Manifest { get; }

    public long Tokens => _firstTokens[^1];

    public long Documents => _shards.Sum(shard => shard.Documents);

    public bool HasMask => _shards.Length > 0 && _shards[0].HasMask;

    /// <summary>Opens a folder.</summary>
    /// <exception cref="DataFormatException">Something in it is damaged, missing or another's.</exception>
    public static TokenStore Open(string folder, byte[] key, int vocabulary)
    {
        Manifest manifest = Manifest.Read(folder);
        if (manifest.Key != Convert.ToHexStringLower(key))
        {
            throw new DataFormatException(folder, 0, "the shards were made from other files, with another tokenizer or with other options");
        }

        List<TokenShard> shards = [];
        try
        {
            foreach ((string name, long bytes) in manifest.Shards)
            {
                FileInfo file = new(Path.Combine(folder, name));
                if (!file.Exists || file.Length != bytes)
                {
                    throw new DataFormatException(file.FullName, 0, $"the shard has {(file.Exists ? file.Length : 0)} bytes instead of {bytes}");
                }

                shards.Add(TokenShard.Open(file.FullName, key, vocabulary));
            }

            TokenStore store = new([.. shards], manifest);
            return store.Tokens == manifest.Tokens && store.Documents == manifest.Documents && shards.TrueForAll(shard => shard.HasMask == store.HasMask)
                ? store
                : throw new DataFormatException(folder, 0, "the shards together are not what the manifest says");
        }
        catch
        {
            shards.ForEach(shard => shard.Dispose());
            throw;
        }
    }

    /// <summary>All documents in order, with their first tokens counted over all shards.</summary>
    public IEnumerable<ShardEntry> ReadIndex()
    {
        for (int i = 0; i < _shards.Length; i++)
        {
            foreach (ShardEntry entry in _shards[i].ReadIndex())
            {
                yield return entry with { First = entry.First + _firstTokens[i] };
            }
        }
    }

    /// <summary>Reads tokens of one document, and which of them are targets where there is a mask.</summary>
    public void Read(long first, int count, int[] ids, ushort[] buffer, bool[] counts)
    {
        int shard = Array.BinarySearch(_firstTokens, first);
        shard = shard < 0 ? ~shard - 1 : shard;
        while (shard + 1 < _shards.Length && _firstTokens[shard + 1] == first)
        {
            shard++; // a shard before may be empty
        }

        _shards[shard].ReadIds(first - _firstTokens[shard], count, ids, buffer);
        if (HasMask)
        {
            _shards[shard].ReadMask(first - _firstTokens[shard], count, counts);
        }
    }

    public void Dispose()
    {
        foreach (TokenShard shard in _shards)
        {
            shard.Dispose();
        }
    }
}
