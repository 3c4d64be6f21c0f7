// The files of a model that speak of text: read from wherever they are, carried from checkpoint to checkpoint. Knows no weights.
using System.Globalization;
using System.Text;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Training;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>Finds, trains or makes up tokenizers.</summary>
internal static class ModelWords
{
    private const long MaxFileBytes = 256 << 20;
    private const int RandomVocabulary = 8192;

    // By name, since the folder of a run has files of its own beside them. What is said of a model in README.md is not said of one that was trained further.
    private static readonly string[] s_words =
    [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
        "chat_template.jinja", "chat_template.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
        "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE",
    ];

    /// <summary>The files in a model's folder that go with its text, and its licence.</summary>
    public static Dictionary<string, ReadOnlyMemory<byte>> OfFolder(string folder)
    {
        Dictionary<string, ReadOnlyMemory<byte>> files = new(StringComparer.Ordinal);
        foreach (string name in s_words)
        {
            FileInfo file = new(Path.Combine(folder, name));
            if (file.Exists && file.Length <= MaxFileBytes)
            {
                files.Add(name, File.ReadAllBytes(file.FullName));
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
    public static Dictionary<string, ReadOnlyMemory<byte>> Find(
        Recipe recipe, long textBytes, long parameters, TrainingObserver observer, CancellationToken cancellation)
    {
        Dictionary<string, ReadOnlyMemory<byte>> files = FindTokenizer(recipe, textBytes, parameters, observer, cancellation);
        Template(files, recipe);
        return files;
    }

    private static Dictionary<string, ReadOnlyMemory<byte>> FindTokenizer(
        Recipe recipe, long textBytes, long parameters, TrainingObserver observer, CancellationToken cancellation)
    {
        TokenizerRecipe tokenizer = recipe.Tokenizer ?? new TokenizerRecipe();
        if (tokenizer.Path is { } path)
        {
            return Named(path, observer);
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

    /// <summary>Adds what a model gone on from lacks and the recipe gives: a tokenizer, a chat template.</summary>
    /// <param name="words">The model's own files.</param>
    /// <param name="recipe">The recipe.</param>
    /// <param name="vocabulary">Entries of the model's embedding.</param>
    /// <param name="observer">Told what is going on.</param>
    /// <exception cref="RecipeException">The model has a tokenizer and the recipe another, or there is none, or it has more entries than the model.</exception>
    public static void Complete(Dictionary<string, ReadOnlyMemory<byte>> words, Recipe recipe, int vocabulary, TrainingObserver observer)
    {
        bool hasTokenizer = words.ContainsKey("tokenizer.json");
        if (hasTokenizer && recipe.Tokenizer is not null)
        {
            throw new RecipeException($"from and tokenizer contradict each other: {recipe.Model.From} goes on with its own tokenizer. Leave tokenizer out.");
        }

        if (recipe.Tokenizer is { Path: null })
        {
            throw new RecipeException($"from and tokenizer contradict each other: the weights of {recipe.Model.From} belong to a vocabulary, so none is "
                + "trained. Name the folder, file or model that has its tokenizer.");
        }

        if (!hasTokenizer)
        {
            Dictionary<string, ReadOnlyMemory<byte>> added = recipe.Tokenizer?.Path is { } path ? Named(path, observer)
                : recipe.IsRandom ? new Dictionary<string, ReadOnlyMemory<byte>> { ["tokenizer.json"] = Placeholder(vocabulary) }
                : throw new RecipeException($"{recipe.Model.From} has no tokenizer, so texts cannot be made into tokens. Name the folder, file or model that "
                    + "has it: --tokenizer PATH.");
            foreach ((string name, ReadOnlyMemory<byte> file) in added)
            {
                words.TryAdd(name, file);
            }
        }

        int entries = Read(words).VocabularySize;
        if (entries > vocabulary)
        {
            throw new RecipeException($"The tokenizer has {entries} entries, but {recipe.Model.From} was made for {vocabulary}. It is that of another model: "
                + "name its own.");
        }

        Template(words, recipe);
    }

    /// <summary>Puts the recipe's chat template, if it names one, in the place of that of such files.</summary>
    private static void Template(Dictionary<string, ReadOnlyMemory<byte>> files, Recipe recipe)
    {
        if (recipe.Data.ChatTemplate is not { } given)
        {
            return;
        }

        try
        {
            bool isFile = File.Exists(given) && new FileInfo(given).Length <= ChatTemplateLimits.MaxTemplateBytes;
            ChatTemplate? template = isFile ? ChatTemplate.Parse(File.ReadAllText(given)) : ChatTemplate.BuiltIn(given);
            string nearest = NearestName.Likely(given, ChatTemplate.BuiltInNames) is { } likely ? $" The nearest is {likely}." : "";
            files[TrainedTokenizer.ChatTemplateFile] = Encoding.UTF8.GetBytes(template?.Source ?? throw new RecipeException(
                $"chat_template: there is no chat template {given}, neither as a file nor by name.{nearest} Names: "
                + $"{string.Join(", ", ChatTemplate.BuiltInNames)}."));
        }
        catch (ChatTemplateException failure)
        {
            throw new RecipeException($"chat_template: {given}: {failure.Message}", failure);
        }
    }

    /// <summary>The tokenizer of such files.</summary>
    public static Tokenizer Read(Dictionary<string, ReadOnlyMemory<byte>> files) => files.TryGetValue("tokenizer.json", out ReadOnlyMemory<byte> json)
        ? Tokenizer.FromJson(json, files.GetValueOrDefault("tokenizer_config.json"))
        : throw new TrainingFailedException("There is no tokenizer.json, so texts cannot be made into tokens. Name a tokenizer: tokenizer: FOLDER.");

    private static Dictionary<string, ReadOnlyMemory<byte>> Named(string path, TrainingObserver observer)
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
        if (Directory.Exists(located))
        {
            return OfFolder(located);
        }

        using ModelHeader header = ModelHeader.Open(located);
        IReadOnlyDictionary<string, ReadOnlyMemory<byte>> words = ModelConverter.TokenizerFiles(header, out string? warning);
        if (warning is not null)
        {
            observer.Warn(warning);
        }

        return words.Where(file => !file.Key.Contains('/')).ToDictionary(StringComparer.Ordinal);
    }

    private static TrainedTokenizer Train(Recipe recipe, TokenizerRecipe tokenizer, long textBytes, long parameters, TrainingObserver observer,
        CancellationToken cancellation)
    {
        const int Least = 300;
        TokenizerKind kind = TokenizerTrainer.KindOf(tokenizer.Kind) ?? throw new RecipeException($"tokenizer.kind is {tokenizer.Kind}; it has to be bpe or "
            + "unigram.");
        int vocabulary = tokenizer.Vocabulary ?? RecipeDefaults.VocabularyFor(textBytes, parameters);
        while (true)
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
                TokenizerOfSources made = TokenizerFromSources.Train(recipe.Data.Sources, kind, options, measure: true, observer.TokenizerProgress,
                    cancellation);
                observer.Say(string.Create(CultureInfo.InvariantCulture, $"trained a {tokenizer.Kind} tokenizer of {made.Trained.VocabularySize} entries on "
                    + $"{made.Trained.Report.Bytes} bytes of text: {made.Total.BytesPerToken:0.00} bytes a token"));
                foreach (Fertility file in made.Files)
                {
                    observer.Say(string.Create(CultureInfo.InvariantCulture, $"  {file.Name}: {file.BytesPerToken:0.00} bytes a token, "
                        + $"{file.TokensPerWord:0.00} tokens a word"));
                }

                if (made.InvalidBytes > 0)
                {
                    observer.Warn($"{made.InvalidBytes} bytes were not UTF-8 and were replaced by U+FFFD; strict: true makes that an error.");
                }

                return made.Trained;
            }
            catch (TokenizerTrainingException failure) when (tokenizer.Vocabulary is null && (vocabulary > Least || failure.MostEntries < vocabulary))
            {
                // The data do not support the usual size, which nobody asked for: half of it, and where little text gives less than the least, what it gives.
                vocabulary = vocabulary > Least ? Math.Max(Least, vocabulary / 2) : failure.MostEntries!.Value;
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
            for (int value = 0, moved = 256; value < Math.Min(256, vocabulary); value++)
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
