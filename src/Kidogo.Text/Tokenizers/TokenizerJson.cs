// Reads Hugging Face's tokenizer.json and tokenizer_config.json. Knows the format; what the steps do is theirs.
using System.Text;
using System.Text.Json;

namespace Kidogo.Text.Tokenizers;

/// <summary>Puts a tokenizer together from the files of Hugging Face's tokenizers.</summary>
internal static class TokenizerJson
{
    private const int MaxHoles = 65_536;
    private const int MaxConfigDepth = 32;

    /// <exception cref="TokenizerFormatException">Anything is wrong with either file.</exception>
    public static TokenizerParts Build(ReadOnlyMemory<byte> tokenizerJson, ReadOnlyMemory<byte> configJson)
    {
        try
        {
            JsonVocabulary file = JsonVocabulary.Read(tokenizerJson.Span);
            JsonElement config = ReadConfig(configJson);
            return Build(file, config);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new TokenizerFormatException($"The tokenizer's description is not valid JSON: {(e is JsonException json ? $"{JsonProblem.Of(json)}." : e.Message)}", e);
        }
    }

    internal sealed record Entry(int Id, string Content, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized, bool Special);

    internal static JsonElement ReadConfig(ReadOnlyMemory<byte> json)
    {
        using JsonDocument document = JsonDocument.Parse(json.IsEmpty ? "{}"u8.ToArray() : json.Span.StartsWith("\uFEFF"u8) ? json[3..] : json, new JsonDocumentOptions { MaxDepth = MaxConfigDepth });
        JsonElement root = document.RootElement.Clone();
        return root.ValueKind == JsonValueKind.Object ? root : throw new TokenizerFormatException($"tokenizer_config.json holds {root.ValueKind}; expected an object.");
    }

    private static TokenizerParts Build(JsonVocabulary file, JsonElement config)
    {
        if (file.Pieces.Count == 0)
        {
            throw new TokenizerFormatException("The tokenizer has no vocabulary: 'model' with 'vocab' is missing or empty.");
        }

        string type = ModelType(file);
        CheckKinds(file, type);
        List<string> warnings = [];
        List<Entry> entries = ReadEntries(file, config);
        Vocabulary vocabulary = NumberPieces(file, entries, out double[] scores);
        int unknown = UnknownOf(file, type, vocabulary);

        Normalizer? normalizer = Element(file.Rest, "normalizer") is { } n ? TokenizerJsonSteps.NormalizerOf(n) : null;
        bool affixes = Text(file, "continuing_subword_prefix") is { Length: > 0 } || Text(file, "end_of_word_suffix") is { Length: > 0 };
        bool rawBytes = false;
        PreTokenizer? preTokenizer = Element(file.Rest, "pre_tokenizer") is { } p ? TokenizerJsonSteps.PreTokenizerOf(p, type == "BPE" && !affixes, out rawBytes) : null;
        SubwordModel model = ModelOf(file, type, vocabulary, scores, unknown, rawBytes);

        AddedTokens added = new(asciiSpaceOnly: false), addedNormalized = new(asciiSpaceOnly: false);
        foreach (Entry entry in entries)
        {
            // Special tokens are looked for in the text itself even if they want to see normalised text: only there is it known who wrote what.
            bool late = entry.Normalized && !entry.Special && normalizer is not null;
            byte[] content = Encoding.UTF8.GetBytes(entry.Content);
            (late ? addedNormalized : added).Add(late ? normalizer!.Apply(content) : content, new AddedToken(entry.Id, entry.Special, entry.SingleWord, entry.StripLeft, entry.StripRight));
        }

        added.Freeze();
        addedNormalized.Freeze();

        List<int> prefix = [], suffix = [];
        bool surrounded = Element(file.Rest, "post_processor") is { } post && TokenizerJsonSteps.AddSurroundings(post, vocabulary, prefix, suffix);
        int? bos = Named(config, "bos_token", vocabulary) ?? (prefix.Count > 0 ? prefix[0] : null);
        int? eos = Named(config, "eos_token", vocabulary), eot = null;
        AddAsConfigured(config, surrounded, bos, eos, prefix, suffix);
        HashSet<int> ends = SpecialTokens.FindEnds(vocabulary, onlyAdded: true, [eos ?? -1], ref eot);
        return new TokenizerParts
        {
            Vocabulary = vocabulary,
            Added = added,
            Normalizer = normalizer,
            AddedNormalized = addedNormalized.IsEmpty ? null : addedNormalized,
            PreTokenizer = preTokenizer,
            Model = new Lazy<SubwordModel>(model),
            Decoder = TokenizerJsonSteps.DecoderOf(Element(file.Rest, "decoder")),
            Prefix = [.. prefix],
            Suffix = [.. suffix],
            BosId = bos,
            EosId = eos ?? eot,
            EotId = eot,
            UnkId = unknown >= 0 ? unknown : Named(config, "unk_token", vocabulary),
            PadId = Named(config, "pad_token", vocabulary),
            SepId = Named(config, "sep_token", vocabulary),
            MaskId = Named(config, "mask_token", vocabulary),
            Hole = SpecialTokens.FindHole(vocabulary, new NamedHoleTokens()),
            Ends = ends,
            Warnings = warnings,
        };
    }

