// The files of a model that speak of text: read from wherever they are, carried from checkpoint to checkpoint. Knows no weights.
using System.Globalization;
using System.Text;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Training;
using Kidogo.Training.Checkpoints;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>Finds, trains or makes up tokenizers.</summary>
internal static class ModelWords
{
    private const long MaxFileBytes = 256 << 20;
    private const int RandomVocabulary = 8192;
    private static readonly string[] s_notWords = ["config.json", TrainingState.FileName, "model.safetensors.index.json", "metadata.gguf"];

    /// <summary>The files about text in a model's folder.</summary>
    public static Dictionary<string, ReadOnlyMemory<byte>> OfFolder(string folder)
    {
        Dictionary<string, ReadOnlyMemory<byte>> files = new(StringComparer.Ordinal);
        foreach (string path in Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal))
        {
            string name = Path.GetFileName(path);
            bool isWords = Path.GetExtension(name) is ".json" or ".jinja" or ".txt" && !name.StartsWith('.') && !s_notWords.Contains(name);
            if (isWords && new FileInfo(path).Length <= MaxFileBytes)
            {
                files.Add(name, File.ReadAllBytes(path));
            }
        }

        return files;
    }

    /// <summary>The files of the tokenizer that a recipe names or asks for.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="textBytes">Bytes of text, roughly.</param>
    /// <param name="parameters">Parameters that the model shall have.</param>
    /// <param name="observer">Told what is going on.</param>
    /// <param name="cancellation">Ends it.</param>
    public static Dictionary<string, ReadOnlyMemory<byte>> Find(Recipe recipe, long textBytes, long parameters, TrainingObserver observer, CancellationToken cancellation)
    {
        TokenizerRecipe tokenizer = recipe.Tokenizer ?? new TokenizerRecipe();
        if (tokenizer.Path is { } path)
        {
            return Named(path);
        }

        if (recipe.IsRandom)
        {
            return new Dictionary<string, ReadOnlyMemory<byte>> { ["tokenizer.json"] = Placeholder(tokenizer.Vocabulary ?? RandomVocabulary) };
        }

        TrainedTokenizer trained = Train(recipe, tokenizer, textBytes, parameters, observer, cancellation);
        Dictionary<string, ReadOnlyMemory<byte>> files = new()
        {
            [TrainedTokenizer.TokenizerFile] = trained.TokenizerJson,
            [TrainedTokenizer.ConfigFile] = trained.ConfigJson,
        };
        if (trained.ChatTemplate is { } template)
        {
            files.Add(TrainedTokenizer.ChatTemplateFile, Encoding.UTF8.GetBytes(template));
        }

        return files;
    }

    /// <summary>The tokenizer of such files.</summary>
    public static Tokenizer Read(Dictionary<string, ReadOnlyMemory<byte>> files) => files.TryGetValue("tokenizer.json", out ReadOnlyMemory<byte> json)
        ? Tokenizer.FromJson(json, files.GetValueOrDefault("tokenizer_config.json"))
        : throw new TrainingFailedException("There is no tokenizer.json, so texts cannot be made into tokens. Name a tokenizer: tokenizer: FOLDER.");

    private static Dictionary<string, ReadOnlyMemory<byte>> Named(string path)
    {
        if (File.Exists(path) && Path.GetExtension(path) == ".json")
        {
            Dictionary<string, ReadOnlyMemory<byte>> alone = new() { ["tokenizer.json"] = File.ReadAllBytes(path) };
            string beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "tokenizer_config.json");
            if (File.Exists(beside))
            {
                alone.Add("tokenizer_config.json", File.ReadAllBytes(beside));
            }

            return alone;
        }

        string located = Directory.Exists(path) ? path : new ModelLocator(ModelPlaces.FromEnvironment()).Locate(path);
        return Directory.Exists(located)
            ? OfFolder(located)
            : throw new TrainingFailedException($"{located} is a GGUF file, whose vocabulary cannot be taken alone. Name a folder with tokenizer.json, or convert it first: kidogo convert {located} FOLDER.");
    }

    private static TrainedTokenizer Train(Recipe recipe, TokenizerRecipe tokenizer, long textBytes, long parameters, TrainingObserver observer, CancellationToken cancellation)
    {
        const int Least = 300;
        TokenizerKind kind = TokenizerTrainer.KindOf(tokenizer.Kind) ?? throw new RecipeException($"tokenizer.kind is {tokenizer.Kind}; it has to be bpe or unigram.");
        for (int vocabulary = tokenizer.Vocabulary ?? RecipeDefaults.VocabularyFor(textBytes, parameters); ; vocabulary = Math.Max(Least, vocabulary / 2))
        {
            TokenizerTrainingOptions options = new()
            {
                VocabularySize = vocabulary,
                Strict = recipe.Data.Strict,
                ChatTemplate = recipe.Data.Sources.Any(DataSize.HoldsConversations),
                Threads = recipe.Precision.Threads == 0 ? Environment.ProcessorCount : recipe.Precision.Threads,
            };
            try
            {
                TokenizerOfSources made = TokenizerFromSources.Train(recipe.Data.Sources, kind, options, measure: true, observer.TokenizerProgress, cancellation);
                observer.Say(string.Create(CultureInfo.InvariantCulture, $"trained a {tokenizer.Kind} tokenizer of {made.Trained.VocabularySize} entries on {made.Trained.Report.Bytes} bytes of text: {made.Total.BytesPerToken:0.00} bytes a token"));
                foreach (Fertility file in made.Files)
                {
                    observer.Say(string.Create(CultureInfo.InvariantCulture, $"  {file.Name}: {file.BytesPerToken:0.00} bytes a token, {file.TokensPerWord:0.00} tokens a word"));
                }

                if (made.InvalidBytes > 0)
                {
                    observer.Warn($"{made.InvalidBytes} bytes were not UTF-8 and were replaced by U+FFFD; strict: true makes that an error.");
                }

                return made.Trained;
            }
            catch (TokenizerTrainingException) when (tokenizer.Vocabulary is null && vocabulary > Least)
            {
                // The data do not support the usual size, which nobody asked for: half of it.
            }
        }
    }

    /// <summary>A byte-level vocabulary of a size, whose entries beyond the bytes no text becomes: for runs on random ids.</summary>
    private static byte[] Placeholder(int vocabulary)
    {
        using MemoryStream stream = new();
        using (System.Text.Json.Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            json.WriteString("version", "1.0");
            json.WriteStartArray("added_tokens");
            json.WriteEndArray();
            json.WriteNull("normalizer");
            json.WriteStartObject("pre_tokenizer");
            json.WriteString("type", "ByteLevel");
            json.WriteBoolean("add_prefix_space", false);
            json.WriteBoolean("use_regex", true);
            json.WriteEndObject();
            json.WriteNull("post_processor");
            json.WriteStartObject("decoder");
            json.WriteString("type", "ByteLevel");
            json.WriteEndObject();
            json.WriteStartObject("model");
            json.WriteString("type", "BPE");
            json.WriteStartObject("vocab");
            int id = 0;
            for (int value = 0, moved = 256; value < 256; value++)
            {
                bool isPrintable = value is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE and <= 0xFF; // GPT-2's alphabet of bytes
                json.WriteNumber(((char)(isPrintable ? value : moved++)).ToString(), id++);
            }

            for (; id < vocabulary; id++)
            {
                json.WriteNumber(string.Create(CultureInfo.InvariantCulture, $"placeholder{id}"), id);
            }

            json.WriteEndObject();
            json.WriteStartArray("merges");
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return stream.ToArray();
    }
}
