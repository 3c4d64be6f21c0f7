// A folder as Hugging Face Transformers saves a model. Knows which files there are and what they are called, not what a model is.
using System.Text.Json;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>A model's folder: settings, tokenizer, chat templates and weights, each read when it is asked for.</summary>
/// <remarks>
/// Only what a caller asks for must be there: a folder with <c>tokenizer.json</c> alone opens. Pickled weights (<c>pytorch_model.bin</c>) are never read. Files that are links out of the folder
/// are refused, except within one model's folder of the Hugging Face cache. Not for several threads at once before everything needed was read.
/// </remarks>
public sealed class HuggingFaceFolder : IDisposable
{
    /// <summary>The name under which the template is found that is used when no other is asked for.</summary>
    public const string DefaultTemplate = "default";

    private const int MaxConfigBytes = 1024 * 1024;
    private const int MaxTokenizerConfigBytes = 3 * 1024 * 1024; // Gemma 3's is 1.2 MB: it lists every reserved token. JSON of many fields takes 20 times its length.
    private const long MaxTokenizerBytes = 256L * 1024 * 1024;
    private const long MaxIndexBytes = 64L * 1024 * 1024;
    private const int MaxTemplateBytes = 1024 * 1024;
    private const int MaxTemplates = 64;
    private const int MaxShards = 1024;
    private const int MaxTensors = 65_536;
    private const string SingleName = "model.safetensors";
    private const string IndexName = "model.safetensors.index.json";

    private readonly LinkGuard _guard;
    private readonly Dictionary<string, JsonFields?> _json = new(StringComparer.Ordinal);
    private Weights? _weights;
    private Dictionary<string, string>? _templates;

    private HuggingFaceFolder(string path)
    {
        Path = path;
        _guard = new LinkGuard(path);
    }

    /// <summary>The path that was opened.</summary>
    public string Path { get; }

    /// <summary><c>config.json</c>, or null where it is absent.</summary>
    /// <exception cref="ModelFormatException">The file is no JSON object, or too long.</exception>
    public JsonFields? Config => Json("config.json", MaxConfigBytes);

    /// <summary><c>generation_config.json</c>, or null where it is absent.</summary>
    /// <exception cref="ModelFormatException">The file is no JSON object, or too long.</exception>
    public JsonFields? GenerationConfig => Json("generation_config.json", MaxConfigBytes);

    /// <summary><c>tokenizer_config.json</c>, or null where it is absent.</summary>
    /// <exception cref="ModelFormatException">The file is no JSON object, or too long.</exception>
    public JsonFields? TokenizerConfig => Json("tokenizer_config.json", MaxTokenizerConfigBytes);

    /// <summary><c>special_tokens_map.json</c>, or null where it is absent.</summary>
    /// <exception cref="ModelFormatException">The file is no JSON object, or too long.</exception>
    public JsonFields? SpecialTokensMap => Json("special_tokens_map.json", MaxConfigBytes);

    /// <summary>Whether there are weights that can be read.</summary>
    public bool HasWeights => FindFile(SingleName) is not null || FindFile(IndexName) is not null;

    /// <summary>All tensors of all weight files; codes and the scales beside them are one. Opens the files when first asked.</summary>
    /// <exception cref="ModelFormatException">A file is not what it should be, is missing, or only pickled weights are there.</exception>
    public IReadOnlyList<StoredTensor> Tensors => OpenWeights().Tensors;

    /// <summary>The pairs of <c>__metadata__</c> of the (first) weight file, but for those that say how single matrices are stored.</summary>
    /// <exception cref="ModelFormatException">As <see cref="Tensors"/>.</exception>
    public IReadOnlyDictionary<string, string> WeightMetadata => OpenWeights().Files[0].Metadata.Where(pair => !PlainTensor.IsKey(pair.Key)).ToDictionary(StringComparer.Ordinal);

