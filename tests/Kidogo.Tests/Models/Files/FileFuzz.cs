// Mutates small model files, tokenizers and chat templates and reads everything in what comes out. Shared with bench/Kidogo.Fuzz; knows nothing of test frameworks.
using System.Text;
using Kidogo.Models.Files;
using Kidogo.Text.ChatTemplates;
using Tokenizer = Kidogo.Text.Tokenizers.Tokenizer;
using TokenIds = Kidogo.Text.Tokenizers.TokenIds;
using TokenizerException = Kidogo.Text.Tokenizers.TokenizerException;

namespace Kidogo.Tests.Models.Files;

/// <summary>The kinds of files that are mutated.</summary>
internal enum FuzzKind
{
    Gguf,
    Safetensors,
    Config,
    Index,
    Tokenizer,
    ChatTemplate,
    Ids,
}

/// <summary>A file of one kind that is written and read again and again.</summary>
internal sealed class FuzzFile : IDisposable
{
    /// <summary>Files in memory, where Linux has them: a disk is the slowest part of ten thousand small files.</summary>
    private const string Memory = "/dev/shm";

    private readonly FuzzKind _kind;
    private readonly string _folder = Directory.CreateDirectory(Path.Combine(Directory.Exists(Memory) ? Memory : Path.GetTempPath(), $"kidogo-fuzz-{Guid.NewGuid():N}")).FullName;

    public FuzzFile(FuzzKind kind)
    {
        _kind = kind;
        File.WriteAllBytes(Path.Combine(_folder, "tokenizer.json"), "{}"u8);
        if (kind == FuzzKind.Index)
        {
            File.WriteAllBytes(Path.Combine(_folder, "model-00001-of-00002.safetensors"), SafetensorsBuilder.Single("a"));
            File.WriteAllBytes(Path.Combine(_folder, "model-00002-of-00002.safetensors"), SafetensorsBuilder.Single("b"));
        }
    }

