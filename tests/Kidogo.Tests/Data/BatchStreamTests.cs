// The laws of batches: everything once an epoch, nothing across a border, resuming changes nothing, neither do threads.
using System.Buffers;
using System.Text;
using System.Text.Json;
using Kidogo.Data;
using Kidogo.Data.Packing;

namespace Kidogo.Tests.Data;

public sealed class BatchStreamTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(100)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(70_000)]
    public void Permutation_AnyCount_IsABijectionThatTheKeyDecides(int count)
    {
        Permutation order = new(count, 7);
        bool[] seen = new bool[count];
        for (int place = 0; place < count; place++)
        {
            long thing = order[place];
            Assert.False(seen[thing]);
            seen[thing] = true;
        }

        if (count >= 100)
        {
            Permutation other = new(count, 8);
            Assert.InRange(Enumerable.Range(0, count).Count(place => order[place] == other[place]), 0, 20);
            Assert.InRange(Enumerable.Range(0, count).Count(place => order[place] == place), 0, 20);
        }
    }

    [Fact]
    public void Permutation_Places_AreEvenOverKeys()
    {
        const int Keys = 20_000;
        const int Count = 10;
        int[] first = new int[Count];
        for (ulong key = 0; key < Keys; key++)
        {
            first[new Permutation(Count, key)[0]]++;
        }

        // Each has 2,000 of 20,000 with a standard deviation of 42: five of them.
        Assert.All(first, count => Assert.InRange(count, 1790, 2210));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(16)]
    [InlineData(100)]
    [InlineData(5000)]
    public void Text_Epoch_HasEveryPositionOnceAndNoneAcrossABorder(int context)
    {
        string[] texts = Texts(60);
        using PreparedData data = DataFolder.Prepare(_folder.Options(context, new DataSource { Path = _folder.Write("a.txt", string.Join("\n\n", texts)) }) with { Seed = 3 });
        long positions = data.Sources[0].TrainingPositions;
        Assert.Equal(texts.Sum(text => text.Length), positions); // n bytes and an end, less one

        // Two epochs, counted by pairs of what is predicted from where: the texts are told apart by their first characters.
        BatchStream stream = data.OpenTraining();
        TokenBatch batch = new(1, context);
        Dictionary<(string, string), int> expected = [];
        foreach (string text in texts)
        {
            for (int at = 0; at < text.Length; at += 1)
            {
                Count(expected, (text[at].ToString(), at + 1 < text.Length ? text[at + 1].ToString() : "end"), 2);
            }
        }

        Dictionary<(string, string), int> seen = [];
        long taken = 0;
        while (taken < 2 * positions)
        {
            Assert.True(stream.Next(batch));
            Assert.Equal(context, batch.Filled); // nothing is wasted
            Assert.Equal(context, batch.Scored);
            Assert.Equal(context, batch.Segments.Sum(segment => segment.Length));
            foreach (BatchSegment segment in batch.Segments)
            {
                for (int i = segment.First; i < segment.First + segment.Length; i++, taken++)
                {
                    Assert.Equal(i - segment.First, batch.Positions[i]);
                    if (taken < 2 * positions)
                    {
                        Count(seen, (((char)batch.Ids[i]).ToString(), batch.Targets[i] == DataFolder.TextEnd ? "end" : ((char)batch.Targets[i]).ToString()), 1);
                    }

                    if (i + 1 < segment.First + segment.Length)
                    {
                        Assert.Equal(batch.Ids[i + 1], batch.Targets[i]);
                    }
                }
            }
        }

        // Rows that straddle the end of the second epoch hold a little of the third, which was not counted only if it came last.
        int differing = expected.Keys.Union(seen.Keys).Sum(pair => Math.Abs(expected.GetValueOrDefault(pair) - seen.GetValueOrDefault(pair)));
        Assert.InRange(differing, 0, 2 * context);
        Assert.InRange(stream.Progress[0].Epochs, 2, 2 + (2.0 * context * texts.Length / positions) + 1);
    }

    [Fact]
    public void Text_OneEpochOfShortDocuments_HasEachOnce()
    {
        string[] texts = [.. Enumerable.Range(0, 300).Select(n => $"document {n}.")];
        using PreparedData data = DataFolder.Prepare(_folder.Options(1 << 16, new DataSource { Path = _folder.Write("a.txt", string.Join('\n', texts)), Documents = DocumentBorder.Line }));
        string[] first = [.. DataFolder.Sequences(data.OpenTraining(), 1, 1, 1 << 16).Select(sequence => DataFolder.Text(sequence.Ids))];
        Assert.Equal(texts.Order(), first.Take(300).Order());
        Assert.NotEqual(texts, first.Take(300));
        Assert.Equal(texts.Order(), first.Skip(300).Take(300).Order());
        Assert.NotEqual(first.Take(300), first.Skip(300).Take(300)); // an epoch has an order of its own
    }

    [Fact]
    public void Text_LongDocument_IsCutIntoWholeWindows()
    {
        string longText = string.Concat(Enumerable.Range(0, 1000).Select(static n => (char)('a' + (n % 26))));
        string path = _folder.Write("a.txt", $"{longText}\n\nXYZ\n\nUVW");
        using PreparedData data = DataFolder.Prepare(_folder.Options(100, new DataSource { Path = path }));
        TokenBatch batch = new(10, 100);
        BatchStream stream = data.OpenTraining();
        stream.Next(batch);

        // Ten windows of exactly 100 positions fit no other row, whatever shorter documents lie between them.
        Assert.Equal(10, batch.Segments.Count(segment => segment.Length == 100) + (batch.Segments.Any(segment => segment.Length < 100) ? 1 : 0));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Stream_ResumedAnywhere_GoesOnBitForBit(bool conversations)
    {
        DataOptions options = Mixture(conversations);
        using PreparedData data = DataFolder.Prepare(options);
        BatchStream whole = data.OpenTraining();
        TokenBatch batch = new(2, options.Context);
        List<string> batches = [];
        List<string> positions = [];
        List<IReadOnlyList<SourceProgress>> progress = [];
        for (int step = 0; step < 120; step++)
        {
            positions.Add(ToJson(whole.Position));
            progress.Add(whole.Progress);
            Assert.True(whole.Next(batch));
            batches.Add(Describe(batch));
        }

        using PreparedData again = DataFolder.Prepare(options with { Workers = 3 });
        Assert.All(again.Sources, source => Assert.True(source.FromCache));
        Random random = new(5);
        for (int trial = 0; trial < 40; trial++)
        {
            int step = trial == 0 ? 0 : random.Next(120);
            BatchStream resumed = again.OpenTraining();
            for (int before = random.Next(4); before > 0; before--)
            {
                resumed.Next(batch); // a stream that has been used may be set back
            }

            using JsonDocument json = JsonDocument.Parse(positions[step]);
            resumed.Position = StreamPosition.Read(json.RootElement);
            Assert.Equal(positions[step], ToJson(resumed.Position));
            Assert.Equal(progress[step], resumed.Progress);
            for (int at = step; at < Math.Min(120, step + 6); at++)
            {
                resumed.Next(batch);
                Assert.Equal(batches[at], Describe(batch));
            }
        }
    }

    [Fact]
    public void Stream_RowsOfABatch_ChangeNothing()
    {
        DataOptions options = Mixture(true);
        using PreparedData data = DataFolder.Prepare(options);
        Assert.Equal(Rows(data.OpenTraining(), 150, 1, 60), Rows(data.OpenTraining(), 150, 5, 12));
        Assert.Equal(Rows(data.OpenHeldOut(), 150, 1, int.MaxValue), Rows(data.OpenHeldOut(), 150, 7, int.MaxValue));
    }

    [Fact]
    public void Stream_AnotherSeed_GivesAnotherOrder()
    {
        DataOptions options = Mixture(false) with { HeldOut = 0 };
        using PreparedData one = DataFolder.Prepare(options);
        using PreparedData two = DataFolder.Prepare(options with { Seed = 99 });
        Assert.NotEqual(one.Fingerprint, two.Fingerprint);
        Assert.NotEqual(Rows(one.OpenTraining(), 13, 1, 20), Rows(two.OpenTraining(), 13, 1, 20));
    }

    [Fact]
    public void Stream_Weights_AreHeldToARow()
    {
        string a = _folder.Write("a.txt", string.Join("\n\n", Texts(40)));
        string b = _folder.Write("b.txt", string.Join("\n\n", Texts(90)));
        string c = _folder.Write("c.txt", string.Join("\n\n", Texts(20)));
        using PreparedData data = DataFolder.Prepare(_folder.Options(16, new DataSource { Path = a, Weight = 5 }, new DataSource { Path = b, Weight = 1 }, new DataSource { Path = c, Weight = 2.5 }));
        Assert.Equal([5 / 8.5, 1 / 8.5, 2.5 / 8.5], data.Sources.Select(source => source.Share));
        BatchStream stream = data.OpenTraining();
        TokenBatch batch = new(1, 16);
        for (int rows = 1; rows <= 500; rows++)
        {
            stream.Next(batch);
            Assert.All(stream.Progress.Zip(data.Sources), pair => Assert.InRange(pair.First.Rows - (pair.Second.Share * rows), -1.001, 1.001));
        }

        Assert.Equal(500 * 16, stream.Progress.Sum(source => source.Positions));
    }

    [Fact]
    public void Stream_WithoutWeights_GoesThroughAllSourcesAlike()
    {
        string a = _folder.Write("a.txt", string.Join("\n\n", Texts(40)));
        string b = _folder.Write("b.txt", string.Join("\n\n", Texts(160)));
        using PreparedData data = DataFolder.Prepare(_folder.Options(16, new DataSource { Path = a }, new DataSource { Path = b }));
        BatchStream stream = data.OpenTraining();
        TokenBatch batch = new(1, 16);
        for (long rows = data.Sources.Sum(source => source.TrainingPositions) * 2 / 16; rows > 0; rows--)
        {
            stream.Next(batch);
        }

        Assert.All(stream.Progress, source => Assert.InRange(source.Epochs, 1.9, 2.1));
    }

    [Fact]
    public void Random_Ids_AreEvenAndDecidedBySeedAndRow()
    {
        DataOptions options = new() { Sources = [new DataSource { Path = DataSource.RandomPath }], CacheFolder = _folder.Cache, Context = 512 };
        using PreparedData data = DataFolder.Prepare(options);
        TokenBatch batch = new(50, 512);
        BatchStream stream = data.OpenTraining();
        stream.Next(batch);
        int[] counts = new int[259];
        foreach (int id in batch.Ids)
        {
            counts[id]++;
        }

        // 98.8 of 25,600 each with a standard deviation of 9.9: five of them.
        Assert.All(counts, count => Assert.InRange(count, 49, 149));
        StreamPosition position = stream.Position;
        stream.Next(batch);
        string next = Describe(batch);
        BatchStream resumed = data.OpenTraining();
        resumed.Position = position;
        resumed.Next(batch);
        Assert.Equal(next, Describe(batch));
        Assert.False(data.OpenHeldOut().Next(batch));
        Assert.Equal(51_200, resumed.Progress[0].Positions);
        Assert.False(Directory.Exists(_folder.Cache));
    }

    [Fact]
    public void HeldOut_Documents_AreDisjointFromTrainingAndComeOnce()
    {
        string[] texts = [.. Enumerable.Range(0, 500).Select(static n => $"document number {n % 400} of all")]; // a hundred of them twice
        string path = _folder.Write("a.txt", string.Join('\n', texts));
        DataOptions options = _folder.Options(1 << 14, new DataSource { Path = path, Documents = DocumentBorder.Line }) with { HeldOut = 0.1, Seed = 11 };
        using PreparedData data = DataFolder.Prepare(options);
        Assert.InRange(data.Sources[0].HeldOutDocuments, 25, 80);
        Assert.Equal(500, data.Sources[0].HeldOutDocuments + data.Sources[0].TrainingDocuments);
        List<string> held = [.. DataFolder.Sequences(data.OpenHeldOut(), long.MaxValue, 1, 1 << 14).Select(sequence => DataFolder.Text(sequence.Ids))];
        Assert.Equal(data.Sources[0].HeldOutDocuments, held.Count);
        HashSet<string> trained = [.. DataFolder.Sequences(data.OpenTraining(), data.Sources[0].TrainingPositions, 1, 1 << 14).Select(sequence => DataFolder.Text(sequence.Ids))];
        Assert.Empty(held.Intersect(trained));
        Assert.Equal(texts.Where(held.Contains), held); // in their own order

        // The same documents are held out of another file in another order, and others with another seed.
        string other = _folder.Write("b.txt", string.Join('\n', texts.Reverse()));
        using PreparedData again = DataFolder.Prepare(options with { Sources = [new DataSource { Path = other, Documents = DocumentBorder.Line }] });
        Assert.Equal(held.Order(), DataFolder.Sequences(again.OpenHeldOut(), long.MaxValue, 1, 1 << 14).Select(sequence => DataFolder.Text(sequence.Ids)).Order());
        using PreparedData seeded = DataFolder.Prepare(options with { Seed = 12 });
        Assert.True(seeded.Sources[0].FromCache);
        Assert.NotEqual(held, DataFolder.Sequences(seeded.OpenHeldOut(), long.MaxValue, 1, 1 << 14).Select(sequence => DataFolder.Text(sequence.Ids)));
    }

    [Theory]
    [InlineData(0.0001, null, 2, 1)]
    [InlineData(0.5, null, 1, 0)]
    [InlineData(0.0, null, 50, 0)]
    [InlineData(0.01, 7, 50, 7)]
    [InlineData(0.01, 0, 50, 0)]
    public void HeldOut_FewDocuments_AtLeastOneWhereThereAreTwo(double share, int? count, int documents, int expected)
    {
        string path = _folder.Write("a.txt", string.Join('\n', Enumerable.Range(0, documents).Select(static n => $"text {n}")));
        using PreparedData data = DataFolder.Prepare(_folder.Options(16, new DataSource { Path = path, Documents = DocumentBorder.Line }) with { HeldOut = share, HeldOutDocuments = count });
        Assert.Equal(expected, data.Sources[0].HeldOutDocuments);
        Assert.Equal(documents < 3 ? 1 : 0, data.Warnings.Count); // of one document none, of two half
    }

    [Fact]
    public void HeldOut_Bytes_AreThoseOfTheScoredTokens()
    {
        string[] texts = ["abcdef", "ẹ̀kọ́ dára", "x"];
        string path = _folder.Write("a.txt", string.Join('\n', texts.Concat(texts.Select(text => text + "2"))));
        using PreparedData data = DataFolder.Prepare(_folder.Options(4, new DataSource { Path = path, Documents = DocumentBorder.Line }) with { HeldOutDocuments = 3 });
        BatchStream stream = data.OpenHeldOut(0);
        TokenBatch batch = new(2, 4);
        long bytes = 0, scored = 0, filled = 0;
        while (stream.Next(batch))
        {
            (bytes, scored, filled) = (bytes + batch.TextBytes, scored + batch.Scored, filled + batch.Filled);
        }

        // Of each document, the first byte is never a target, and the end stands for no byte.
        Assert.Equal(data.Sources[0].HeldOutPositions, scored);
        Assert.Equal(filled, scored);
        Assert.Equal(data.Sources[0].HeldOutTokens - (2 * data.Sources[0].HeldOutDocuments), bytes);
    }

    [Fact]
    public void Position_OfOtherData_IsRefused()
    {
        string path = _folder.Write("a.txt", string.Join("\n\n", Texts(40)));
        using PreparedData data = DataFolder.Prepare(_folder.Options(16, new DataSource { Path = path }));
        StreamPosition start = data.OpenTraining().Position;
        using PreparedData longer = DataFolder.Prepare(_folder.Options(17, new DataSource { Path = path }));
        Assert.Contains("other data", Assert.Throws<DataFormatException>(() => longer.OpenTraining().Position = start).Message, StringComparison.Ordinal);
        File.AppendAllText(path, "more");
        using PreparedData changed = DataFolder.Prepare(_folder.Options(16, new DataSource { Path = path }));
        Assert.Throws<DataFormatException>(() => changed.OpenTraining().Position = start);

        SourcePosition ok = start.Sources[0];
        foreach (SourcePosition bad in (SourcePosition[])[ok with { Open = 1 }, ok with { Next = 1 << 20 }, ok with { Offset = 1 }, ok with { Next = -1 }, ok with { Offset = 99, Next = 1 }, ok with { Rows = -5 }])
        {
            Assert.Throws<DataFormatException>(() => data.OpenTraining().Position = start with { Sources = [bad] });
        }

        Assert.Throws<DataFormatException>(() => data.OpenTraining().Position = start with { Sources = [] });
        foreach (string json in (string[])["[]", "{}", "{\"fingerprint\":1,\"sources\":[]}", "{\"fingerprint\":\"a\",\"sources\":[{}]}", "{\"fingerprint\":\"a\",\"sources\":[{\"rows\":1.5}]}"])
        {
            using JsonDocument document = JsonDocument.Parse(json);
            Assert.Throws<DataFormatException>(() => StreamPosition.Read(document.RootElement));
        }
    }

    [Fact]
    public void Options_OutOfRange_AreRefused()
    {
        DataSource source = new() { Path = _folder.Write("a.txt", "text") };
        DataOptions options = _folder.Options(16, source);
        foreach (DataOptions bad in (DataOptions[])[
            options with { Sources = [] }, options with { Context = 0 }, options with { Context = int.MaxValue }, options with { HeldOut = -0.1 }, options with { HeldOut = 0.6 }, options with { HeldOut = double.NaN },
            options with { HeldOutDocuments = -1 }, options with { Workers = -1 }, options with { Sources = [source with { Weight = 0 }] }, options with { Sources = [source with { Weight = double.PositiveInfinity }] },
            options with { Sources = [source with { Weight = 1 }, source] }, options with { Sources = [source, new DataSource { Path = DataSource.RandomPath }] }])
        {
            Assert.Throws<ArgumentException>(() => DataFolder.Prepare(bad));
        }

        using PreparedData data = DataFolder.Prepare(options);
        Assert.Throws<ArgumentException>(() => data.OpenTraining().Next(new TokenBatch(1, 17)));
        Assert.Throws<ArgumentOutOfRangeException>(() => data.OpenHeldOut(1));
    }

    private static string[] Texts(int count)
    {
        Random random = new(count);
        return [.. Enumerable.Range(0, count).Select(_ => string.Concat(Enumerable.Range(0, random.Next(1, 60)).Select(_ => (char)('a' + random.Next(26)))))];
    }

    private static void Count(Dictionary<(string, string), int> counts, (string, string) pair, int by) => counts[pair] = counts.GetValueOrDefault(pair) + by;

    private DataOptions Mixture(bool conversations)
    {
        string a = _folder.Write("a.txt", string.Join("\n\n", Texts(60)));
        string b = _folder.Write("b.txt", string.Join("\n\n", Texts(30).Append(new string('z', 700))));
        string c = _folder.Write("c.jsonl", string.Concat(Texts(45).Select(text => $"{{\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}},{{\"role\":\"assistant\",\"content\":\"{text[..(text.Length / 2)]}!\"}}]}}\n")));
        DataOptions options = _folder.Options(150, new DataSource { Path = a, Weight = 1 }, new DataSource { Path = b, Weight = 2 }) with { HeldOut = 0.1, Seed = 42 };
        return conversations ? options with { Sources = [.. options.Sources, new DataSource { Path = c, Weight = 3 }] } : options with { Context = 13 };
    }

    private static List<string> Rows(BatchStream stream, int context, int rows, int batches)
    {
        List<string> described = [];
        for (int i = 0; i < batches; i++)
        {
            TokenBatch batch = new(rows, context);
            if (!stream.Next(batch))
            {
                break;
            }

            for (int row = 0; row < batch.FilledRows; row++)
            {
                int first = row * batch.Context;
                described.Add($"{batch.SourceOfRow[row]}: {string.Join(' ', batch.Ids.AsSpan(first, batch.Context).ToArray())} | {string.Join(' ', batch.Targets.AsSpan(first, batch.Context).ToArray())} | {string.Join(' ', batch.Positions.AsSpan(first, batch.Context).ToArray())}");
            }
        }

        return described;
    }

    private static string Describe(TokenBatch batch) =>
        $"{batch.FilledRows} {batch.Filled} {batch.Scored} {batch.TextBytes} {string.Join(' ', batch.SourceOfRow)} {string.Join(' ', batch.Ids)} {string.Join(' ', batch.Targets)} {string.Join(' ', batch.Positions)} {string.Join(' ', batch.Documents)} {string.Join(' ', batch.Segments)}";

    private static string ToJson(StreamPosition position)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer))
        {
            position.WriteTo(writer);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
