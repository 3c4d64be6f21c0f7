// Puts a tokenizer together from a neutral description, with the defaults that GGUF files leave unsaid. Knows no file.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.Tokenizers;

/// <summary>Builds the parts of a tokenizer from a <see cref="TokenizerDefinition"/>.</summary>
internal static class DefinitionBuilder
{
    public static TokenizerParts Build(TokenizerDefinition definition)
    {
        List<string> warnings = [];
        int count = definition.Pieces.Count;
        Check(definition, count);
        TokenKind[] kinds = new TokenKind[count];
        for (int id = 0; id < count; id++)
        {
            int kind = definition.Kinds is null ? (int)TokenKind.Normal : definition.Kinds[id];
            kinds[id] = (uint)kind <= (int)TokenKind.Byte ? (TokenKind)kind : TokenKind.Undefined;
        }

        Vocabulary vocabulary = new(definition.Pieces, kinds);
        bool plain = definition.Model == TokenizerModelKind.PlainBytePair || (definition.Model == TokenizerModelKind.ByteLevelBytePair && KnownPatterns.IsPlain(definition.PreTokenizer));
        bool bytePair = plain || definition.Model == TokenizerModelKind.ByteLevelBytePair;
        (int bosDefault, int eosDefault, int unkDefault, int sepDefault, int padDefault, int maskDefault) = definition.Model switch
        {
            TokenizerModelKind.SentencePiece => (1, 2, 0, -1, -1, -1),
            TokenizerModelKind.WordPiece => (101, -1, 100, 102, 0, 103),
            TokenizerModelKind.Unigram => (-1, 1, 2, -1, 0, -1),
            _ => (-1, -1, -1, -1, -1, -1),
        };
        int? Id(int? said, int byDefault, string name)
        {
            if (said is int id && (uint)id >= (uint)count)
            {
                warnings.Add($"The {name} token {id} lies outside the vocabulary of {count} tokens and is ignored.");
                said = null;
            }

            return said ?? ((uint)byDefault < (uint)count ? byDefault : null);
        }

        int? bos = definition.Model == TokenizerModelKind.WordPiece && definition.ClsId is not null
            ? Id(definition.ClsId, bosDefault, "classification")
            : Id(definition.BosId, bosDefault, "start");
        int? eos = Id(definition.EosId, eosDefault, "end"), unk = Id(definition.UnkId, unkDefault, "unknown"), sep = Id(definition.SepId, sepDefault, "separator");
        int? eot = Id(definition.EotId, -1, "end-of-turn"), eom = Id(definition.EomId, -1, "end-of-message");
        NamedHoleTokens hole = definition.Hole.With(id => Id(id, -1, "fill-in-the-middle"));
        SpecialTokens.MakeControl(kinds, hole);
        HashSet<int> ends = SpecialTokens.FindEnds(vocabulary, onlyAdded: false, [eos ?? -1, eom ?? -1, hole.Padding ?? -1, hole.Repository ?? -1, hole.File ?? -1], ref eot);

        AddedTokens added = AddedTokensOf(definition, vocabulary);
        PieceTrie userDefined = new();
        for (int id = 0; id < count && definition.Model == TokenizerModelKind.Unigram; id++)
        {
            if (kinds[id] == TokenKind.UserDefined && System.Text.Unicode.Utf8.IsValid(vocabulary[id]))
            {
                userDefined.Add(vocabulary[id], id);
            }
        }

        bool spacePrefix = definition.AddSpacePrefix ?? definition.Model == TokenizerModelKind.SentencePiece;
        (bool addBos, bool addEos) = Surroundings(definition, plain);
        List<int> prefix = addBos && bos is int first ? [first] : [];
        List<int> suffix = addEos && eos is int last ? [last] : [];
        if (definition.Model == TokenizerModelKind.WordPiece)
        {
            suffix = (definition.AddSep ?? true) && sep is int end ? [end] : [];
        }

        if (addBos && bos is null)
        {
            warnings.Add("The file asks for a start token before each text but names none; none is added.");
        }

        return new TokenizerParts
        {
            Vocabulary = vocabulary,
            Added = added,
            Normalizer = NormalizerOf(definition, plain, spacePrefix, userDefined),
            PreTokenizer = bytePair ? PreTokenizerOf(definition, warnings) : definition.Model == TokenizerModelKind.WordPiece ? BertWords() : null,
            Model = new Lazy<SubwordModel>(() => ModelOf(definition, vocabulary, plain, unk ?? -1)),
            Decoder = bytePair && !plain ? new ByteLevelPieceDecoder()
                : definition.Model == TokenizerModelKind.WordPiece ? new WordPieceDecoder("▁", prefixBeginsWord: true, cleanUp: true)
                : new MarkerPieceDecoder(dropsAddedSpace: spacePrefix && !plain),
            Prefix = [.. prefix],
            Suffix = [.. suffix],
            BosId = bos,
            EosId = eos,
            EotId = eot,
            UnkId = unk,
            SepId = sep,
            PadId = Id(definition.PadId, padDefault, "padding"),
            MaskId = Id(definition.MaskId, maskDefault, "mask"),
            Hole = SpecialTokens.FindHole(vocabulary, hole),
            Ends = ends,
            Warnings = warnings,
        };
    }

