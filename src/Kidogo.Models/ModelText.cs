// A model's words: its tokenizer, its chat templates and its special tokens, without its weights. Knows no tensors.
using System.Text.Json;
using Kidogo.Models.Files;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Models;

/// <summary>What a model's files say about text. A GGUF file with a vocabulary only, or a folder with <c>tokenizer.json</c> alone, is enough.</summary>
/// <remarks>Everything is read when it is first asked for. The files stay the caller's, or this object's if <see cref="Open"/> opened them.</remarks>
public sealed class ModelText : IDisposable
{
    private const string TemplateKey = "tokenizer.chat_template";
    private static readonly string[] s_roles = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];

    private readonly GgufFile? _gguf;
    private readonly HuggingFaceFolder? _folder;
    private readonly bool _ownsFiles;
    private Tokenizer? _tokenizer;
    private IReadOnlyDictionary<string, string>? _templates;

    private ModelText(GgufFile? gguf, HuggingFaceFolder? folder, bool ownsFiles)
    {
        _gguf = gguf;
        _folder = folder;
        _ownsFiles = ownsFiles;
    }

    /// <summary>The path of the file or folder.</summary>
    public string Path => _gguf?.Path ?? _folder!.Path;

    /// <summary>Whether there is a vocabulary.</summary>
    public bool HasTokenizer => _gguf is not null ? GgufTokenizer.IsIn(_gguf.Metadata) : _folder!.FindFile("tokenizer.json") is not null;

    /// <summary>The tokenizer.</summary>
    /// <exception cref="ModelFormatException">There is none, or it is malformed.</exception>
    public Tokenizer Tokenizer => _tokenizer ??= ReadTokenizer();

    /// <summary>The sources of the chat templates by name; the usual one is <see cref="HuggingFaceFolder.DefaultTemplate"/>.</summary>
    /// <exception cref="ModelFormatException">A file is malformed.</exception>
    public IReadOnlyDictionary<string, string> ChatTemplates => _templates ??= _gguf is not null ? ReadTemplates(_gguf.Metadata) : _folder!.ChatTemplates;

    /// <summary>Opens a .gguf file or a folder.</summary>
    /// <exception cref="ModelFormatException">The files are not what they should be.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static ModelText Open(string path) => Directory.Exists(path) ? new(null, HuggingFaceFolder.Open(path), ownsFiles: true) : new(GgufFile.Open(path), null, ownsFiles: true);

    /// <summary>The words of a model that is open.</summary>
    public static ModelText Of(ModelHeader header) => header.Original is { } original ? Of(original) : new(header.Gguf, header.Folder, ownsFiles: false);

    /// <summary>The words of a GGUF file that is open.</summary>
    public static ModelText Of(GgufFile file) => new(file, null, ownsFiles: false);

    /// <summary>The words of a folder that is open.</summary>
    public static ModelText Of(HuggingFaceFolder folder) => new(null, folder, ownsFiles: false);

    /// <summary>The model's own chat template, or one of the names it has.</summary>
    /// <param name="name">Null for the usual one.</param>
    /// <returns>Null where the model has none of that name.</returns>
    /// <exception cref="ChatTemplateException">It cannot be read.</exception>
    public ChatTemplate? ChatTemplate(string? name = null) =>
        ChatTemplates.TryGetValue(name ?? HuggingFaceFolder.DefaultTemplate, out string? source) ? Text.ChatTemplates.ChatTemplate.Parse(source) : null;

    /// <summary>The texts of the special tokens as templates see them: <c>bos_token</c>, <c>eos_token</c>, and the others where there are such.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens()
    {
        Dictionary<string, string> tokens = new(StringComparer.Ordinal);
        foreach (string role in s_roles)
        {
            if (TextOf($"{role}_token") is { } text)
            {
                tokens[$"{role}_token"] = text;
            }
        }

        return tokens;
    }

    /// <summary>A conversation for this model's templates: the messages and the special tokens.</summary>
    public ChatTemplateInput Input(IReadOnlyList<JsonElement> messages, bool addGenerationPrompt)
    {
        IReadOnlyDictionary<string, string> tokens = SpecialTokens();
        return new ChatTemplateInput
        {
            Messages = messages,
            AddGenerationPrompt = addGenerationPrompt,
            BosToken = tokens.GetValueOrDefault("bos_token"),
            EosToken = tokens.GetValueOrDefault("eos_token"),
            SpecialTokens = tokens.Where(token => token.Key is not ("bos_token" or "eos_token")).ToDictionary(),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_ownsFiles)
        {
            _gguf?.Dispose();
            _folder?.Dispose();
        }
    }

    private static Dictionary<string, string> ReadTemplates(Metadata metadata)
    {
        Dictionary<string, string> templates = new(StringComparer.Ordinal);
        foreach (string key in metadata.Keys.Where(key => key.StartsWith(TemplateKey, StringComparison.Ordinal) && metadata.KindOf(key) == MetadataKind.String))
        {
            bool isUsual = key.Length == TemplateKey.Length;
            if (isUsual || key[TemplateKey.Length] == '.')
            {
                templates[isUsual ? HuggingFaceFolder.DefaultTemplate : key[(TemplateKey.Length + 1)..]] = metadata.GetString(key);
            }
        }

        return templates;
    }

    private Tokenizer ReadTokenizer()
    {
        if (_gguf is not null)
        {
            return GgufTokenizer.Read(_gguf.Metadata);
        }

        const int MaxConfigBytes = 16 * 1024 * 1024;
        using Tensors.MappedFile file = _folder!.OpenTokenizerJson()
            ?? throw new ModelFormatException(_folder.Path, -1, "There is no tokenizer.json. Kidogo reads the vocabularies of tokenizer.json and of GGUF files; a tokenizer.model has to be converted first (Transformers' save_pretrained writes tokenizer.json).");
        byte[] json = new byte[checked((int)file.Length)];
        file.CopyTo(0, json);
        string? config = _folder.FindFile("tokenizer_config.json");
        try
        {
            return Text.Tokenizers.Tokenizer.FromJson(json, config is null ? default : SmallFile.Read(config, MaxConfigBytes));
        }
        catch (TokenizerFormatException failure)
        {
            throw new ModelFormatException(file.Path, -1, failure.Message, failure);
        }
    }

    private string? TextOf(string name)
    {
        if (_folder is not null && (TextIn(_folder.TokenizerConfig, name) ?? TextIn(_folder.SpecialTokensMap, name)) is { } said)
        {
            return said;
        }

        if (!HasTokenizer || (_folder?.TokenizerConfig is { } config && config.Contains(name)))
        {
            return null; // said to be none
        }

        int? id = name switch
        {
            "bos_token" => Tokenizer.BosId,
            "eos_token" => Tokenizer.EosId,
            "unk_token" => Tokenizer.UnkId,
            "sep_token" => Tokenizer.SepId,
            "pad_token" => Tokenizer.PadId,
            "mask_token" => Tokenizer.MaskId,
            _ => null,
        };
        return id is { } found ? Tokenizer.Piece(found) : null;
    }

    /// <summary>A token in a JSON file: its text, or an object with the text as <c>content</c>.</summary>
    private static string? TextIn(JsonFields? fields, string name) => fields?.KindOf(name) switch
    {
        JsonValueKind.String => fields.GetString(name),
        JsonValueKind.Object => fields.TryGetObject(name, out JsonFields token) && token.KindOf("content") == JsonValueKind.String ? token.GetString("content") : null,
        _ => null,
    };
}
