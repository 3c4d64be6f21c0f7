// What counts as a document, in which files, and what is refused.
using System.Text;
using Kidogo.Data;
using Kidogo.Data.Readers;

namespace Kidogo.Tests.Data;

public sealed class ReadersTests : IDisposable
{
    private readonly DataFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("a\nb\n\nc\n", DocumentBorder.Blank, "a\nb|c")]
    [InlineData("\n\n  \na\n \t\n\n\nb", DocumentBorder.Blank, "a|b")]
    [InlineData("a\r\nb\r\n\r\nc\r\n", DocumentBorder.Blank, "a\r\nb|c")]
    [InlineData("one", DocumentBorder.Blank, "one")]
    [InlineData(" a \nb\n\nc\n", DocumentBorder.Line, " a |b|c")]
    [InlineData("a\r\nb", DocumentBorder.Line, "a|b")]
    [InlineData("a\nb\n\nc\n", DocumentBorder.File, "a\nb\n\nc\n")]
    [InlineData("\uFEFFa\n", DocumentBorder.Line, "a")]
    public void Text_Borders_EndDocuments(string text, DocumentBorder border, string documents)
    {
        string path = _folder.Write("a.txt", text);
        Assert.Equal(documents.Split('|'), _folder.Documents(new DataSource { Path = path, Documents = border }));
    }

    [Fact]
    public void Text_LongDocument_IsWholeInParts()
    {
        // More than two parts with line ends, more than two parts of one line, and characters of several bytes at every cut.
        StringBuilder text = new();
        for (int line = 0; text.Length < (2 * ChunkReader.PartBytes) + 12345; line++)
        {
            text.Append(line).Append(line % 7 == 0 ? "\n  indented\n" : "\n");
        }

        string lines = text.ToString().TrimEnd('\n');
        string unbroken = string.Concat(Enumerable.Repeat("ẹ̀kọ́", 600_000));
        string path = _folder.Write("a.txt", $"first\n\n{lines}\n\n{unbroken}\n\nlast");
        using PreparedData data = DataFolder.Prepare(_folder.Options(1 << 20, new DataSource { Path = path }));
        Assert.Equal(4, data.Sources[0].Documents);
        Assert.Equal(data.Sources[0].Bytes + 4, data.Sources[0].Tokens);
        Assert.Equal(0, data.Sources[0].InvalidBytes);

        // The parts end to end are the documents: held-out data come in order, with one token of overlap between windows.
        using PreparedData whole = DataFolder.Prepare(_folder.Options(1 << 20, new DataSource { Path = path }) with { HeldOutDocuments = 3 });
        string all = string.Concat(DataFolder.Sequences(whole.OpenHeldOut(), long.MaxValue, 1, 1 << 20).Concat(DataFolder.Sequences(whole.OpenTraining(), whole.Sources[0].TrainingPositions, 1, 1 << 20))
            .Select(piece => DataFolder.Text(piece.Ids)));
        Assert.Contains("123456", all, StringComparison.Ordinal);
        Assert.True(all.Length >= lines.Length + unbroken.Length);
    }

    [Fact]
    public void ChunkReader_LongDocument_PartsJoinToIt()
    {
        string text = string.Concat(Enumerable.Range(0, 400_000).Select(static line => $"{line} ẹ̀kọ́\n"));
        SourceFile file = SourceFiles.Find(_folder.Write("a.txt", text))[0];
        using ChunkReader reader = new([file], [SourceFiles.Hash(file, CancellationToken.None)], DocumentBorder.Blank);
        StringBuilder joined = new();
        int parts = 0;
        while (reader.Next(CancellationToken.None) is { } chunk)
        {
            foreach (TextPart part in chunk.Parts)
            {
                string piece = new UTF8Encoding(false, true).GetString(chunk[part]);
                Assert.True(parts == 0 || !char.IsWhiteSpace(piece[0]));
                Assert.InRange(part.Length, 1, (2 * ChunkReader.PartBytes) + (1 << 16));
                Assert.Equal(parts == 0, part.IsFirst);
                Assert.Equal(1, part.Line);
                joined.Append(piece);
                parts++;
            }
        }

        Assert.True(parts > 3);
        Assert.Equal(text.TrimEnd('\n'), joined.ToString());
    }

    [Fact]
    public void Folder_AllEndings_AreReadInOrdinalOrder()
    {
        _folder.Write("b.txt", "b");
        _folder.Write("a/z.jsonl", "{\"text\":\"az\"}\n\n{\"id\":1,\"text\":\"az2\",\"more\":{\"text\":\"no\"}}\n");
        _folder.Write("a/y.txt.gz", DataFolder.Gzip("ay"u8.ToArray()));
        _folder.Write("B.JSONL.gz", DataFolder.Gzip("{\"text\":\"B\"}"u8.ToArray()));
        _folder.Write(".hidden.txt", "no");
        _folder.Write(".git/x.txt", "no");
        _folder.Write("readme.md", "no");
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "loop"), _folder.Path);
        Assert.Equal(["B.JSONL.gz", "a/y.txt.gz", "a/z.jsonl", "b.txt"], SourceFiles.Find(_folder.Path).Select(file => file.Name));
        Assert.Equal(["B", "ay", "az", "az2", "b"], _folder.Documents(new DataSource { Path = _folder.Path }));
    }

    [Fact]
    public void JsonLines_Escapes_AreUndone()
    {
        string path = _folder.Write("a.jsonl", "{\"body\":\"a\\n\\u00e9\\ud83d\\ude00\\\\ud800\"}");
        Assert.Equal(["a\né😀\\ud800"], _folder.Documents(new DataSource { Path = path, Field = "body" }));
    }

    [Fact]
    public void JsonLines_HalfSurrogate_IsReplacedAndCounted()
    {
        string path = _folder.Write("a.jsonl", "{\"text\":\"a\\ud83d b\\ude00 \\ud83d\\ude00\"}");
        using PreparedData data = DataFolder.Prepare(_folder.Options(64, new DataSource { Path = path }));
        Assert.Equal(12, data.Sources[0].InvalidBytes);
        Assert.Equal(["a\uFFFD b\uFFFD 😀"], _folder.Documents(new DataSource { Path = path }));
        Assert.Throws<DataFormatException>(() => _folder.Documents(new DataSource { Path = path }, strict: true));
    }

    [Theory]
    [InlineData("{\"text\":\"a\"}\n{\"Text\":\"b\",\"id\":3}\n", 2, "\"text\" is missing", "Text, id")]
    [InlineData("{\"text\":\"a\"}\n\n{\"text\":3}\n", 3, "not text but a number", "")]
    [InlineData("{\"text\":null}\n", 1, "null", "")]
    [InlineData("{\"text\":\"a\"}\n{\"text\":\"b\"\n", 2, "not one JSON object", "")]
    [InlineData("{\"text\":\"a\"}\n{\"text\":\"b\"} x\n", 2, "not one JSON object", "")]
    [InlineData("{\"text\":\"a\"}\n[1]\n", 2, "not an object", "")]
    [InlineData("{}\n", 1, "no fields", "")]
    [InlineData("nonsense", 1, "not one JSON object", "")]
    public void JsonLines_Wrong_IsSaidWithFileAndLine(string text, long line, string problem, string more)
    {
        string path = _folder.Write("a.jsonl", text);
        DataFormatException failure = Assert.Throws<DataFormatException>(() => _folder.Documents(new DataSource { Path = path }));
        Assert.Equal((path, line), (failure.Path, failure.Line));
        Assert.Contains(problem, failure.Message, StringComparison.Ordinal);
        Assert.Contains(more, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void JsonLines_DeepNesting_IsRefused()
    {
        string path = _folder.Write("a.jsonl", "{\"x\":" + new string('[', 100_000) + new string(']', 100_000) + ",\"text\":\"a\"}");
        Assert.Throws<DataFormatException>(() => _folder.Documents(new DataSource { Path = path }));
    }

    [Fact]
    public void Errors_Several_AreTheFirstOfTheFiles()
    {
        string path = _folder.Write("a.jsonl", string.Concat(Enumerable.Range(0, 60_000).Select(static line => line < 30_000 ? "{\"text\":\"word word\"}\n" : "{}\n")));
        for (int time = 0; time < 3; time++)
        {
            Assert.Equal(30_001, Assert.Throws<DataFormatException>(() => _folder.Documents(new DataSource { Path = path })).Line);
        }
    }

    [Fact]
    public void InvalidUtf8_IsCountedAndReplaced_OrRefused()
    {
        string path = _folder.Write("a.txt", [(byte)'a', 0xFF, (byte)'b', 0xE1, 0x80, (byte)'\n', (byte)'\n', 0xC0, 0xAF]);
        using PreparedData data = DataFolder.Prepare(_folder.Options(64, new DataSource { Path = path }));
        Assert.Equal(5, data.Sources[0].InvalidBytes);
        Assert.Contains(data.Warnings, warning => warning.Contains("5 bytes", StringComparison.Ordinal));
        Assert.Equal(["a\uFFFDb\uFFFD", "\uFFFD\uFFFD"], _folder.Documents(new DataSource { Path = path }));
        DataFormatException failure = Assert.Throws<DataFormatException>(() => _folder.Documents(new DataSource { Path = path }, strict: true));
        Assert.Equal((path, 1), (failure.Path, failure.Line));
    }

    [Theory]
    [InlineData("a.txt", "", "empty")]
    [InlineData("a.txt", "\n \n\n", "empty")]
    [InlineData("a.jsonl", "", "empty")]
    [InlineData("a.jsonl", "{\"text\":\"\"}\n{\"text\":\" \\n\"}\n", "all 2 texts are empty")]
    [InlineData("a.parquet", "x", ".txt, .jsonl")]
    public void Source_WithoutText_IsRefused(string name, string text, string problem)
    {
        string path = _folder.Write(name, text);
        Assert.Contains(problem, Assert.Throws<DataFormatException>(() => _folder.Documents(new DataSource { Path = path })).Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.Cache) && Directory.EnumerateDirectories(_folder.Cache).Any());
    }

    [Fact]
    public void Source_EmptyDocuments_AreCountedAndLeftOut()
    {
        string path = _folder.Write("a.jsonl", "{\"text\":\"\"}\n{\"text\":\"a\"}\n{\"text\":\"  \"}\n");
        using PreparedData data = DataFolder.Prepare(_folder.Options(8, new DataSource { Path = path }));
        Assert.Equal((1L, 2L), (data.Sources[0].Documents, data.Sources[0].EmptyDocuments));
    }

    [Fact]
    public void Source_EmptyFolderOrNothing_IsRefused()
    {
        string empty = Directory.CreateDirectory(Path.Combine(_folder.Path, "empty")).FullName;
        Assert.Contains("no file that ends in", Assert.Throws<DataFormatException>(() => _folder.Documents(new DataSource { Path = empty })).Message, StringComparison.Ordinal);
        Assert.Throws<FileNotFoundException>(() => _folder.Documents(new DataSource { Path = Path.Combine(_folder.Path, "absent.txt") }));
    }

    [Fact]
    public void Gzip_CutOffAnywhere_IsRefused()
    {
        byte[] packed = DataFolder.Gzip(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 200).Select(static n => $"line {n * n * 7919}\n"))));
        for (int length = 0; length < packed.Length; length++)
        {
            string path = _folder.Write("a.txt.gz", packed[..length]);
            Assert.Throws<DataFormatException>(() => ReadAll(path));
        }

        Assert.True(ReadAll(_folder.Write("a.txt.gz", packed)) > 1000);
    }

    [Fact]
    public void Gzip_DamagedOrFollowedByOther_IsRefused()
    {
        byte[] packed = DataFolder.Gzip(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 200).Select(static n => $"line {n * n * 7919}\n"))));
        int refused = 0;
        for (int at = 10; at < packed.Length; at += 3)
        {
            byte[] damaged = [.. packed];
            damaged[at] ^= 0x10;
            string path = _folder.Write("a.txt.gz", damaged);
            refused += Record.Exception(() => ReadAll(path)) is DataFormatException ? 1 : 0;
        }

        Assert.Equal((packed.Length - 10 + 2) / 3, refused); // the checksum sees every flip
        string followed = _folder.Write("b.txt.gz", [.. packed, 1, 2, 3]);
        Assert.Throws<DataFormatException>(() => ReadAll(followed));
        Assert.Throws<DataFormatException>(() => ReadAll(_folder.Write("c.txt.gz", "plain text"u8.ToArray())));
    }

    [Fact]
    public void Gzip_SeveralMembers_AreOneText()
    {
        string path = _folder.Write("a.txt.gz", [.. DataFolder.Gzip("one "u8.ToArray()), .. DataFolder.Gzip([]), .. DataFolder.Gzip("text"u8.ToArray())]);
        Assert.Equal(["one text"], _folder.Documents(new DataSource { Path = path }));
    }

    [Fact]
    public void Gzip_Bomb_IsRefused()
    {
        string path = _folder.Write("a.txt.gz", DataFolder.Gzip(new byte[100 << 20]));
        Assert.Contains("times its size", Assert.Throws<DataFormatException>(() => ReadAll(path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { 0xFF, 0xFE, 0x61, 0 }, "UTF-16")]
    [InlineData(new byte[] { 0xFE, 0xFF, 0, 0x61 }, "UTF-16")]
    [InlineData(new byte[] { 0x1F, 0x8B, 8, 0 }, "gzip")]
    public void Text_OfAnotherKind_IsRefused(byte[] bytes, string problem) =>
        Assert.Contains(problem, Assert.Throws<DataFormatException>(() => ReadAll(_folder.Write("a.txt", bytes))).Message, StringComparison.Ordinal);

    [Fact]
    public void LineReader_LineOverTheLimit_ComesInPieces()
    {
        string text = string.Concat(Enumerable.Repeat("ẹ̀kọ́ dára ", 40_000)) + "\nshort\n";
        SourceFile file = SourceFiles.Find(_folder.Write("a.txt", text))[0];
        using LineReader reader = new(file);
        StringBuilder joined = new();
        List<long> lines = [];
        while (reader.Next(1000, out ReadOnlySpan<byte> bytes, out _))
        {
            Assert.InRange(bytes.Length, 1, 1000);
            joined.Append(new UTF8Encoding(false, true).GetString(bytes));
            lines.Add(reader.Line);
        }

        Assert.Equal(text, joined.ToString());
        Assert.Equal((1, 2), (lines[^2], lines[^1]));
    }

    private static long ReadAll(string path)
    {
        SourceFile file = SourceFiles.Find(path)[0];
        using LineReader reader = new(file);
        long count = 0;
        while (reader.Next(1 << 16, out ReadOnlySpan<byte> bytes, out _))
        {
            count += bytes.Length;
        }

        return count;
    }
}