    /// <summary>BERT's words: cut at white space, punctuation by itself.</summary>
    public static SequencePreTokenizer BertWords() => new(
    [
        new SplitPreTokenizer(new ClassPattern(Unicode.CodePoints.IsSpace, int.MaxValue), SplitBehavior.Removed),
        new SplitPreTokenizer(new ClassPattern(KnownPatterns.IsPunctuation, 1), SplitBehavior.Isolated),
    ]);

    private static void Check(TokenizerDefinition definition, int count)
    {
        if (count is 0 or > Vocabulary.MaxPieces)
        {
            throw new TokenizerFormatException($"The vocabulary has {count} tokens; expected 1 to {Vocabulary.MaxPieces}.");
        }

        if (definition.Scores is not null && definition.Scores.Length < count)
        {
            throw new TokenizerFormatException($"The vocabulary has {count} tokens but only {definition.Scores.Length} scores; expected one each.");
        }

        if (definition.Kinds is not null && definition.Kinds.Length < count)
        {
            throw new TokenizerFormatException($"The vocabulary has {count} tokens but only {definition.Kinds.Length} token types; expected one each.");
        }

        if (definition.Model is TokenizerModelKind.ByteLevelBytePair or TokenizerModelKind.PlainBytePair)
        {
            if (definition.Merges is null && definition.PreTokenizer is not ("kimi-k2" or "whitespace"))
            {
                throw new TokenizerFormatException("A byte-pair vocabulary needs merges, and there are none.");
            }

            if (definition.Merges is not null && definition.Merges.Count % 2 != 0)
            {
                throw new TokenizerFormatException($"The merges have {definition.Merges.Count} halves; expected an even number.");
            }
        }
        else if (definition.Scores is null && definition.Model != TokenizerModelKind.WordPiece)
        {
            throw new TokenizerFormatException($"A vocabulary of the kind {definition.Model} needs scores, and there are none.");
        }
    }

