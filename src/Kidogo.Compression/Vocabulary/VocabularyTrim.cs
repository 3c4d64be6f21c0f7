// From a model and texts to a model with the tokens that the texts need. Knows texts and what they cost; which tokens can go is the Text room's.
using System.Text.Json;
using Kidogo.Compression.Passports;
using Kidogo.Data;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Passports;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Tokenizers.Trimming;

namespace Kidogo.Compression.Vocabulary;

/// <summary>How a vocabulary is trimmed.</summary>
public sealed record VocabularyTrimRequest
{
    /// <summary>Files and folders of texts; at least one.</summary>
    public required IReadOnlyList<string> Texts { get; init; }

    /// <summary>How many tokens stay at most; null for as many as the texts use.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>By how much, as a share of their tokens, texts may become longer. Default 0.</summary>
    public double Growth { get; init; }

    /// <summary>Of each text, how many bytes bits per byte are measured on, from its beginning; 0 for none. Default 65536.</summary>
    public int MeasuredBytes { get; init; } = 65536;

    /// <summary>Threads that measure; the result is the same with any number. Default 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Called with what is being done, how far it is, and of how much; may be null.</summary>
    public Action<string, long, long>? Progress { get; init; }
}

/// <summary>What a text costs before and after.</summary>
/// <param name="Name">The file or folder as it was given.</param>
/// <param name="TokensBefore">Tokens with the whole vocabulary.</param>
/// <param name="TokensAfter">Tokens with the trimmed one.</param>
/// <param name="BitsPerByteBefore">Of its beginning; NaN where it was not measured.</param>
/// <param name="BitsPerByteAfter">Of its beginning; NaN where it was not measured.</param>
public sealed record TrimmedTextCost(string Name, long TokensBefore, long TokensAfter, double BitsPerByteBefore, double BitsPerByteAfter);

/// <summary>What trimming did.</summary>
/// <param name="VocabularyBefore">Tokens that there were.</param>
/// <param name="VocabularyAfter">Tokens that there are.</param>
/// <param name="Bytes">Bytes of all files that were written.</param>
/// <param name="Texts">What each text costs.</param>
/// <param name="Warnings">What one should know, in sentences.</param>
public sealed record VocabularyTrimReport(int VocabularyBefore, int VocabularyAfter, long Bytes, IReadOnlyList<TrimmedTextCost> Texts, IReadOnlyList<string> Warnings);

