// Tokens that are known by their spelling: ends of turns, ends of texts, holes to fill. Knows no file format.
namespace Kidogo.Text.Tokenizers;

/// <summary>Finds the tokens at which generation ends.</summary>
/// <remarks>Files name one end of text at best, but models end turns and messages with others; llama.cpp goes by the same spellings.</remarks>
internal static class SpecialTokens
{
    private static readonly string[] s_ends =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>",
        "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "</s>", "<|eom_id|>", "[EOS]", "<eos>", "<turn|>", "<|tool_response>", "[e~[",
    ];

    // Of those above, what may end a turn; the first that there is.
    private const int TurnEnds = 11;

    private static readonly string[][] s_holes =
    [
        ["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"],
        ["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"],
        ["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"],
    ];

    // Paddings and separators of the same sort, which end generation too.
    private static readonly string[][] s_holeEnds =
    [
        ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
        ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
        ["<|file_sep|>"],
    ];

    /// <summary>Finds the ends among the tokens and makes those that go by their spelling control tokens.</summary>
    /// <param name="vocabulary">The pieces; their kinds are changed.</param>
    /// <param name="onlyAdded">Whether only added tokens count (tokenizer.json says which those are), or every piece.</param>
    /// <param name="named">Ids that the file itself names as ends; -1 for none.</param>
    /// <param name="eotId">The end of a turn that the file names, or null; then found by spelling.</param>
    public static HashSet<int> FindEnds(Vocabulary vocabulary, bool onlyAdded, ReadOnlySpan<int> named, ref int? eotId)
    {
        HashSet<int> ends = [];
        TokenKind[] kinds = vocabulary.Kinds;
        for (int i = 0; i < s_ends.Length; i++)
        {
            int id = Find(vocabulary, s_ends[i], onlyAdded);
            if (id >= 0)
            {
                ends.Add(id);
                MakeControl(kinds, id, onlyAdded);
                eotId ??= i < TurnEnds ? id : null;
            }
        }

        foreach (string[] spellings in s_holes)
        {
            MakeControl(kinds, FindFirst(vocabulary, spellings, onlyAdded), onlyAdded);
        }

        foreach (string[] spellings in s_holeEnds)
        {
            int id = FindFirst(vocabulary, spellings, onlyAdded);
            MakeControl(kinds, id, onlyAdded);
            if (id >= 0)
            {
                ends.Add(id);
            }
        }

        foreach (int id in named)
        {
            if (id >= 0)
            {
                ends.Add(id);
            }
        }

        if (eotId is int turn)
        {
            ends.Add(turn);
        }

        Correct(vocabulary, ends, onlyAdded);
        return ends;
    }

    /// <summary>The tokens around a hole, those that a file names before those that are found by their spelling; null where one of them is missing or is an ordinary piece.</summary>
    public static FillInMiddleTokens? FindHole(Vocabulary vocabulary, NamedHoleTokens named)
    {
        int? Spelt(string[] spellings) => FindFirst(vocabulary, spellings, onlyAdded: true) is >= 0 and int id ? id : null;
        return (named.Prefix ?? Spelt(s_holes[0])) is { } prefix && (named.Suffix ?? Spelt(s_holes[1])) is { } suffix && (named.Middle ?? Spelt(s_holes[2])) is { } middle
            ? new FillInMiddleTokens(prefix, suffix, middle) { Repository = named.Repository ?? Spelt(s_holeEnds[1]), File = named.File ?? Spelt(s_holeEnds[2]) }
            : null;
    }

    /// <summary>Makes tokens that a file names control tokens, so that no text becomes them.</summary>
    public static void MakeControl(TokenKind[] kinds, NamedHoleTokens named)
    {
        foreach (int? id in named.All)
        {
            MakeControl(kinds, id ?? -1, onlyAdded: false);
        }
    }

    // Where <|end|> only ends one of several messages, and where </s> is left over from another vocabulary.
    private static void Correct(Vocabulary vocabulary, HashSet<int> ends, bool onlyAdded)
    {
        bool Has(string piece) => Find(vocabulary, piece, onlyAdded) is >= 0 and int id && ends.Contains(id);
        bool call = Has("<|call|>") || Has("<|calls|>");
        int end = Find(vocabulary, "<|end|>", onlyAdded);
        if (end >= 0 && call && (Has("<|return|>") || Has("<|flush|>")) && ends.Remove(end) && !onlyAdded)
        {
            vocabulary.Kinds[end] = TokenKind.UserDefined;
        }

        int leftOver = Find(vocabulary, "</s>", onlyAdded);
        if (leftOver >= 0 && Has("<|tool_response>") && ends.Remove(leftOver) && !onlyAdded)
        {
            vocabulary.Kinds[leftOver] = TokenKind.Normal;
        }
    }

    private static int FindFirst(Vocabulary vocabulary, string[] spellings, bool onlyAdded)
    {
        foreach (string spelling in spellings)
        {
            int id = Find(vocabulary, spelling, onlyAdded);
            if (id >= 0)
            {
                return id;
            }
        }

        return -1;
    }

    private static int Find(Vocabulary vocabulary, string spelling, bool onlyAdded)
    {
        int id = vocabulary.Find(spelling);
        return id >= 0 && onlyAdded && vocabulary.Kinds[id] is not (TokenKind.Control or TokenKind.UserDefined) ? -1 : id;
    }

    // tokenizer.json says itself which tokens are special, and is believed.
    private static void MakeControl(TokenKind[] kinds, int id, bool onlyAdded)
    {
        if (id >= 0 && !onlyAdded)
        {
            kinds[id] = TokenKind.Control;
        }
    }
}
