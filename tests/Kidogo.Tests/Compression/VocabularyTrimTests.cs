// Trimming whole models: a small one in every form of file, and the real one.
using System.Text.Json;
using Kidogo.Compression.Passports;
using Kidogo.Compression.Vocabulary;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models;
using Kidogo.Tests.Models.Files;
using Kidogo.Tests.RealModel;
using Kidogo.Tests.Text.Tokenizers;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Tests.Compression;

[Collection(RealModelGroup.Name)]
public sealed class VocabularyTrimTests
{
    [SharedTheory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Run_FromEitherFormToEither_RenumbersEverythingAndVerifies(bool fromGguf, bool toGguf)
    {
        using TestFolder folder = new();
        string source = SmallModels.Folder(folder, "in");
        if (fromGguf)
        {
            using ModelHeader original = ModelHeader.Open(source);
            Kidogo.Models.Export.ModelConverter.Convert(original, source = folder["in.gguf"]);
        }

        folder.Write("text.txt", "hello aaaa hello");
        string output = folder[toGguf ? "out.gguf" : "out"];
        using ModelHeader header = ModelHeader.Open(source);
        VocabularyTrimReport report = VocabularyTrim.Run(header, output, new VocabularyTrimRequest { Texts = [folder["text.txt"]] });
        TrimmedTextCost cost = Assert.Single(report.Texts);
        Assert.Equal(cost.TokensBefore, cost.TokensAfter);
        using ModelHeader trimmed = ModelHeader.Open(output);
        Tokenizer tokenizer = ModelText.Of(trimmed).Tokenizer;
        Assert.Equal(report.VocabularyAfter, trimmed.Config.VocabSize);
        Assert.True(report.VocabularyAfter < report.VocabularyBefore);
        Assert.Equal("<|x|>", tokenizer.Piece(Assert.Single(trimmed.Generation.EndTokens)));
        Assert.Null(tokenizer.FindPiece("Ġhello"));
        Assert.Equal(["hello", "Ġ", "aaaa"], tokenizer.Encode("hello aaaa").Select(tokenizer.Piece));
        Assert.All(PassportVerifier.Run(trimmed, new VerifyOptions())!, claim => Assert.True(claim.Holds ?? true, $"{claim.Name}: {claim.Note}"));
    }

    [SharedFact]
    public void Run_OfTheRealModel_KeepsTheLogitsOfTextInsideTheVocabulary()
    {
        using TestFolder folder = new();
        string text = File.ReadAllText(SharedFolder.PathOf("corpora", "wikitext-2", "valid.txt"))[..200_000];
        folder.Write("text.txt", text);
        VocabularyTrimReport report;
        using (ModelHeader header = ModelHeader.Open(RealModels.ModelPath))
        {
            report = VocabularyTrim.Run(header, folder["t.gguf"], new VocabularyTrimRequest { Texts = [folder["text.txt"]], MeasuredBytes = 0 });
        }

        Assert.InRange(report.VocabularyAfter, 4000, 20_000);
        Assert.Equal(report.Texts[0].TokensBefore, report.Texts[0].TokensAfter);
        using ComputeContext context = ComputeContext.Inference(1);
        using LoadedModel whole = ModelLoader.Load(RealModels.ModelPath, context);
        using LoadedModel trimmed = ModelLoader.Load(folder["t.gguf"], context);
        Tokenizer before = ModelText.Of(whole.Header).Tokenizer, after = ModelText.Of(trimmed.Header).Tokenizer;
        int[] ids = before.Encode(text[..400]), newIds = after.Encode(text[..400]);
        Assert.Equal(ids.Select(before.Piece), newIds.Select(after.Piece));
        float[] expected = GoldenDecoder.Score(whole.Model, context, ids), actual = GoldenDecoder.Score(trimmed.Model, context, newIds);
        for (int id = 0; id < after.VocabularySize; id++)
        {
            int old = before.FindPiece(after.Piece(id))!.Value;
            for (int row = 0; row < ids.Length; row++)
            {
                Assert.Equal(expected[(row * before.VocabularySize) + old], actual[(row * after.VocabularySize) + id]);
            }
        }

        string prompt = ModelText.Of(trimmed.Header).ChatTemplate()!.Render(ModelText.Of(trimmed.Header).Input([JsonDocument.Parse("""{"role":"user","content":"Why?"}""").RootElement], addGenerationPrompt: true)).Text;
        Assert.Equal(before.Encode(prompt, parseSpecial: true).Select(before.Piece), after.Encode(prompt, parseSpecial: true).Select(after.Piece)); // the template's own words stay whole
    }

    [SharedFact]
    public void Run_OfAModelWithoutVocabulary_SaysWhatIsMissing()
    {
        using TestFolder folder = new();
        folder.Write("text.txt", "a");
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("golden", "families", "llama"));
        Assert.Contains("no vocabulary", Assert.Throws<NotSupportedException>(() => VocabularyTrim.Run(header, folder["o.gguf"], new VocabularyTrimRequest { Texts = [folder["text.txt"]] })).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["o.gguf"]));
    }
}

/// <summary>A reference model with a vocabulary.</summary>
internal static class SmallModels
{
    /// <summary>The tiny Llama with <see cref="SmallVocabularies.ByteLevel"/> in a folder of Hugging Face's form.</summary>
    public static string Folder(TestFolder folder, string name)
    {
        string source = SharedFolder.PathOf("golden", "families", "llama");
        foreach (string file in (string[])["config.json", "model.safetensors"])
        {
            folder.Write($"{name}/{file}", File.ReadAllBytes(Path.Combine(source, file)));
        }

        folder.Write($"{name}/tokenizer.json", TokenizerExchange.ToJson(SmallVocabularies.ByteLevel() with { EosId = SmallVocabularies.Control }));
        folder.Write($"{name}/tokenizer_config.json", """{"tokenizer_class":"PreTrainedTokenizerFast","eos_token":"<|x|>","added_tokens_decoder":{"263":{"content":"<|x|>","special":true}}}""");
        folder.Write($"{name}/generation_config.json", """{"eos_token_id":263}""");
        return folder[name];
    }
}