    /// <summary>Bytes of all weight files.</summary>
    /// <exception cref="ModelFormatException">As <see cref="Tensors"/>.</exception>
    public long TotalBytes => OpenWeights().Files.Sum(file => file.TotalBytes);

    /// <summary>
    /// The chat templates by name: <c>chat_template.jinja</c> as <see cref="DefaultTemplate"/>, <c>additional_chat_templates/NAME.jinja</c>, <c>chat_template.json</c>, and <c>chat_template</c> of
    /// <c>tokenizer_config.json</c>, which is a text or a list of {name, template}. What comes first here wins.
    /// </summary>
    /// <exception cref="ModelFormatException">A file is not what it should be.</exception>
    public IReadOnlyDictionary<string, string> ChatTemplates => _templates ??= ReadTemplates();

    /// <summary>The template named <see cref="DefaultTemplate"/>, or null.</summary>
    /// <exception cref="ModelFormatException">As <see cref="ChatTemplates"/>.</exception>
    public string? ChatTemplate => ChatTemplates.GetValueOrDefault(DefaultTemplate);

    /// <summary>Opens a folder. Nothing is read yet but the list of its files.</summary>
    /// <exception cref="ModelFormatException">The folder holds none of a model's files, or only some that are never read.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    public static HuggingFaceFolder Open(string path)
    {
        if (!Directory.Exists(path))
        {
            throw new DirectoryNotFoundException($"There is no folder {path}.");
        }

        HuggingFaceFolder folder = new(path);
        string[] useful = ["tokenizer.json", SingleName, IndexName, "vocab.txt", "vocab.json", "tokenizer.model"];
        bool pickled = folder.FindPickled() is not null;
        if (!useful.Any(name => folder.FindFile(name) is not null) && (pickled || folder.FindFile("config.json") is null))
        {
            throw pickled
                ? folder.PickledOnly()
                : new ModelFormatException(path, -1, "The folder holds no model: expected config.json with model.safetensors, or tokenizer.json at least. Give the folder of a downloaded model, or a .gguf file.");
        }

        return folder;
    }

    /// <summary>The path of a file of the folder, or null where it is absent.</summary>
    /// <param name="name">A name that the program knows, such as <c>sentence_bert_config.json</c> or <c>1_Pooling/config.json</c>: never one from a file.</param>
    /// <exception cref="ModelFormatException">The file is a link that leads out of the folder.</exception>
    public string? FindFile(string name) => _guard.Find(name);

    /// <summary>A JSON file of the folder, or null where it is absent.</summary>
    /// <param name="name">As in <see cref="FindFile"/>.</param>
    /// <param name="maxBytes">Longer files are refused unread.</param>
    /// <exception cref="ModelFormatException">The file is no JSON object, or too long.</exception>
    public JsonFields? Json(string name, int maxBytes)
    {
        if (!_json.TryGetValue(name, out JsonFields? fields))
        {
            fields = FindFile(name) is { } path ? JsonFields.Load(path, maxBytes) : null;
            _json.Add(name, fields);
        }

        return fields;
    }

    /// <summary><c>config.json</c>, which must be there.</summary>
    /// <exception cref="ModelFormatException">It is not, or is no JSON object.</exception>
    public JsonFields RequireConfig() =>
        Config ?? throw new ModelFormatException(System.IO.Path.Combine(Path, "config.json"), -1, "The file is missing, which says what the model is. Download it from where the other files are from.");

    /// <summary><c>tokenizer.json</c>, mapped, or null where it is absent. The caller disposes it.</summary>
    /// <exception cref="ModelFormatException">The file is longer than 256 MiB.</exception>
    public MappedFile? OpenTokenizerJson()
    {
        if (FindFile("tokenizer.json") is not { } path)
        {
            return null;
        }

        MappedFile file = MappedFile.Open(path);
        if (file.Length <= MaxTokenizerBytes)
        {
            return file;
        }

        long length = file.Length;
        file.Dispose();
        throw new ModelFormatException(path, MaxTokenizerBytes, $"The file has {length} bytes; at most {MaxTokenizerBytes} are accepted for a tokenizer.");
    }

