// Shards on disk: the same bytes whoever writes them, made anew when anything is stale or damaged, never half there.
using System.Buffers.Binary;
using System.Text;
using Kidogo.Data;
using Kidogo.Data.Shards;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Data;

public sealed class ShardCacheTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Shards_AnyNumberOfWorkers_AreTheSameBytes()
    {
        _folder.Write("in/a.txt", string.Concat(Enumerable.Range(0, 120_000).Select(static n => $"line {n} ẹ̀kọ́{(n % 5 == 0 ? "\n\n" : "\n")}")));
        _folder.Write("in/b.jsonl.gz", DataFolder.Gzip(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 20_000).Select(static n => $"{{\"text\":\"number {n}\"}}\n")))));
        Dictionary<int, Dictionary<string, byte[]>> made = [];
        foreach (int workers in (int[])[1, 2, 7])
        {
            string cache = Path.Combine(_folder.Path, $"cache{workers}");
            DataOptions options = _folder.Options(64, new DataSource { Path = Path.Combine(_folder.Path, "in") }) with { Workers = workers, CacheFolder = cache };
            using PreparedData data = DataFolder.Prepare(options);
            made[workers] = Directory.GetFiles(cache, "*", SearchOption.AllDirectories).ToDictionary(path => Path.GetRelativePath(cache, path), File.ReadAllBytes);
        }

        Assert.Contains(made[1].Keys, name => name.EndsWith(".tokens", StringComparison.Ordinal));
        foreach (Dictionary<string, byte[]> other in (Dictionary<string, byte[]>[])[made[2], made[7]])
        {
            Assert.Equal(made[1].Keys.Order(), other.Keys.Order());
            Assert.All(made[1], file => Assert.True(file.Value.AsSpan().SequenceEqual(other[file.Key]), file.Key));
        }
    }

    [Fact]
    public void Shard_Bytes_AreAsDocumented()
    {
        string path = _folder.Write("a.txt", "\n\nab\n\nc");
        using PreparedData data = DataFolder.Prepare(_folder.Options(8, new DataSource { Path = path }));
        byte[] bytes = File.ReadAllBytes(Directory.GetFiles(_folder.Cache, "*.tokens", SearchOption.AllDirectories).Single());
        Assert.Equal("KIDOGOTK"u8, bytes.AsSpan(0, 8));
        Assert.Equal([1, 2, 259, 0], Enumerable.Range(0, 4).Select(i => BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(8 + (4 * i)))));
        Assert.Equal([5L, 2L], Enumerable.Range(0, 2).Select(i => BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(24 + (8 * i)))));
        Assert.Equal(['a', 'b', DataFolder.TextEnd, 'c', DataFolder.TextEnd], Enumerable.Range(0, 5).Select(i => (int)BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(128 + (2 * i)))));
        Assert.Equal(128 + 16 + 80, bytes.Length);
        Assert.Equal([0L, 2L, 3L, 1L], ((int[])[144, 152, 184, 192]).Select(at => BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at))));
        Assert.Equal([3L, 5L], ((int[])[168, 208]).Select(at => BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at))));
    }

    [Fact]
    public void Cache_SameInputs_AreUsed_AnyOtherIsMadeAnew()
    {
        string path = _folder.Write("a.txt", "one\n\ntwo\n\nthree");
        DataSource source = new() { Path = path };
        DataOptions options = _folder.Options(8, source);
        Assert.False(FromCache(options));
        Assert.True(FromCache(options));
        Assert.True(FromCache(options with { Seed = 9, Context = 4, HeldOut = 0.5, Workers = 5 }));
        Assert.False(FromCache(options with { EndDocuments = false }));
        Assert.False(FromCache(options with { Sources = [source with { Documents = DocumentBorder.Line }] }));
        Assert.False(FromCache(options, Tokenizer.Create(DataFolder.Definition() with { PreTokenizer = "qwen2" })));

        // The same length and the same time, another letter.
        DateTime written = File.GetLastWriteTimeUtc(path);
        File.WriteAllText(path, "one\n\ntwO\n\nthree");
        File.SetLastWriteTimeUtc(path, written);
        Assert.False(FromCache(options));
        Assert.True(FromCache(options));
    }

    [Fact]
    public void Cache_DamagedAnywhere_IsMadeAnewOrRefused()
    {
        string path = _folder.Write("a.txt", "one\n\ntwo\n\nthree");
        DataOptions options = _folder.Options(8, new DataSource { Path = path });
        Assert.False(FromCache(options));
        string shard = Directory.GetFiles(_folder.Cache, "*.tokens", SearchOption.AllDirectories).Single();
        byte[] good = File.ReadAllBytes(shard);
        Random random = new(1);
        for (int at = 0; at < good.Length; at += at < ShardLayout.HeaderBytes ? 1 : 3)
        {
            byte[] bad = [.. good];
            bad[at] ^= (byte)(1 << random.Next(8));
            Replace(shard, random.Next(3) == 0 ? good[..at] : bad);
            Exception? failure = Record.Exception(() =>
            {
                using PreparedData data = DataFolder.Prepare(options);
                Assert.True(data.Sources[0].FromCache ? at >= ShardLayout.HeaderBytes : File.ReadAllBytes(shard).AsSpan().SequenceEqual(good));
                data.OpenTraining().Next(new TokenBatch(8, 8));
            });
            Assert.True(failure is null or DataFormatException, failure?.ToString());
            Replace(shard, good);
        }

        foreach (string manifest in (string[])["", "{}", "[1]", "null", "{\"key\":\"x\",\"shards\":[{\"name\":\"../../a.txt\",\"bytes\":1}]}", new string('[', 1000)])
        {
            File.WriteAllText(Path.Combine(Path.GetDirectoryName(shard)!, Manifest.FileName), manifest);
            Assert.False(FromCache(options));
        }
    }

    [Fact]
    public void Cache_Layouts_ThatContradictThemselves_AreRefused()
    {
        byte[] key = new byte[ShardLayout.KeyBytes];
        byte[] header = new byte[ShardLayout.HeaderBytes];
        ShardLayout good = new(2, 300, true, 10, 2);
        good.Write(header, key);
        Assert.Equal(good, ShardLayout.Read(header, good.FileBytes, key, "a"));
        foreach (ShardLayout bad in (ShardLayout[])[good with { Tokens = -1 }, good with { Tokens = long.MaxValue }, good with { Documents = long.MinValue }, good with { IdBytes = 4 }, good with { Vocabulary = 0 }, good with { Vocabulary = -5 }])
        {
            bad.Write(header, key);
            Assert.Throws<DataFormatException>(() => ShardLayout.Read(header, good.FileBytes, key, "a"));
        }

        good.Write(header, key);
        key[3] = 1;
        Assert.Throws<DataFormatException>(() => ShardLayout.Read(header, good.FileBytes, key, "a"));
        Assert.Throws<DataFormatException>(() => ShardLayout.Read(header.AsSpan(0, 50), good.FileBytes, key, "a"));
    }

    [Fact]
    public void Cache_Cancelled_LeavesNothingHalf()
    {
        string path = _folder.Write("a.txt", string.Concat(Enumerable.Range(0, 300_000).Select(static n => $"line {n}\n\n")));
        DataOptions options = _folder.Options(8, new DataSource { Path = path });
        using CancellationTokenSource stop = new();
        Assert.ThrowsAny<OperationCanceledException>(() => PreparedData.Prepare(options, DataFolder.Bytes, progress: new StopAfter(stop), cancellation: stop.Token));
        Assert.Empty(Directory.GetDirectories(_folder.Cache));

        // What a killed process leaves is neither used nor in the way.
        string partial = Path.Combine(_folder.Path, "cache", "x.partial");
        Directory.CreateDirectory(partial);
        Assert.False(FromCache(options));
        Assert.True(FromCache(options));
        string made = Directory.GetFiles(_folder.Cache, "*.tokens", SearchOption.AllDirectories)[0];
        Directory.Move(Path.GetDirectoryName(made)!, Path.GetDirectoryName(made)! + ".partial");
        Assert.False(FromCache(options));
    }

    [Fact]
    public void Prepare_Progress_EndsWithAllBytes()
    {
        string a = _folder.Write("a.txt", string.Concat(Enumerable.Range(0, 50_000).Select(static n => $"line {n}\n\n")));
        string b = _folder.Write("b.txt.gz", DataFolder.Gzip(File.ReadAllBytes(a)));
        Collect collected = new();
        using PreparedData data = PreparedData.Prepare(_folder.Options(8, new DataSource { Path = a }, new DataSource { Path = b }), DataFolder.Bytes, progress: collected);
        Assert.Equal(new FileInfo(a).Length + new FileInfo(b).Length, collected.All[^1].BytesDone);
        Assert.Equal(collected.All[^1].BytesTotal, collected.All[^1].BytesDone);
        Assert.Equal(100_000, collected.All[^1].Documents);
        Assert.True(collected.All.Zip(collected.All.Skip(1)).All(pair => pair.First.BytesDone <= pair.Second.BytesDone));
    }

    [Fact]
    public void Store_WideIds_AreKept()
    {
        // A vocabulary beyond 65,536 needs four bytes an id.
        PieceList pieces = new();
        for (int value = 0; value < 256; value++)
        {
            pieces.Add(new Rune(ByteAlphabet.CodePointOf((byte)value)).ToString());
        }

        while (pieces.Count < 70_000)
        {
            pieces.Add($"<|{pieces.Count}|>");
        }

        int[] kinds = [.. Enumerable.Range(0, 70_000).Select(static id => (int)(id < 256 ? TokenKind.Normal : TokenKind.Control))];
        Tokenizer wide = Tokenizer.Create(new TokenizerDefinition { Model = TokenizerModelKind.ByteLevelBytePair, Pieces = pieces, Merges = new PieceList(), Kinds = kinds, PreTokenizer = "gpt-2", EosId = 69_999 });
        using PreparedData data = DataFolder.Prepare(_folder.Options(3, new DataSource { Path = _folder.Write("a.txt", "abc") }), wide);
        TokenBatch batch = new(1, 3);
        data.OpenTraining().Next(batch);
        Assert.Equal(['a', 'b', 'c'], batch.Ids);
        Assert.Equal(['b', 'c', 69_999], batch.Targets);
        Assert.Equal(2, batch.TextBytes);
    }

    private static bool FromCache(DataOptions options, Tokenizer? tokenizer = null)
    {
        using PreparedData data = DataFolder.Prepare(options, tokenizer);
        return data.Sources[0].FromCache;
    }

    // Beside and renamed: a file that is mapped is not to be shortened.
    private static void Replace(string path, byte[] bytes)
    {
        File.WriteAllBytes(path + ".new", bytes);
        File.Move(path + ".new", path, overwrite: true);
    }

    private sealed class StopAfter(CancellationTokenSource stop) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => stop.Cancel();
    }

    private sealed class Collect : IProgress<DataProgress>
    {
        public List<DataProgress> All { get; } = [];

        public void Report(DataProgress value) => All.Add(value);
    }
}
