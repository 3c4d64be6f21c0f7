// The real model's words: ids of the stored texts, the way back, and conversations rendered by its own template.
using System.Text.Json;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Text.Tokenizers;
using Kidogo.TestSupport;

namespace Kidogo.Tests.RealModel;

public sealed class WordsTests
{
    [SharedFact]
    public void Texts_AsStored_HaveTheirIdsAndComeBack()
    {
        using ModelText words = ModelText.Open(RealModels.ModelPath);
        Tokenizer tokenizer = words.Tokenizer;
        Assert.Equal(49_152, tokenizer.VocabularySize);
        Assert.Equal([2], tokenizer.EndOfGenerationIds.Where(id => id == tokenizer.EosId));
        foreach (JsonElement text in RealModels.Golden("smollm2-logits.json").GetProperty("texts").EnumerateArray())
        {
            string source = text.GetProperty("text").GetString()!;
            int[] ids = RealModels.Ints(text.GetProperty("ids"));
            Assert.Equal(ids, tokenizer.Encode(source, parseSpecial: true));
            Assert.Equal(source, tokenizer.Decode(ids));
        }
    }

    [SharedFact]
    public void WikiText_FromTheFile_HasTheStoredIdsAndComesBackByteForByte()
    {
        using ModelText words = ModelText.Open(RealModels.ModelPath);
        int[] stored = RealModels.WikiText();
        byte[] start = File.ReadAllBytes(SharedFolder.PathOf("corpora", "wikitext-2", "test.txt"))[..100_000];
        int[] ids = words.Tokenizer.Encode(start);
        Assert.Equal(stored, ids[..stored.Length]);
        Assert.Equal(start, words.Tokenizer.DecodeBytes(ids));
    }

    [SharedFact]
    public void Conversations_RenderedByTheModelsTemplate_AreTheStoredPromptsAndIds()
    {
        using ModelText words = ModelText.Open(RealModels.ModelPath);
        ChatPrompter prompter = new(words, words.ChatTemplate()!);
        foreach (JsonElement test in RealModels.Golden("smollm2-greedy.json").GetProperty("cases").EnumerateArray())
        {
            JsonElement[] messages = [.. test.GetProperty("messages").EnumerateArray()];
            int[] expected = RealModels.Ints(test.GetProperty("prompt_ids"));
            Assert.Equal(expected, prompter.Build(messages).Ids);
            Assert.Equal(test.GetProperty("prompt").GetString(), words.Tokenizer.Decode(expected));
            Assert.Equal(test.GetProperty("text").GetString(), words.Tokenizer.Decode(RealModels.Ints(test.GetProperty("ids"))));
        }
    }

    [SharedFact]
    public void Answer_StreamedTokenByToken_IsTheStoredText()
    {
        using ModelText words = ModelText.Open(RealModels.ModelPath);
        foreach (JsonElement test in RealModels.Golden("smollm2-greedy.json").GetProperty("cases").EnumerateArray())
        {
            TokenStreamDecoder decoder = new(words.Tokenizer, skipSpecial: false);
            string text = string.Concat(RealModels.Ints(test.GetProperty("ids")).Select(decoder.Append)) + decoder.Flush();
            Assert.Equal(test.GetProperty("text").GetString(), text);
        }
    }
}
