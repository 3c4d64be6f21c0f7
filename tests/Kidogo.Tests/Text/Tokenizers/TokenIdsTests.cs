using System.Text;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Text.Tokenizers;

public sealed class TokenIdsTests
{
    private const int Vocabulary = 50_000;

    [Fact]
    public void Read_MoreThanABuffer_GivesWhatParseGives()
    {
        Random random = new(1);
        int[] ids = [.. Enumerable.Range(0, 40_000).Select(_ => random.Next(Vocabulary))];
        byte[] text = Encoding.ASCII.GetBytes(string.Join(' ', ids));
        Assert.Equal(ids, TokenIds.Read(new MemoryStream(text), "x", Vocabulary, int.MaxValue));
        Assert.Equal(ids, TokenIds.Parse(text, "x", Vocabulary));
    }

    [Fact]
    public void Read_EnoughIds_StopsReading()
    {
        using EndlessStream stream = new("5\n"u8.ToArray());
        Assert.Equal(100, TokenIds.Read(stream, "x", Vocabulary, 100).Length);
        Assert.InRange(stream.BytesRead, 1, 1 << 20);
    }

    [Theory]
    [InlineData("\0", "no token id")]
    [InlineData("5", "outside the model's vocabulary")]
    public void Read_AWordWithoutEnd_IsRefusedAtOnce(string piece, string expected)
    {
        using EndlessStream stream = new(Encoding.ASCII.GetBytes(piece));
        Assert.Contains(expected, Assert.Throws<TokenizerException>(() => TokenIds.Read(stream, "x", Vocabulary, 100)).Message, StringComparison.Ordinal);
        Assert.InRange(stream.BytesRead, 1, 1 << 20);
    }

    [Fact]
    public void Read_WrongWord_NamesPositionAndByteInTheWholeText()
    {
        string text = string.Concat(Enumerable.Repeat("12345 ", 20_000)) + "x";
        Assert.Contains("position 20000 (byte 120000)", Assert.Throws<TokenizerException>(() => TokenIds.Read(new MemoryStream(Encoding.ASCII.GetBytes(text)), "x", Vocabulary, int.MaxValue)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CountInvalid_CountsTheBytesThatAreNoUtf8()
    {
        Assert.Equal(0, Tokenizer.CountInvalid("aé"u8));
        Assert.Equal(2, Tokenizer.CountInvalid([(byte)'a', 0xFF, 0xFE, (byte)'b']));
    }

    /// <summary>The same bytes again and again.</summary>
    private sealed class EndlessStream(byte[] bytes) : Stream
    {
        public long BytesRead { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => BytesRead; set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            for (int i = 0; i < count; i++)
            {
                buffer[offset + i] = bytes[BytesRead++ % bytes.Length];
            }

            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