/// <summary>Trims vocabularies.</summary>
public static class VocabularyTrim
{
    /// <summary>Writes a model with a smaller vocabulary: a GGUF file if the path ends in <c>.gguf</c>, else a folder.</summary>
    /// <param name="header">The model.</param>
    /// <param name="path">What the result will be called.</param>
    /// <param name="request">Which tokens stay.</param>
    /// <param name="write">How it is written; null for the defaults.</param>
    /// <param name="cancellation">Ends it; nothing is left behind.</param>
    /// <exception cref="NotSupportedException">The model has no vocabulary, or the new form cannot say what it does.</exception>
    /// <exception cref="TokenizerException">The vocabulary cannot be made as small as was asked.</exception>
    /// <exception cref="DataFormatException">A text cannot be read.</exception>
    /// <exception cref="IOException">It cannot be written, or a file became shorter meanwhile.</exception>
    public static VocabularyTrimReport Run(ModelHeader header, string path, VocabularyTrimRequest request, ModelWriteOptions? write = null, CancellationToken cancellation = default)
    {
        ModelText text = ModelText.Of(header);
        if (!text.HasTokenizer)
        {
            throw new NotSupportedException($"{header.Path} has no vocabulary that could be trimmed. Give a model with its tokenizer: a GGUF file that has one, or a folder with tokenizer.json.");
        }

        Tokenizer before = text.Tokenizer;
        IReadOnlyList<TextFile>[] texts = [.. request.Texts.Select(path => TextSources.Find([path], cancellation))];
        long[] counts = new long[before.VocabularySize];
        long[] tokensBefore = CountTokens(texts, request, document =>
        {
            int[] ids = before.Encode(document.Span);
            foreach (int id in ids)
            {
                counts[id]++;
            }

            return ids.Length;
        }, cancellation);
        if (Array.IndexOf(tokensBefore, 0) is >= 0 and int empty)
        {
            throw new ArgumentException($"{request.Texts[empty]} holds no text: nothing would say which tokens are needed. Give texts like those that the model will read and write.", nameof(request));
        }

        VocabularySelection selection = VocabularyTrimmer.Choose(before, counts, new VocabularyTrimOptions
        {
            MaxTokens = request.MaxTokens,
            Growth = request.Growth,
            Required = [.. VocabularyChange.Named(header), .. TemplateTokens(text)],
        });
        List<string> warnings = selection.Count < before.VocabularySize ? [] : [$"The texts need all {before.VocabularySize} tokens: nothing was dropped."];
        PassportRequest passport = Derivation.Begin(header, new DerivationOptions
        {
            Verb = "trim-vocabulary",
            Options = [("keep", request.MaxTokens), ("growth", request.Growth > 0 ? request.Growth : null)],
            Data = [.. request.Texts.Select(path => ("text", path))],
            Measure = request.Texts,
            MeasuredBytes = request.MeasuredBytes,
            Threads = request.Threads,
            Progress = request.Progress,
        }, cancellation);
        Passport finished = passport.Draft;
        long[] tokensAfter = [];
        ConversionReport report = ModelConverter.Convert(header, path, null, (write ?? new ModelWriteOptions()) with
        {
            Passport = passport with { Measure = (written, draft) => finished = passport.Measure?.Invoke(written, draft) ?? draft },
            Written = written =>
            {
                using ModelText trimmed = ModelText.Open(written);
                tokensAfter = CountTokens(texts, request, document => CheckedTokens(document, before, trimmed.Tokenizer, selection), cancellation);
            },
        }, selection);
        return new VocabularyTrimReport(before.VocabularySize, selection.Count, report.Bytes, [.. request.Texts.Select(Cost)], [.. warnings, .. report.Warnings]);

        TrimmedTextCost Cost(string name, int i)
        {
            string hash = finished.Data[i].Sha256;
            PassportClaim? claim = finished.Measured.FirstOrDefault(claim => claim.Text == hash);
            return new TrimmedTextCost(name, tokensBefore[i], tokensAfter[i], claim?.Before ?? double.NaN, claim?.After ?? double.NaN);
        }
    }

    /// <summary>What the model's chat templates write of their own: role names, a system prompt.</summary>
    private static HashSet<int> TemplateTokens(ModelText text)
    {
        HashSet<int> ids = [];
        using JsonDocument messages = JsonDocument.Parse("""[{"role":"user","content":"?"},{"role":"assistant","content":"!"},{"role":"user","content":"?"}]""");
        using JsonDocument withSystem = JsonDocument.Parse("""[{"role":"system","content":"."},{"role":"user","content":"?"}]""");
        foreach (string name in text.ChatTemplates.Keys)
        {
            foreach (JsonDocument conversation in (JsonDocument[])[messages, withSystem])
            {
                try
                {
                    ids.UnionWith(new ChatPrompter(text, text.ChatTemplate(name)!).Build([.. conversation.RootElement.EnumerateArray()]).Ids);
                }
                catch (ChatTemplateException)
                {
                    // A template may refuse a conversation; what it would have written can be spelt in any case.
                }
            }
        }

        return ids;
    }

    private static long[] CountTokens(IReadOnlyList<TextFile>[] texts, VocabularyTrimRequest request, Func<ReadOnlyMemory<byte>, int> tokensOf, CancellationToken cancellation)
    {
        long[] tokens = new long[texts.Length];
        long total = texts.Sum(files => files.Sum(file => file.Bytes)), done = 0;
        for (int i = 0; i < texts.Length; i++)
        {
            foreach (TextFile file in texts[i])
            {
                foreach (ReadOnlyMemory<byte> document in file.Read(cancellation))
                {
                    tokens[i] += tokensOf(document);
                }

                request.Progress?.Invoke("counting tokens", done += file.Bytes, total);
            }
        }

        return tokens;
    }

    /// <summary>Tokens with the trimmed vocabulary. A text whose tokens all stay must have the same ones.</summary>
    private static int CheckedTokens(ReadOnlyMemory<byte> document, Tokenizer before, Tokenizer after, VocabularySelection selection)
    {
        int[] old = before.Encode(document.Span), ids = after.Encode(document.Span), kept = selection.NewIds(old);
        return kept.Length < old.Length || kept.AsSpan().SequenceEqual(ids)
            ? ids.Length
            : throw new NotSupportedException("The trimmed vocabulary would cut a text otherwise although all of its tokens stay. This vocabulary cannot be trimmed; nothing was written.");
    }
}