    /// <summary>Writes <paramref name="bytes"/> and reads everything in them: true where that went well, false where they were refused. Any other exception is a defect.</summary>
    public bool Try(byte[] bytes)
    {
        if (_kind is FuzzKind.Tokenizer or FuzzKind.ChatTemplate or FuzzKind.Ids)
        {
            return FileFuzz.TryText(_kind, bytes);
        }

        string path = Path.Combine(_folder, _kind switch { FuzzKind.Config => "config.json", FuzzKind.Index => "model.safetensors.index.json", _ => "file" });
        File.WriteAllBytes(path, bytes);
        try
        {
            FileFuzz.ReadAll(_kind, path, _folder);
            return true;
        }
        catch (ModelFormatException)
        {
            return false;
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}

internal static class FileFuzz
{
    /// <summary>Numbers at which arithmetic goes wrong.</summary>
    private static readonly ulong[] s_numbers =
    [
        0, 1, 2, 3, 4, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000,
        0x3FFFFFFFFFFFFFFF, 0x4000000000000000, 0x7FFFFFFFFFFFFFC0, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFE0, 0xFFFFFFFFFFFFFFFF,
    ];

    private static readonly string[] s_snippets =
    [
        "{", "}", "[", "]", "\"", ",", ":", "null", "true", "-1", "1e3", "0.5", "18446744073709551615", "9223372036854775807", "1e999", "\\ud800", "\\u0000", "../", "/etc/passwd",
        "[[[[[[[[[[[[[[[[[[[[", "{\"a\":{\"a\":{\"a\":{\"a\":", "\"\":", "é", "\uFEFF", "__metadata__", "data_offsets", "{{", "}}", "{%", "%}", "|", "(", ")", "'", " if ", " else ", "loop", "messages", "range(9)", "false", "{}", "[]",
    ];

    private const int IdVocabulary = 49_152;

    /// <summary>Less than the defaults, so that one of twenty thousand templates takes milliseconds.</summary>
    private static readonly ChatTemplateLimits s_templateLimits = new() { MaxSteps = 20_000, MaxAllocation = 1 << 17 };

    /// <summary>A good file of the kind, to start from.</summary>
    public static byte[] Seed(FuzzKind kind) => kind switch
    {
        FuzzKind.Gguf => GgufBuilder.Small().Build(),
        FuzzKind.Safetensors => SafetensorsBuilder.Small(),
        FuzzKind.Config => Encoding.UTF8.GetBytes(
            """{"architectures":["LlamaForCausalLM"],"hidden_size":64,"eps":1e-05,"tie":true,"none":null,"ids":[1,2,3],"rope_scaling":{"factor":8.0,"rope_type":"llama3"},"layer_types":["full","sliding"],"list":[{"name":"a"},{"name":"b"}],"flags":[true,false]}"""),
        FuzzKind.Index => Encoding.UTF8.GetBytes(
            """{"metadata":{"total_size":16},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"""),
        FuzzKind.Tokenizer => Encoding.UTF8.GetBytes(
            """{"truncation":null,"padding":null,"added_tokens":[{"id":9,"content":"<s>","special":true},{"id":10,"content":"<u>","lstrip":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"Replace","pattern":{"String":" "},"content":"\u2581"}]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|[^\\p{N}]+"},"behavior":"Isolated","invert":false},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<s>":{"id":"<s>","ids":[9],"tokens":["<s>"]}}},"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"\u2581"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]},"model":{"type":"BPE","dropout":null,"unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"ignore_merges":false,"vocab":{"<unk>":0,"a":1,"b":2,"\u2581":3,"ab":4,"\u2581a":5,"1":6,"2":7,"<0x0A>":8},"merges":["a b",["\u2581","a"]]}}"""),
        FuzzKind.ChatTemplate => Encoding.UTF8.GetBytes(
            """{{ bos_token }}{% macro part(m, sep='\n') %}<|{{ m['role'] }}|>{{ sep ~ m.content | trim }}{% endmacro %}{% set ns = namespace(n=0) %}{%- for m in messages if m.role != 'tool' -%}{% if loop.first and m['role'] == 'system' %}{{ m.content.split(' ')[0] | upper }}{% elif m.role in ['user', 'assistant'] %}{{ part(m) }}{% else %}{{ raise_exception('no ' + m.role) }}{% endif %}{% set ns.n = ns.n + 1 %}{%- endfor %}{{ messages[1:] | length }}{{ {'a': [1, 2.5, none]} | tojson }}{{ '%d' % ns.n }}{% if add_generation_prompt %}<|assistant|>{% endif %}"""),
        FuzzKind.Ids => "29801 2566\n47801\t287 419 542 198 0 49151"u8.ToArray(),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>A copy of <paramref name="seed"/> with one to four things wrong.</summary>
    public static byte[] Mutate(byte[] seed, Random random)
    {
        List<byte> bytes = [.. seed];
        for (int i = random.Next(1, 5); i > 0; i--)
        {
            MutateOnce(bytes, random);
        }

        return [.. bytes];
    }

    /// <summary>Reads <paramref name="bytes"/> as a file of the kind, and throws if it was refused or not as <paramref name="refused"/> says.</summary>
    public static void Exercise(FuzzKind kind, byte[] bytes, bool refused)
    {
        using FuzzFile file = new(kind);
        if (file.Try(bytes) == refused)
        {
            throw new InvalidOperationException(refused ? "The file was read, though it should have been refused." : "The file was refused, though it should have been read.");
        }
    }

    /// <summary>Opens the file and touches all there is.</summary>
    public static void ReadAll(FuzzKind kind, string path, string folder)
    {
        switch (kind)
        {
            case FuzzKind.Gguf:
                using (GgufFile file = GgufFile.Open(path))
                {
                    ReadMetadata(file.Metadata);
                    ReadTensors(file.Tensors, file.Find);
                }

                break;
            case FuzzKind.Safetensors:
                using (SafetensorsFile file = SafetensorsFile.Open(path))
                {
                    _ = file.Metadata.Count;
                    ReadTensors(file.Tensors, file.Find);
                }

                break;
            case FuzzKind.Config:
                using (HuggingFaceFolder model = HuggingFaceFolder.Open(folder))
                {
                    ReadFields(model.RequireConfig(), 0);
                }

                break;
            default:
                using (HuggingFaceFolder model = HuggingFaceFolder.Open(folder))
                {
                    ReadTensors(model.Tensors, model.Find);
                }

                break;
        }
    }

    /// <summary>Reads bytes that need no file and uses what comes out: true where that went well, false where they were refused.</summary>
    public static bool TryText(FuzzKind kind, byte[] bytes)
    {
        try
        {
            if (kind == FuzzKind.Tokenizer)
            {
                Tokenizer tokenizer = Tokenizer.FromJson(bytes);
                int[] ids = tokenizer.Encode("ab 12345 ABC <u> \u00e9<s>\n\ud83d\ude00", addSpecial: true, parseSpecial: true);
                _ = tokenizer.Decode(ids);
            }
            else if (kind == FuzzKind.Ids)
            {
                Require(TokenIds.Parse(bytes, "the file", IdVocabulary).All(id => id is >= 0 and < IdVocabulary));
            }
            else
            {
                ChatTemplateInput input = ChatTemplateInput.FromMessages([new ChatMessage("system", "Be brief."), new ChatMessage("user", "Habari?"), new ChatMessage("assistant", "Nzuri.")]);
                _ = ChatTemplate.Parse(Encoding.UTF8.GetString(bytes)).Render(input, s_templateLimits);
            }

            return true;
        }
        catch (Exception e) when (e is TokenizerException or ChatTemplateException)
        {
            return false;
        }
    }

    private static void ReadMetadata(Metadata metadata)
    {
        foreach (string key in metadata.Keys)
        {
            _ = metadata.Describe(key);
            switch (metadata.KindOf(key))
            {
                case MetadataKind.String:
                    _ = metadata.GetString(key);
                    break;
                case MetadataKind.Bool:
                    _ = metadata.GetBool(key, false);
                    break;
                case MetadataKind.Float32 or MetadataKind.Float64:
                    Require(metadata.TryGetFloat(key, out _));
                    break;
                case MetadataKind.Array when metadata.ElementKindOf(key) == MetadataKind.String:
                    Require(metadata.TryGetStrings(key, out Utf8Strings strings));
                    for (int i = 0; i < strings.Count; i++)
                    {
                        _ = strings.Text(i);
                    }

                    break;
                case MetadataKind.Array when metadata.ElementKindOf(key) is MetadataKind.Float32 or MetadataKind.Float64:
                    Require(metadata.TryGetFloats(key, out _));
                    break;
                case MetadataKind.Array when metadata.ElementKindOf(key) == MetadataKind.Bool:
                    Require(metadata.TryGetBools(key, out _));
                    break;
                case MetadataKind.Array:
                    Require(metadata.TryGetInts(key, out _));
                    break;
                default:
                    Require(metadata.TryGetInt(key, out _));
                    break;
            }
        }
    }

    private static void ReadTensors(IReadOnlyList<StoredTensor> tensors, Func<string, StoredTensor?> find)
    {
        foreach (StoredTensor tensor in tensors)
        {
            Require(ReferenceEquals(find(tensor.Name), tensor));
            Require(tensor.Rows >= 0 && tensor.Columns >= 0);
            if (tensor.IsWeight)
            {
                Require(tensor.Rows == 0 || tensor.Data.Length == tensor.Rows * tensor.Format.RowBytes(tensor.Columns));
            }

            if (tensor.Data.Length > 0)
            {
                _ = tensor.Data.Read(0, 1)[0] + tensor.Data.Read(tensor.Data.Length - 1, 1)[0];
            }
        }
    }

    private static void ReadFields(JsonFields fields, int depth)
    {
        foreach (string name in fields.Names)
        {
            Attempt(() => fields.TryGetInt(name, out _));
            Attempt(() => fields.TryGetFloat(name, out _));
            Attempt(() => fields.TryGetString(name, out _));
            Attempt(() => fields.TryGetBool(name, out _));
            Attempt(() => fields.TryGetInts(name, out _));
            Attempt(() => fields.TryGetFloats(name, out _));
            Attempt(() => fields.TryGetStrings(name, out _));
            Attempt(() => fields.TryGetBools(name, out _));
            Attempt(() => fields.TryGetObjects(name, out _));
            if (fields.KindOf(name) == System.Text.Json.JsonValueKind.Object && depth < 64)
            {
                fields.TryGetObject(name, out JsonFields inner);
                ReadFields(inner, depth + 1);
            }
        }
    }

    private static void Attempt(Func<bool> read)
    {
        try
        {
            read();
        }
        catch (ModelFormatException)
        {
            // Of nine ways to read a field at most a few fit.
        }
    }

    private static void Require(bool condition)
    {
        if (!condition)
        {
            throw new InvalidOperationException("What was read contradicts itself.");
        }
    }

    private static void MutateOnce(List<byte> bytes, Random random)
    {
        int at = random.Next(bytes.Count + 1);
        switch (random.Next(9))
        {
            case 0 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when at < bytes.Count:
                bytes[at] = (byte)random.Next(256);
                break;
            case 2 or 3:
                byte[] number = GgufBuilder.U64(s_numbers[random.Next(s_numbers.Length)]);
                int width = 1 << random.Next(4);
                for (int i = 0; i < width && at + i < bytes.Count; i++)
                {
                    bytes[at + i] = number[i];
                }

                break;
            case 4:
                bytes.RemoveRange(at, Math.Min(random.Next(1, 17), bytes.Count - at));
                break;
            case 5:
                int from = random.Next(bytes.Count + 1);
                bytes.InsertRange(at, bytes.GetRange(from, Math.Min(random.Next(1, 65), bytes.Count - from)));
                break;
            case 6:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
            default:
                bytes.InsertRange(at, Encoding.UTF8.GetBytes(s_snippets[random.Next(s_snippets.Length)]));
                break;
        }
    }
}
