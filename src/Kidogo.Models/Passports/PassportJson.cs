// A passport as JSON, written in one way and read with caps. Knows the form, not whether it is true.
using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Kidogo.Models.Files;

namespace Kidogo.Models.Passports;

/// <summary>Reads and writes passports.</summary>
public static class PassportJson
{
    /// <summary>The longest passport that is read, in bytes.</summary>
    public const int MaxBytes = 32 << 20;

    private const int Version = 1;
    private const int MaxDepth = 16;
    private const int MaxTensors = 65_536;
    private const int MaxItems = 4096;
    private const int MaxText = 4096;
    private const int MaxSample = 1 << 16;
    private const string NoHash = "0000000000000000000000000000000000000000000000000000000000000000";
    private const string LongestNumber = "-1.2345678901234567E-100";

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The bytes of a passport, with a hash over all of it at the end.</summary>
    public static byte[] Write(Passport passport)
    {
        byte[] bytes = Write(passport, NoHash, reserves: false);
        Encoding.ASCII.GetBytes(Digest(bytes), bytes.AsSpan(DigestPlace(bytes), NoHash.Length));
        return bytes;
    }

    /// <summary>As <see cref="Write(Passport)"/>, filled up with spaces, which JSON passes over.</summary>
    /// <exception cref="InvalidOperationException">It is longer than that.</exception>
    public static byte[] Write(Passport passport, int length)
    {
        byte[] bytes = Write(passport);
        if (bytes.Length > length)
        {
            throw new InvalidOperationException($"A passport of {bytes.Length} bytes does not fit the {length} that were reserved for it.");
        }

        byte[] padded = new byte[length];
        padded.AsSpan().Fill((byte)' ');
        bytes.CopyTo(padded, 0);
        return padded;
    }

    /// <summary>The length that a passport will not exceed, whatever is measured in the places for it.</summary>
    public static int Reserve(Passport passport) => Write(passport, NoHash, reserves: true).Length;

    /// <summary>The passport of a GGUF file; null where it has none.</summary>
    /// <exception cref="ModelFormatException">It is malformed.</exception>
    public static Passport? Of(GgufFile file)
    {
        if (!file.Metadata.Contains(Passport.MetadataKey))
        {
            return null;
        }

        file.Metadata.TryGetUtf8(Passport.MetadataKey, out ReadOnlySpan<byte> bytes);
        return Read(bytes.Length <= MaxBytes ? bytes.ToArray() : throw file.Metadata.Refuse(Passport.MetadataKey, $"has {bytes.Length} bytes; a passport may have {MaxBytes}."), file.Path);
    }

    /// <summary>The passport of a folder; null where it has none.</summary>
    /// <exception cref="ModelFormatException">It is malformed.</exception>
    public static Passport? Of(HuggingFaceFolder folder) => folder.FindFile(Passport.FileName) is { } path ? Read(SmallFile.Read(path, MaxBytes), path) : null;

    /// <summary>The passport of a model; null where it has none.</summary>
    /// <exception cref="ModelFormatException">It is malformed.</exception>
    public static Passport? Of(ModelHeader header) => header.Gguf is { } file ? Of(file) : Of(header.Folder!);

    /// <summary>The steps that lead to a model, for the passport of what is made of it: none where it has no passport, or one that is damaged and so worth nothing.</summary>
    /// <param name="parent">The model.</param>
    /// <param name="hash">Its hash.</param>
    public static (IReadOnlyList<PassportAncestor> Lineage, int Older) LineageOf(ModelHeader parent, string hash)
    {
        try
        {
            return Of(parent)?.CarriedOn(hash) ?? ([], 0);
        }
        catch (ModelFormatException)
        {
            return ([], 0);
        }
    }

