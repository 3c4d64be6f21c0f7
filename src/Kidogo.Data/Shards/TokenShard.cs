// One shard, mapped into memory. Knows ids and where documents begin, not what they mean.
using System.IO.MemoryMappedFiles;

namespace Kidogo.Data.Shards;

/// <summary>Reads a shard through the mapped file. Any number of threads may use it at once.</summary>
/// <remarks>Nothing else may shorten the file meanwhile: that ends a process which has it mapped.</remarks>
internal sealed class TokenShard : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly ShardLayout _layout;
    private readonly string _path;

    private TokenShard(string path, ShardLayout layout, MemoryMappedFile file)
    {
        _path = path;
        _layout = layout;
        _file = file;
        _view = file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    public long Tokens => _layout.Tokens;

    public long Documents => _layout.Documents;

    public bool HasMask => _layout.HasMask;

    /// <summary>Opens a shard.</summary>
    /// <exception cref="DataFormatException">It is damaged or another's.</exception>
    public static TokenShard Open(string path, byte[] key, int vocabulary)
    {
        FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 0);
        try
        {
            byte[] header = new byte[ShardLayout.HeaderBytes];
            int read = stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false);
            ShardLayout layout = ShardLayout.Read(header.AsSpan(0, read), stream.Length, key, path);
            if (layout.Vocabulary != vocabulary)
            {
                throw new DataFormatException(path, 0, $"the shard is of a vocabulary of {layout.Vocabulary} tokens, not of {vocabulary}");
            }

            return new TokenShard(path, layout,
                MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads ids.</summary>
    /// <param name="first">The first token.</param>
    /// <param name="count">How many.</param>
    /// <param name="ids">Where to; at least as long.</param>
    /// <param name="buffer">As long as <paramref name="ids"/>, for narrow ids.</param>
    /// <exception cref="DataFormatException">An id lies outside the vocabulary: the file is damaged.</exception>
    public void ReadIds(long first, int count, int[] ids, ushort[] buffer)
    {
        Check(first, count);
        long offset = ShardLayout.HeaderBytes + (first * _layout.IdBytes);
        if (_layout.IdBytes == sizeof(ushort))
        {
            _view.ReadArray(offset, buffer, 0, count);
            for (int i = 0; i < count; i++)
            {
                ids[i] = buffer[i];
            }
        }
        else
        {
            _view.ReadArray(offset, ids, 0, count);
        }

        if (count > 0 && ids.AsSpan(0, count).ContainsAnyExceptInRange(0, _layout.Vocabulary - 1))
        {
            throw new DataFormatException(_path, 0, $"an id among tokens {first} to {first + count - 1} lies outside the vocabulary of {_layout.Vocabulary}: "
                + "the file is damaged; delete its folder, and it is made anew");
        }
    }

    /// <summary>Reads which tokens are targets.</summary>
    public void ReadMask(long first, int count, bool[] counts)
    {
        Check(first, count);
        int held = 0;
        for (int i = 0; i < count; i++)
        {
            long at = first + i;
            if (i == 0 || (at & 7) == 0)
            {
                held = _view.ReadByte(_layout.MaskOffset + (at >> 3));
            }

            counts[i] = ((held >> (int)(at & 7)) & 1) != 0;
        }
    }

    /// <summary>Reads the index in order, and checks it.</summary>
    /// <exception cref="DataFormatException">It is damaged.</exception>
    public IEnumerable<ShardEntry> ReadIndex()
    {
        const int EntriesOfBlock = 1024;
        byte[] block = new byte[EntriesOfBlock * ShardLayout.EntryBytes];
        long before = -1;
        for (long first = 0; first < _layout.Documents; first += EntriesOfBlock)
        {
            int count = (int)Math.Min(EntriesOfBlock, _layout.Documents - first);
            _view.ReadArray(_layout.IndexOffset + (first * ShardLayout.EntryBytes), block, 0, count * ShardLayout.EntryBytes);
            for (int i = 0; i < count; i++)
            {
                ShardEntry entry = ShardEntry.Read(block.AsSpan(i * ShardLayout.EntryBytes));
                bool inOrder = first + i == 0 ? entry.First == 0 : entry.First >= before;
                if (!inOrder || entry.First > _layout.Tokens || entry.TextBytes < 0 || entry.Line < 0 || entry.File < 0)
                {
                    throw new DataFormatException(_path, 0, $"entry {first + i} of the index is damaged");
                }

                before = entry.First;
                yield return entry;
            }
        }
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    private void Check(long first, int count)
    {
        if (first < 0 || count < 0 || first > _layout.Tokens - count)
        {
            throw new DataFormatException(_path, 0, $"tokens {first} to {first + count} lie outside the shard of {_layout.Tokens}");
        }
    }
}
