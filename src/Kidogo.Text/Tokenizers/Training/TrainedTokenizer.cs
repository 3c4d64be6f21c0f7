// The outcome of training: files and the tokenizer that they describe. Knows not how it was found.
namespace Kidogo.Text.Tokenizers.Training;

/// <summary>A trained tokenizer: what its files hold, and the tokenizer that reading them gives. Immutable.</summary>
public sealed class TrainedTokenizer
{
    /// <summary>The file that describes the tokenizer whole.</summary>
    public const string TokenizerFile = "tokenizer.json";

    /// <summary>The file that names its special tokens.</summary>
    public const string ConfigFile = "tokenizer_config.json";

    /// <summary>The file with the chat template, where one was asked for.</summary>
    public const string ChatTemplateFile = "chat_template.jinja";

    internal TrainedTokenizer(TokenizerKind kind, byte[] tokenizerJson, byte[] configJson, string? chatTemplate, TokenizerTrainingReport report)
    {
        Kind = kind;
        TokenizerJson = tokenizerJson;
        ConfigJson = configJson;
        ChatTemplate = chatTemplate;
        Report = report;
        Tokenizer = Tokenizer.FromJson(tokenizerJson, configJson);
    }

    /// <summary>Which kind it is.</summary>
    public TokenizerKind Kind { get; }

    /// <summary>The tokenizer, read from <see cref="TokenizerJson"/> and <see cref="ConfigJson"/> as any other would be.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Entries of the vocabulary.</summary>
    public int VocabularySize => Tokenizer.VocabularySize;

    /// <summary>The content of <see cref="TokenizerFile"/>, UTF-8.</summary>
    public ReadOnlyMemory<byte> TokenizerJson { get; }

    /// <summary>The content of <see cref="ConfigFile"/>, UTF-8.</summary>
    public ReadOnlyMemory<byte> ConfigJson { get; }

    /// <summary>The content of <see cref="ChatTemplateFile"/>, or null.</summary>
    public string? ChatTemplate { get; }

    /// <summary>What it was trained on and how that went.</summary>
    public TokenizerTrainingReport Report { get; }

    /// <summary>Writes the files into a folder, which is made if need be. Each is written beside, flushed to the disk and renamed, and the first rename comes
    /// after the last write: a failure leaves what was there.</summary>
    /// <exception cref="IOException">The folder cannot be written to, or the disk is full.</exception>
    public void WriteTo(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Directory.CreateDirectory(folder);
        List<(string Name, ReadOnlyMemory<byte> Content)> files = [(ConfigFile, ConfigJson), (TokenizerFile, TokenizerJson)];
        if (ChatTemplate is not null)
        {
            files.Insert(0, (ChatTemplateFile, System.Text.Encoding.UTF8.GetBytes(ChatTemplate)));
        }

        List<string> written = [];
        try
        {
            foreach ((string name, ReadOnlyMemory<byte> content) in files)
            {
                string beside = Path.Combine(folder, $".{name}.{Environment.ProcessId}.tmp");
                written.Add(beside);
                using FileStream stream = new(beside, FileMode.Create, FileAccess.Write, FileShare.None);
                stream.Write(content.Span);
                stream.Flush(flushToDisk: true);
            }

            for (int i = 0; i < files.Count; i++)
            {
                File.Move(written[i], Path.Combine(folder, files[i].Name), overwrite: true);
            }
        }
        catch
        {
            written.ForEach(File.Delete);
            throw;
        }
    }
}

/// <summary>What a tokenizer was trained on and how that went.</summary>
public sealed record TokenizerTrainingReport
{
    /// <summary>Texts that are not empty.</summary>
    public required long Texts { get; init; }

    /// <summary>Their bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>Stretches of bytes that were no UTF-8 and became U+FFFD.</summary>
    public required long InvalidSequences { get; init; }

    /// <summary>Different words (units that no piece crosses).</summary>
    public required int DistinctWords { get; init; }

    /// <summary>The rounds of the unigram kind; empty for byte-pair encoding.</summary>
    public IReadOnlyList<UnigramRound> Rounds { get; init; } = [];
}

/// <summary>One round of expectation maximisation.</summary>
/// <param name="Pieces">Pieces at its start.</param>
/// <param name="LogLikelihood">Natural logarithm of the texts' likelihood under the pieces' probabilities at its start, in nats a character.</param>
/// <param name="Pruned">Whether pieces were thrown out just before it, so that its likelihood cannot be compared with that of the round before.</param>
public readonly record struct UnigramRound(int Pieces, double LogLikelihood, bool Pruned);