    /// <summary>Reads a passport.</summary>
    /// <param name="json">Its bytes.</param>
    /// <param name="place">The file it is from, for messages.</param>
    /// <exception cref="ModelFormatException">It is malformed, too large, or not what it was when it was written.</exception>
    public static Passport Read(ReadOnlyMemory<byte> json, string place)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth });
            Reader reader = new(place);
            Passport passport = reader.Read(document.RootElement);
            return json.Span.TrimEnd((byte)' ').SequenceEqual(Write(passport)) // there is one way to write it, so the bytes are compared and not only what they mean
                ? passport
                : throw reader.Refuse("was changed after it was written: its own hash, or its form, is another. Get the model again, or trust nothing of what it says");
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or FormatException)
        {
            throw new ModelFormatException(place, -1, $"The passport is no JSON of the form that was expected: {ModelFormatException.Quote(failure.Message, 200)}", failure);
        }
    }

    private static string Digest(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static int DigestPlace(byte[] bytes) => bytes.Length - NoHash.Length - "\"}"u8.Length;

    private static byte[] Write(Passport passport, string digest, bool reserves)
    {
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter json = new(bytes, s_options))
        {
            json.WriteStartObject();
            json.WriteNumber("passport", Version);
            WriteRecipe(json, passport.Recipe);
            WriteSources(json, "parents", passport.Parents);
            WriteSources(json, "data", passport.Data);
            json.WriteString("processor", passport.Processor);
            WriteClaims(json, passport.Measured, reserves);
            json.WriteString("sample", passport.Sample);
            json.WriteStartArray("tensors");
            foreach (PassportTensor tensor in passport.Tensors)
            {
                json.WriteStartObject();
                json.WriteString("name", tensor.Name);
                json.WriteString("format", tensor.Format);
                json.WriteStartArray("shape");
                foreach (long size in tensor.Shape)
                {
                    json.WriteNumberValue(size);
                }

                json.WriteEndArray();
                json.WriteString("sha256", reserves ? NoHash : tensor.Sha256);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            WriteSources(json, "files", passport.Files);
            json.WriteStartArray("lineage");
            foreach (PassportAncestor ancestor in passport.Lineage)
            {
                json.WriteStartObject();
                json.WriteString("model", ancestor.Model);
                WriteRecipe(json, ancestor.Recipe);
                WriteSources(json, "parents", ancestor.Parents);
                WriteSources(json, "data", ancestor.Data);
                WriteClaims(json, ancestor.Measured, reserves: false);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteNumber("older_steps", passport.OlderSteps);
            json.WriteString("sha256", digest);
            json.WriteEndObject();
        }

        return bytes.WrittenSpan.ToArray();
    }

    private static void WriteRecipe(Utf8JsonWriter json, PassportRecipe recipe)
    {
        json.WriteString("kidogo", recipe.Program);
        json.WriteString("verb", recipe.Verb);
        json.WriteStartObject("options");
        foreach ((string name, string value) in recipe.Options)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        if (recipe.Seed is { } seed)
        {
            json.WriteNumber("seed", seed);
        }
        else
        {
            json.WriteNull("seed");
        }
    }

    private static void WriteSources(Utf8JsonWriter json, string name, IReadOnlyList<PassportSource> sources)
    {
        json.WriteStartArray(name);
        foreach (PassportSource source in sources)
        {
            json.WriteStartObject();
            json.WriteString("role", source.Role);
            json.WriteString("name", source.Name);
            json.WriteString("sha256", source.Sha256);
            json.WriteNumber("bytes", source.Bytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteClaims(Utf8JsonWriter json, IReadOnlyList<PassportClaim> claims, bool reserves)
    {
        json.WriteStartArray("measured");
        foreach (PassportClaim claim in claims)
        {
            json.WriteStartObject();
            json.WriteString("name", claim.Name);
            json.WriteString("text", claim.Text);
            json.WriteNumber("bytes", claim.Bytes);
            WriteValue(json, "before", claim.Before, reserves);
            WriteValue(json, "after", claim.After, reserves);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteValue(Utf8JsonWriter json, string name, double? value, bool reserves)
    {
        json.WritePropertyName(name);
        if (reserves)
        {
            json.WriteRawValue(LongestNumber);
        }
        else if (value is { } number && double.IsFinite(number))
        {
            json.WriteNumberValue(number); // the shortest text that reads back as the same bits
        }
        else
        {
            json.WriteNullValue();
        }
    }

    /// <summary>Reads with a type and a cap for everything.</summary>
    private sealed class Reader(string place)
    {
        public Passport Read(JsonElement root)
        {
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw Refuse($"is {root.ValueKind}; expected an object");
            }

            long version = Integer(root, "passport", 1, int.MaxValue);
            if (version > Version)
            {
                throw Refuse($"is of version {version}; this program reads version {Version}. Get a newer Kidogo");
            }

            Hash(root, "sha256");
            return new Passport
            {
                Recipe = Recipe(root),
                Parents = Sources(root, "parents"),
                Data = Sources(root, "data"),
                Processor = Text(root, "processor", MaxText),
                Measured = Claims(root),
                Sample = Text(root, "sample", MaxSample),
                Tensors = [.. Items(root, "tensors", MaxTensors).Select(Tensor)],
                Files = Sources(root, "files"),
                Lineage = [.. Items(root, "lineage", Passport.MaxLineage).Select(Ancestor)],
                OlderSteps = (int)Integer(root, "older_steps", 0, int.MaxValue),
            };
        }

        public ModelFormatException Refuse(string problem) => new(place, -1, $"The passport {problem}.");

        private PassportRecipe Recipe(JsonElement json)
        {
            JsonElement options = Member(json, "options", JsonValueKind.Object);
            List<KeyValuePair<string, string>> pairs = [];
            foreach (JsonProperty option in options.EnumerateObject())
            {
                pairs.Add(new(Short(option.Name, "an option"), option.Value.ValueKind == JsonValueKind.String ? Short(option.Value.GetString()!, "an option") : throw Refuse("has an option that is no text")));
                if (pairs.Count > MaxItems)
                {
                    throw Refuse($"has more than {MaxItems} options");
                }
            }

            ulong? seed = !json.TryGetProperty("seed", out JsonElement said) || said.ValueKind == JsonValueKind.Null ? null
                : said.ValueKind == JsonValueKind.Number && said.TryGetUInt64(out ulong number) ? number : throw Refuse("has a seed that is no whole number");
            return new PassportRecipe(Text(json, "kidogo", MaxText), Text(json, "verb", MaxText), pairs, seed);
        }

        private List<PassportSource> Sources(JsonElement json, string name) =>
            [.. Items(json, name, MaxItems).Select(item => new PassportSource(Text(item, "role", MaxText), Text(item, "name", MaxText), Hash(item, "sha256"), Integer(item, "bytes", 0, long.MaxValue)))];

        private List<PassportClaim> Claims(JsonElement json) =>
            [.. Items(json, "measured", MaxItems).Select(item => new PassportClaim(Text(item, "name", MaxText), Text(item, "text", MaxText), Integer(item, "bytes", 0, int.MaxValue), Number(item, "before"), Number(item, "after")))];

        private PassportTensor Tensor(JsonElement item) =>
            new(Text(item, "name", MaxText), Text(item, "format", MaxText), [.. Items(item, "shape", 16).Select(size => size.ValueKind == JsonValueKind.Number && size.TryGetInt64(out long value) && value >= 0 ? value : throw Refuse("has a shape that is none"))], Hash(item, "sha256"));

        private PassportAncestor Ancestor(JsonElement item) => new(Hash(item, "model"), Recipe(item), Sources(item, "parents"), Sources(item, "data"), Claims(item));

        private JsonElement.ArrayEnumerator Items(JsonElement json, string name, int most)
        {
            JsonElement list = Member(json, name, JsonValueKind.Array);
            return list.GetArrayLength() <= most ? list.EnumerateArray() : throw Refuse($"has {list.GetArrayLength()} entries in {name}; at most {most} are read");
        }

        private JsonElement Member(JsonElement json, string name, JsonValueKind kind)
        {
            if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty(name, out JsonElement value))
            {
                throw Refuse($"lacks \"{name}\"");
            }

            return value.ValueKind == kind ? value : throw Refuse($"has {value.ValueKind} as \"{name}\"; expected {kind}");
        }

        private string Text(JsonElement json, string name, int most)
        {
            string text = Member(json, name, JsonValueKind.String).GetString()!;
            return text.Length <= most ? text : throw Refuse($"has {text.Length} characters as \"{name}\"; at most {most} are read");
        }

        private string Short(string text, string what) => text.Length <= MaxText ? text : throw Refuse($"has {text.Length} characters in {what}; at most {MaxText} are read");

        private string Hash(JsonElement json, string name)
        {
            string text = Text(json, name, NoHash.Length);
            return text.Length == NoHash.Length && text.All(char.IsAsciiHexDigitLower) ? text : throw Refuse($"has no SHA-256 in lower-case hex as \"{name}\"");
        }

        private long Integer(JsonElement json, string name, long min, long max) =>
            Member(json, name, JsonValueKind.Number).TryGetInt64(out long value) && value >= min && value <= max ? value : throw Refuse($"has as \"{name}\" no whole number from {min} to {max}");

        private double? Number(JsonElement json, string name)
        {
            if (json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Null)
            {
                return null;
            }

            double number = Member(json, name, JsonValueKind.Number).GetDouble();
            return double.IsFinite(number) ? number : throw Refuse($"has as \"{name}\" no number");
        }
    }
}