    /// <summary>The tensor of this name, or null.</summary>
    /// <exception cref="ModelFormatException">As <see cref="Tensors"/>.</exception>
    public StoredTensor? Find(string name) => OpenWeights().Find(name);

    /// <inheritdoc/>
    public void Dispose() => _weights?.Dispose();

    private Weights OpenWeights()
    {
        if (_weights is not null)
        {
            return _weights;
        }

        if (FindFile(SingleName) is { } single)
        {
            return _weights = Weights.OpenSingle(single);
        }

        if (FindFile(IndexName) is { } index)
        {
            return _weights = Weights.OpenShards(index, ReadIndex(index), _guard);
        }

        throw FindPickled() is not null
            ? PickledOnly()
            : new ModelFormatException(Path, -1, $"The folder holds no weights: expected {SingleName} or {IndexName}. Download them from where the other files are from.");
    }

    private string? FindPickled()
    {
        string[] names = ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth", "model.pt", "model.pth", "model.bin"];
        return Array.Find(names, name => File.Exists(System.IO.Path.Combine(Path, name)));
    }

    private ModelFormatException PickledOnly() => new(
        System.IO.Path.Combine(Path, FindPickled()!),
        -1,
        "The folder's only weights are pickled by PyTorch. Loading such a file can run any code, so Kidogo never does. Convert it once, in an environment that you trust: "
        + "python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('FOLDER').save_pretrained('OUT', safe_serialization=True)\", or download the model's safetensors.");

    // { "weight_map": { tensor: file, … }, … }
    private static Dictionary<string, string> ReadIndex(string path)
    {
        using MappedFile file = MappedFile.Open(path);
        if (file.Length > MaxIndexBytes)
        {
            throw new ModelFormatException(path, MaxIndexBytes, $"The file has {file.Length} bytes; at most {MaxIndexBytes} are accepted for an index.");
        }

        Dictionary<string, string> map = new(StringComparer.Ordinal);
        Dictionary<string, string> shards = new(StringComparer.Ordinal);
        JsonTokens json = new(file, 0, file.Length, maxDepth: 8);
        bool seen = false;
        json.Expect(JsonTokenType.StartObject, "an object");
        while (json.Read() && json.Type == JsonTokenType.PropertyName)
        {
            string field = json.Text("a field's name");
            if (field != "weight_map")
            {
                json.Read();
                json.SkipValue();
                continue;
            }

            if (seen)
            {
                throw json.Refuse("weight_map occurs twice.");
            }

            seen = true;
            ReadWeightMap(ref json, path, map, shards);
        }

        if (json.Read() || map.Count == 0)
        {
            throw json.Refuse("Expected one object with a weight_map that names the file of each tensor.");
        }

        return map;
    }

    private static void ReadWeightMap(ref JsonTokens json, string path, Dictionary<string, string> map, Dictionary<string, string> shards)
    {
        long characters = 0;
        json.Expect(JsonTokenType.StartObject, "an object as weight_map");
        while (json.Read() && json.Type == JsonTokenType.PropertyName)
        {
            string tensor = json.Text("a tensor's name");
            json.Expect(JsonTokenType.String, "the name of a file");
            string shard = json.Text("the name of a file");
            LinkGuard.CheckName(shard, path, json.Position);
            if (!shards.TryGetValue(shard, out string? known))
            {
                shards.Add(shard, known = shard);
            }

            if (!map.TryAdd(tensor, known))
            {
                throw json.Refuse($"The tensor {ModelFormatException.Quote(tensor)} occurs twice.");
            }

            characters += tensor.Length;
            if (map.Count > MaxTensors || shards.Count > MaxShards || characters > MaxConfigBytes * 8)
            {
                throw json.Refuse($"The index names more than {MaxTensors} tensors, {MaxShards} files or {MaxConfigBytes * 8} characters.");
            }
        }
    }