    private static (bool Bos, bool Eos) Surroundings(TokenizerDefinition definition, bool plain)
    {
        (bool bos, bool eos) = definition.Model switch
        {
            TokenizerModelKind.SentencePiece or TokenizerModelKind.WordPiece => (true, false),
            TokenizerModelKind.Unigram => (false, true),
            _ => (KnownPatterns.AddsBos(definition.PreTokenizer), false),
        };
        bool always = definition.Model == TokenizerModelKind.WordPiece || (plain && definition.PreTokenizer is null or "gemma4" && definition.Model == TokenizerModelKind.PlainBytePair);
        return (always || (definition.AddBos ?? bos), definition.AddEos ?? eos);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static AddedTokens AddedTokensOf(TokenizerDefinition definition, Vocabulary vocabulary)
    {
        AddedTokens added = new(asciiSpaceOnly: true);
        HashSet<int> left = [.. definition.TokensStrippingLeft], right = [.. definition.TokensStrippingRight];
        for (int id = 0; id < vocabulary.Count; id++)
        {
            TokenKind kind = vocabulary.Kinds[id];
            if (kind is not (TokenKind.Control or TokenKind.UserDefined or TokenKind.Unknown) || !System.Text.Unicode.Utf8.IsValid(vocabulary[id]))
            {
                continue;
            }

            ReadOnlySpan<byte> piece = vocabulary[id];
            bool strips = right.Contains(id) || (definition.AddedTokensStripRight && !piece.SequenceEqual("<unk>"u8) && !piece.SequenceEqual("<s>"u8) && !piece.SequenceEqual("<|endoftext|>"u8));
            added.Add(piece, new AddedToken(id, kind != TokenKind.UserDefined, SingleWord: false, left.Contains(id), strips));
        }

        added.Freeze();
        return added;
    }

    private static Normalizer? NormalizerOf(TokenizerDefinition definition, bool plain, bool spacePrefix, PieceTrie userDefined)
    {
        switch (definition.Model)
        {
            case TokenizerModelKind.SentencePiece:
                ReplaceNormalizer marker = new(" ", null, "▁");
                return spacePrefix ? new SequenceNormalizer([new PrependNormalizer("▁"), marker]) : marker;
            case TokenizerModelKind.Unigram:
                PrecompiledCharsMap? map = definition.PrecompiledCharsMap is { Length: > 0 } data ? new PrecompiledCharsMap(data) : null;
                return new SentencePieceNormalizer(map, userDefined, spacePrefix, definition.RemoveExtraWhitespaces ?? false);
            case TokenizerModelKind.WordPiece:
                bool lower = definition.Lowercase ?? true;
                return new GgufBertNormalizer(definition.StripAccents ?? lower, lower);
            default:
                return plain && definition.PreTokenizer != "whitespace" ? new ReplaceNormalizer(" ", null, "▁") : null;
        }
    }

    private static PreTokenizer PreTokenizerOf(TokenizerDefinition definition, List<string> warnings)
    {
        string? name = definition.Model == TokenizerModelKind.PlainBytePair ? "gemma4" : definition.PreTokenizer;
        TextPattern[]? patterns = string.IsNullOrEmpty(name) ? null : KnownPatterns.OfName(name);
        if (patterns is null)
        {
            warnings.Add(string.IsNullOrEmpty(name)
                ? "The file names no pre-tokenizer; the default one is used, and answers may be worse than the model can give."
                : $"The pre-tokenizer '{name}' is not known; the default one is used, and answers may be worse than the model can give.");
            patterns = KnownPatterns.OfName("default")!;
        }

        PreTokenizer[] steps = Array.ConvertAll(patterns, static pattern => (PreTokenizer)new SplitPreTokenizer(pattern, SplitBehavior.Isolated));
        return steps.Length == 1 ? steps[0] : new SequencePreTokenizer(steps);
    }

    private static SubwordModel ModelOf(TokenizerDefinition definition, Vocabulary vocabulary, bool plain, int unk) => definition.Model switch
    {
        TokenizerModelKind.SentencePiece => new SentencePieceModel(vocabulary, definition.Scores!, unk),
        TokenizerModelKind.Unigram => new UnigramModel(vocabulary, Array.ConvertAll(definition.Scores!, static score => (double)score), unk, byteFallback: false, userDefinedAreFree: true),
        TokenizerModelKind.WordPiece => new WordPieceModel(vocabulary, unk),
        _ when definition.PreTokenizer == "whitespace" => new WordLevelModel(vocabulary, unk),
        _ => new BytePairModel(vocabulary, definition.Merges ?? new PieceList(), new BytePairOptions
        {
            ByteLevel = !plain,
            IgnoreMerges = KnownPatterns.IgnoresMerges(definition.PreTokenizer),
            WholeNewlines = plain,
            ByteFallback = plain,
        }),
    };
}
