// Reads texts once, in blocks, and counts their words on several threads. Knows not how texts are cut.
using System.Text;
using System.Text.Unicode;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>What was read.</summary>
/// <param name="Texts">Texts that are not empty.</param>
/// <param name="Bytes">Their bytes, after repair.</param>
/// <param name="InvalidSequences">Stretches that were no UTF-8 and became U+FFFD.</param>
internal readonly record struct TextTotals(long Texts, long Bytes, long InvalidSequences);

/// <summary>Counts words. Blocks are cut by the texts alone and merged in their order, so that results do not depend on the number of threads, not even where
/// rare words have to be dropped.</summary>
internal sealed class WordCounter
{
    private const int LargestText = 16 << 20; // a larger one is cut, at a line end if there is one

    private readonly WordCutter _cutter;
    private readonly TokenizerTrainingOptions _options;
    private readonly IProgress<TokenizerTrainingProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly ulong _seed = (ulong)Random.Shared.NextInt64();
    private readonly AddedTokens _special = new(asciiSpaceOnly: false);
    private readonly Queue<Task<Block>> _running = new();
    private readonly Stack<Block> _idle = new();
    private readonly WordTable _words;
    private long _texts, _bytes, _invalid;

    private WordCounter(WordCutter cutter, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress, CancellationToken cancellation)
    {
        _cutter = cutter;
        _options = options;
        _progress = progress;
        _cancellation = cancellation;
        _words = new WordTable(_seed);
        for (int i = 0; i < options.SpecialTokens.Count; i++)
        {
            _special.Add(Encoding.UTF8.GetBytes(options.SpecialTokens[i]),
                new AddedToken(i, Special: true, SingleWord: false, StripLeft: false, StripRight: false));
        }

        _special.Freeze();
    }

    /// <summary>Counts the words of all texts. Special tokens that are spelt out in a text end a word and are not counted.</summary>
    /// <exception cref="TokenizerTrainingException">Bytes are no UTF-8 and that is forbidden, or there is no text at all.</exception>
    public static WordTable Count(
        IEnumerable<ReadOnlyMemory<byte>> texts, WordCutter cutter, TokenizerTrainingOptions options, IProgress<TokenizerTrainingProgress>? progress,
            CancellationToken cancellation, out TextTotals totals)
    {
        WordCounter counter = new(cutter, options, progress, cancellation);
        counter.Read(texts);
        totals = new TextTotals(counter._texts, counter._bytes, counter._invalid);
        return counter._words.Count > 0
            ? counter._words
            : throw new TokenizerTrainingException($"The texts are empty: {totals.Bytes} bytes in {totals.Texts} texts, and not a word to learn from. Name "
                + "files with text.");
    }

    private sealed class Block(ulong seed)
    {
        public ByteBuffer Text { get; } = new();

        public List<int> Ends { get; } = [];

        public WordTable Words { get; } = new(seed);

        public void Clear()
        {
            Text.Clear();
            Ends.Clear();
            Words.Clear();
        }
    }

    private void Read(IEnumerable<ReadOnlyMemory<byte>> texts)
    {
        Block block = new(_seed);
        foreach (ReadOnlyMemory<byte> text in texts)
        {
            ReadOnlySpan<byte> rest = text.Span;
            _texts += rest.IsEmpty ? 0 : 1;
            while (!rest.IsEmpty)
            {
                int length = rest.Length <= LargestText ? rest.Length : CutLarge(rest);
                Append(rest[..length], block);
                rest = rest[length..];
                if (block.Text.Count >= _options.BlockBytes)
                {
                    Start(block);
                    block = _idle.TryPop(out Block? idle) ? idle : new Block(_seed);
                }
            }
        }

        Start(block);
        while (_running.Count > 0)
        {
            MergeOldest();
        }
    }

    private static int CutLarge(ReadOnlySpan<byte> text)
    {
        int line = text[..LargestText].LastIndexOf((byte)'\n');
        int cut = line > 0 ? line + 1 : LargestText;
        for (int back = 0; back < 3 && (text[cut] & 0xC0) == 0x80; back++)
        {
            cut--;
        }

        return cut;
    }

    private void Append(ReadOnlySpan<byte> text, Block block)
    {
        if (Utf8.IsValid(text))
        {
            block.Text.Add(text);
        }
        else if (_options.Strict)
        {
            throw new TokenizerTrainingException($"Text {_texts} has bytes that are no UTF-8. Convert it, or let such bytes be replaced by leaving out "
                + "--strict.");
        }
        else
        {
            Repair(text, block.Text);
        }

        block.Ends.Add(block.Text.Count);
    }

    private void Repair(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        while (!text.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(text, out _, out int length) == System.Buffers.OperationStatus.Done;
            output.Add(valid ? text[..length] : "\uFFFD"u8);
            _invalid += valid ? 0 : 1;
            text = text[length..];
        }
    }

    private void Start(Block block)
    {
        _cancellation.ThrowIfCancellationRequested();
        _bytes += block.Text.Count;
        if (_options.Threads == 1)
        {
            CountWords(block);
            Merge(block);
            return;
        }

        if (_running.Count >= _options.Threads)
        {
            MergeOldest();
        }

        _running.Enqueue(Task.Run(() => CountWords(block)));
    }

    private Block CountWords(Block block)
    {
        List<Fragment> fragments = [];
        int start = 0;
        foreach (int end in block.Ends)
        {
            ReadOnlySpan<byte> text = block.Text.Span[start..end];
            start = end;
            fragments.Clear();
            _special.Cut(text, [], fragments);
            foreach (Fragment fragment in fragments)
            {
                if (fragment.Id < 0)
                {
                    _cutter.Cut(text[fragment.Start..fragment.End], block.Words);
                }
            }
        }

        return block;
    }

    private void MergeOldest() => Merge(_running.Dequeue().GetAwaiter().GetResult());

    private void Merge(Block block)
    {
        _words.Add(block.Words);
        if (_words.Count > _options.MaxDistinctWords || _words.Bytes > 1 << 29)
        {
            _words.DropRare(_options.MaxDistinctWords);
        }

        block.Clear();
        _idle.Push(block);
        _progress?.Report(new TokenizerTrainingProgress(TokenizerTrainingStage.Counting, _bytes, 0));
    }
}