    private Dictionary<string, string> ReadTemplates()
    {
        Dictionary<string, string> templates = new(StringComparer.Ordinal);
        if (FindFile("chat_template.jinja") is { } file)
        {
            templates.Add(DefaultTemplate, SmallFile.ReadText(file, MaxTemplateBytes));
        }

        string more = System.IO.Path.Combine(Path, "additional_chat_templates");
        if (Directory.Exists(more))
        {
            foreach (string path in Directory.EnumerateFiles(more, "*.jinja").Take(MaxTemplates).Order(StringComparer.Ordinal))
            {
                if (FindFile(System.IO.Path.Combine("additional_chat_templates", System.IO.Path.GetFileName(path))) is { } inside)
                {
                    templates.TryAdd(System.IO.Path.GetFileNameWithoutExtension(path), SmallFile.ReadText(inside, MaxTemplateBytes));
                }
            }
        }

        AddTemplates(Json("chat_template.json", MaxTokenizerConfigBytes), templates);
        AddTemplates(TokenizerConfig, templates);
        return templates;
    }

    private static void AddTemplates(JsonFields? fields, Dictionary<string, string> templates)
    {
        if (fields is null)
        {
            return;
        }

        if (fields.KindOf("chat_template") != JsonValueKind.Array)
        {
            if (fields.TryGetString("chat_template", out string template))
            {
                templates.TryAdd(DefaultTemplate, template);
            }

            return;
        }

        fields.TryGetObjects("chat_template", out JsonFields[] named);
        foreach (JsonFields item in named.Take(MaxTemplates))
        {
            templates.TryAdd(item.GetString("name"), item.GetString("template"));
        }
    }

    /// <summary>The open weight files and the tensors in them.</summary>
    private sealed class Weights : IDisposable
    {
        private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);

        public List<SafetensorsFile> Files { get; } = [];

        public List<StoredTensor> Tensors { get; } = [];

        public static Weights OpenSingle(string path)
        {
            Weights weights = new();
            try
            {
                weights.Files.Add(SafetensorsFile.Open(path));
                return weights.With(weights.Files[0].Tensors);
            }
            catch
            {
                weights.Dispose();
                throw;
            }
        }

        public static Weights OpenShards(string indexPath, Dictionary<string, string> map, LinkGuard guard)
        {
            Weights weights = new();
            try
            {
                Dictionary<string, SafetensorsFile> open = new(StringComparer.Ordinal);
                foreach (string name in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
                {
                    string path = guard.Find(name)
                        ?? throw new ModelFormatException(indexPath, -1, $"The file {ModelFormatException.Quote(name)}, which the index names, is missing. Download it from where the other files are from.");
                    SafetensorsFile file = SafetensorsFile.Open(path);
                    weights.Files.Add(file);
                    open.Add(name, file);
                    if (weights.Files.Sum(each => each.Tensors.Count) > MaxTensors || weights.Files.Sum(each => each.TextChars) > SafetensorsFile.MaxTextChars)
                    {
                        throw new ModelFormatException(path, -1, $"The weight files hold more than {MaxTensors} tensors or {SafetensorsFile.MaxTextChars} characters of names together.");
                    }
                }

                return weights.With([.. map.Select(pair => open[pair.Value].Find(pair.Key)
                    ?? throw new ModelFormatException(indexPath, -1, $"The tensor {ModelFormatException.Quote(pair.Key)} is not in {ModelFormatException.Quote(pair.Value)}, where the index has it."))]);
            }
            catch
            {
                weights.Dispose();
                throw;
            }
        }

        public StoredTensor? Find(string name) => _index.TryGetValue(name, out int index) ? Tensors[index] : null;

        public void Dispose() => Files.ForEach(file => file.Dispose());

        private Weights With(IReadOnlyList<StoredTensor> tensors)
        {
            foreach (StoredTensor tensor in PlainTensor.Join(tensors, Files))
            {
                _index.Add(tensor.Name, Tensors.Count);
                Tensors.Add(tensor);
            }

            return this;
        }
    }
}