    // Old files do not name the type; then what else is there tells.
    internal static string ModelType(JsonVocabulary file) => Text(file, "type") switch
    {
        "BPE" or "Unigram" or "WordPiece" or "WordLevel" => Text(file, "type")!,
        null => file.Merges is not null || file.Model.ContainsKey("merges") ? "BPE" : file.Scores is not null ? "Unigram" : file.Model.ContainsKey("max_input_chars_per_word") ? "WordPiece" : "WordLevel",
        string other => throw new TokenizerFormatException($"The model '{other}' is not known; expected BPE, Unigram, WordPiece or WordLevel."),
    };

    // What is of a wrong type would else count as absent, and the tokenizer would be another one in silence. Null stands only where Hugging Face writes it.
    private static void CheckKinds(JsonVocabulary file, string type)
    {
        if (type == "BPE" && file.Model.TryGetValue("merges", out JsonElement merges))
        {
            throw file.Merges is null
                ? new TokenizerFormatException($"'model.merges' is {merges.ValueKind}; expected an array of merges.")
                : new TokenizerFormatException("The member 'merges' occurs twice.");
        }

        foreach (string flag in (ReadOnlySpan<string>)["fuse_unk", "byte_fallback", "ignore_merges"])
        {
            if (file.Model.TryGetValue(flag, out JsonElement value) && value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            {
                throw new TokenizerFormatException($"'model.{flag}' is {value.ValueKind}; expected true or false.");
            }
        }

        if (Element(file.Model, "dropout") is { } dropout)
        {
            if (dropout.ValueKind != JsonValueKind.Number)
            {
                throw new TokenizerFormatException($"'model.dropout' is {dropout.ValueKind}; expected a number from 0 to 1, or null.");
            }

            if (!dropout.TryGetDouble(out double share) || !(share is >= 0 and <= 1))
            {
                throw new TokenizerFormatException($"'model.dropout' is {share:R}; expected a number from 0 to 1, or null.");
            }
        }

        foreach (string name in (ReadOnlySpan<string>)["truncation", "padding"])
        {
            if (Element(file.Rest, name) is { ValueKind: not JsonValueKind.Object } value)
            {
                throw new TokenizerFormatException($"'{name}' is {value.ValueKind}; expected an object, or null.");
            }
        }
    }

    internal static JsonElement? Element(Dictionary<string, JsonElement> members, string name) =>
        members.TryGetValue(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    internal static string? Text(JsonVocabulary file, string name) => Element(file.Model, name)?.AsText(name);

    internal static bool Flag(JsonVocabulary file, string name) => Element(file.Model, name)?.ValueKind == JsonValueKind.True;

    internal static List<Entry> ReadEntries(JsonVocabulary file, JsonElement config)
    {
        List<Entry> entries = [];
        HashSet<int> ids = [];
        if (Element(file.Rest, "added_tokens") is { } list)
        {
            if (list.ValueKind != JsonValueKind.Array)
            {
                throw new TokenizerFormatException($"'added_tokens' is {list.ValueKind}; expected an array.");
            }

            foreach (JsonElement token in list.EnumerateArray())
            {
                Entry entry = EntryOf(token, token.Required("id").AsInt("id", 0, Vocabulary.MaxPieces - 1));
                if (!ids.Add(entry.Id))
                {
                    throw new TokenizerFormatException($"Two added tokens have the id {entry.Id}.");
                }

                entries.Add(entry);
            }
        }

        if (config.Member("added_tokens_decoder") is { ValueKind: JsonValueKind.Object } more)
        {
            foreach (JsonProperty token in more.EnumerateObject())
            {
                if (int.TryParse(token.Name, System.Globalization.NumberStyles.None, null, out int id) && id < Vocabulary.MaxPieces && token.Value.ValueKind == JsonValueKind.Object && ids.Add(id))
                {
                    entries.Add(EntryOf(token.Value, id));
                }
            }
        }

        return entries.FindAll(static entry => entry.Content.Length > 0);
    }

    private static Entry EntryOf(JsonElement json, int id)
    {
        bool special = json.Flag("special", false);
        return new Entry(id, json.Required("content").AsText("content"), json.Flag("single_word", false), json.Flag("lstrip", false), json.Flag("rstrip", false),
            json.Flag("normalized", !special), special);
    }

    // Pieces and added tokens in the order of their ids. An added token that is a piece has the piece's id, whatever it says.
    internal static Vocabulary NumberPieces(JsonVocabulary file, List<Entry> entries, out double[] scores)
    {
        int count = file.Pieces.Count;
        int size = count;
        for (int i = 0; i < count && file.Ids is not null; i++)
        {
            size = Math.Max(size, file.Ids[i] + 1);
        }

        foreach (Entry entry in entries)
        {
            size = Math.Max(size, entry.Id + 1);
        }

        if (size > count + entries.Count + MaxHoles)
        {
            throw new TokenizerFormatException($"The largest id is {size - 1}, but there are only {count} pieces and {entries.Count} added tokens; the ids have too many holes.");
        }

        int[] pieceOf = new int[size];
        for (int i = 0; i < count; i++)
        {
            ref int slot = ref pieceOf[file.Ids is null ? i : file.Ids[i]];
            slot = slot == 0 ? i + 1 : throw new TokenizerFormatException($"Two pieces have the id {file.Ids![i]}.");
        }

        Dictionary<int, Entry> added = [];
        Vocabulary? lookUp = entries.Count > 0 ? new Vocabulary(file.Pieces, new TokenKind[count]) : null;
        for (int i = 0; i < entries.Count; i++)
        {
            int piece = lookUp!.Find(entries[i].Content);
            int id = piece < 0 ? entries[i].Id : file.Ids is null ? piece : file.Ids[piece];
            if (piece < 0 && pieceOf[id] != 0)
            {
                throw new TokenizerFormatException($"The added token '{entries[i].Content}' has the id {id}, which is that of the piece '{Encoding.UTF8.GetString(file.Pieces[pieceOf[id] - 1])}'.");
            }

            entries[i] = entries[i] with { Id = id };
            added[id] = entries[i];
        }

        PieceList pieces = new(size, size * 8);
        TokenKind[] kinds = new TokenKind[size];
        scores = new double[size];
        for (int id = 0; id < size; id++)
        {
            bool isAdded = added.TryGetValue(id, out Entry? entry);
            kinds[id] = isAdded ? entry!.Special ? TokenKind.Control : TokenKind.UserDefined : pieceOf[id] == 0 ? TokenKind.Unused : TokenKind.Normal;
            if (pieceOf[id] > 0)
            {
                pieces.Add(file.Pieces[pieceOf[id] - 1]);
                scores[id] = file.Scores is null ? 0 : file.Scores[pieceOf[id] - 1];
            }
            else
            {
                pieces.Add(isAdded ? entry!.Content : "");
            }
        }

        return new Vocabulary(pieces, kinds);
    }

    private static int UnknownOf(JsonVocabulary file, string type, Vocabulary vocabulary)
    {
        if (type == "Unigram")
        {
            return Element(file.Model, "unk_id") is { } id ? id.AsInt("unk_id", 0, vocabulary.Count - 1) : -1;
        }

        string? token = Text(file, "unk_token");
        int found = token is null ? -1 : vocabulary.Find(token);
        return token is null || found >= 0 || type == "BPE" ? found : throw new TokenizerFormatException($"The unknown token '{token}' is not in the vocabulary.");
    }

    private static SubwordModel ModelOf(JsonVocabulary file, string type, Vocabulary vocabulary, double[] scores, int unknown, bool rawBytes)
    {
        switch (type)
        {
            case "BPE":
                return new BytePairModel(vocabulary, file.Merges ?? new PieceList(), new BytePairOptions
                {
                    ByteLevel = rawBytes,
                    IgnoreMerges = Flag(file, "ignore_merges"),
                    ByteFallback = Flag(file, "byte_fallback"),
                    FuseUnknown = Flag(file, "fuse_unk"),
                    UnknownId = unknown,
                    ContinuingPrefix = Text(file, "continuing_subword_prefix") ?? "",
                    EndSuffix = Text(file, "end_of_word_suffix") ?? "",
                    Strict = true,
                });
            case "Unigram":
                if (file.Scores is null)
                {
                    throw new TokenizerFormatException("A unigram model's 'vocab' is an array of pieces with their scores; found an object.");
                }

                return new UnigramModel(vocabulary, scores, unknown, Flag(file, "byte_fallback"), userDefinedAreFree: false);
            case "WordPiece":
                int longest = Element(file.Model, "max_input_chars_per_word") is { } max ? max.AsInt("max_input_chars_per_word", 0, int.MaxValue) : 100;
                return new WordPieceModel(vocabulary, unknown, Text(file, "continuing_subword_prefix") ?? "##", longest);
            default:
                return new WordLevelModel(vocabulary, unknown);
        }
    }

    private static int? Named(JsonElement config, string name, Vocabulary vocabulary)
    {
        JsonElement? value = config.Member(name);
        string? token = value?.ValueKind switch
        {
            JsonValueKind.String => value.Value.GetString(),
            JsonValueKind.Object => value.Value.Text("content"),
            _ => null,
        };
        return token is not null && vocabulary.Find(token) is >= 0 and int id ? id : null;
    }

    // Where the file itself puts nothing round a text, the classes of Llama's kind go by two flags.
    private static void AddAsConfigured(JsonElement config, bool surrounded, int? bos, int? eos, List<int> prefix, List<int> suffix)
    {
        string name = config.Member("tokenizer_class") is { ValueKind: JsonValueKind.String } value ? value.GetString()! : "";
        if (surrounded || !(name.Contains("Llama", StringComparison.Ordinal) || name.Contains("Gemma", StringComparison.Ordinal)))
        {
            return;
        }

        if (bos is int first && config.Flag("add_bos_token", true))
        {
            prefix.Add(first);
        }

        if (eos is int last && config.Flag("add_eos_token", false))
        {
            suffix.Add(last);
        }
    }
}
