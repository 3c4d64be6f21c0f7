// Descriptions from strangers: one exception type, no hang, no crash.
using System.Text;
using Kidogo.Text.Tokenizers;
using Kidogo.Text.Unicode;

namespace Kidogo.Tests.Text.Tokenizers;

public sealed class HostileTokenizerJsonTests
{
    private const int Mutations = 10_000;

    [Fact]
    public void FromJson_SmallFile_Works()
    {
        Tokenizer tokenizer = Load(SmallVocabularies.Json);
        Assert.Equal([9, 4, 5], tokenizer.Encode("ab", addSpecial: true)); // "a b" comes before "▁ a"
        Assert.Equal("a b", tokenizer.Decode(tokenizer.Encode("A  b")));
        Assert.Contains(10, tokenizer.Encode("a <u> b"));
        Assert.DoesNotContain(9, tokenizer.Encode("a<s>b"));
        Assert.Contains(9, tokenizer.Encode("a<s>b", parseSpecial: true));
    }

    [Theory]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[STEPS]}""", """{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}""")]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[STEPS]}""", """{"type":"Replace","pattern":{"Regex":"a"},"content":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}""")]
    [InlineData("pre_tokenizer", """{"type":"Sequence","pretokenizers":[STEPS]}""", """{"type":"Metaspace","replacement":"      ","prepend_scheme":"always","split":true}""")]
    [InlineData("decoder", """{"type":"Sequence","decoders":[STEPS]}""", """{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}""")]
    public void Steps_ThatGrowATextWithoutEnd_AreStoppedSoon(string part, string sequence, string step)
    {
        const long MostBytes = 64L << 20; // a mebibyte of text to spare, a range for each byte of it, and their doublings
        string steps = sequence.Replace("STEPS", string.Join(',', Enumerable.Repeat(step, 12)), StringComparison.Ordinal);
        Tokenizer tokenizer = Load($$$"""{"{{{part}}}":{{{steps}}},"model":{"type":"BPE","vocab":{"a":0,"b":1," ":2},"merges":[]}}""");
        long before = GC.GetAllocatedBytesForCurrentThread();
        TokenizerException error = Assert.Throws<TokenizerException>(() => part == "decoder" ? tokenizer.Decode([0, 1]).Length : tokenizer.Encode("a b a b aaaa a").Length);
        Assert.Contains("grows it without end", error.Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostBytes);
    }

    [Fact]
    public void Steps_ThatPrependAFewWords_AreNoGrowthWithoutEnd()
    {
        Tokenizer tokenizer = Load("""{"normalizer":{"type":"Prepend","prepend":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}""");
        Assert.Equal(65, tokenizer.Encode("b").Length);
    }

    [Fact]
    public void FromJson_PostProcessorsWithoutEnd_AreRefused()
    {
        string one = """{"type":"BertProcessing","cls":["a",0],"sep":["b",1]}""";
        string many = string.Join(',', Enumerable.Repeat(one, 10_000));
        Assert.Throws<TokenizerFormatException>(() => Load($$$"""{"post_processor":{"type":"Sequence","processors":[{{{many}}}]},"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}"""));
    }

    [Fact]
    public void FromJson_CutAnywhere_ThrowsTheOneException()
    {
        byte[] json = Encoding.UTF8.GetBytes(SmallVocabularies.Json);
        for (int length = 0; length < json.Length; length++)
        {
            Assert.Throws<TokenizerFormatException>(() => Tokenizer.FromJson(json.AsMemory(0, length)));
        }
    }

    [Fact]
    public void FromJson_MutatedFile_LoadsOrThrowsTheOneException()
    {
        byte[] json = Encoding.UTF8.GetBytes(SmallVocabularies.Json);
        Random random = new(20261122);
        int loaded = 0;
        for (int i = 0; i < Mutations; i++)
        {
            byte[] mutated = (byte[])json.Clone();
            for (int changes = random.Next(1, 4); changes > 0; changes--)
            {
                mutated[random.Next(mutated.Length)] = random.Next(3) == 0 ? (byte)random.Next(256) : json[random.Next(json.Length)];
            }

            try
            {
                Tokenizer tokenizer = Tokenizer.FromJson(mutated);
                int[] ids = tokenizer.Encode("ab 123 ABC <u> é<s>\n", addSpecial: true, parseSpecial: true);
                tokenizer.Decode(ids);
                loaded++;
            }
            catch (TokenizerException)
            {
            }
        }

        Assert.InRange(loaded, 1, Mutations - 1);
    }

    [Theory]
    [InlineData("\"a\":1", "\"a\":-1")]
    [InlineData("\"a\":1", "\"a\":1e3000")]
    [InlineData("\"a\":1", "\"a\":2")]
    [InlineData("\"a\":1", "\"a\":2000000000")]
    [InlineData("\"a\":1", "\"a\":4000000")]
    [InlineData("\"a\":1", "\"a\":\"1\"")]
    [InlineData("\"a b\"", "\"a z\"")]
    [InlineData("\"a b\"", "\"ab\"")]
    [InlineData("\"id\":10", "\"id\":5")]
    [InlineData("\"id\":10", "\"id\":9")]
    [InlineData("\"ids\":[9]", "\"ids\":[11]")]
    [InlineData("\"NFKC\"", "\"NFXC\"")]
    [InlineData("\"BPE\"", "\"RNN\"")]
    [InlineData("\\\\p{N}{1,3}", "\\\\p{N}{1,99999}")]
    [InlineData("\\\\p{N}{1,3}", "(((a{99}){99}){99}){99}")]
    [InlineData("\\\\p{N}{1,3}", "(a")]
    [InlineData("\\\\p{N}{1,3}", "[z-a]")]
    [InlineData("\\\\p{N}{1,3}", "\\\\1")]
    [InlineData("\"content\":\"<u>\"", "\"content\":\"\\ud800\"")]
    public void FromJson_OneThingWrong_ThrowsTheOneException(string right, string wrong)
    {
        Assert.Contains(right, SmallVocabularies.Json, StringComparison.Ordinal);
        Assert.Throws<TokenizerFormatException>(() => Load(SmallVocabularies.Json.Replace(right, wrong, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("merges", "null", "'model.merges' is Null; expected an array")]
    [InlineData("merges", "3", "'model.merges' is Number; expected an array")]
    [InlineData("merges", "\"a b\"", "'model.merges' is String; expected an array")]
    [InlineData("merges", "{\"a\":1}", "'model.merges' is Object; expected an array")]
    [InlineData("merges", "[],\"merges\":[]", "'merges' occurs twice")]
    [InlineData("fuse_unk", "null", "'model.fuse_unk' is Null; expected true or false")]
    [InlineData("fuse_unk", "1", "'model.fuse_unk' is Number; expected true or false")]
    [InlineData("byte_fallback", "\"true\"", "'model.byte_fallback' is String; expected true or false")]
    [InlineData("ignore_merges", "[]", "'model.ignore_merges' is Array; expected true or false")]
    [InlineData("dropout", "\"0.1\"", "'model.dropout' is String; expected a number")]
    [InlineData("dropout", "1.5", "'model.dropout' is 1.5; expected a number")]
    [InlineData("unk_token", "5", "'unk_token' is Number; expected a string")]
    [InlineData("continuing_subword_prefix", "5", "'continuing_subword_prefix' is Number; expected a string")]
    [InlineData("end_of_word_suffix", "false", "'end_of_word_suffix' is False; expected a string")]
    public void FromJson_ModelMemberOfAWrongKind_IsRefusedByNameWithBothKinds(string name, string value, string problem)
    {
        string Model(string type) => $"{{\"model\":{{{type}\"vocab\":{{\"a\":0,\"b\":1}},\"{name}\":{value}}}}}";
        Assert.Contains(problem, Assert.Throws<TokenizerFormatException>(() => Load(Model("\"type\":\"BPE\","))).Message, StringComparison.Ordinal);
        Assert.Contains(problem, Assert.Throws<TokenizerFormatException>(() => Load(Model(""))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("truncation", "true", "'truncation' is True; expected an object")]
    [InlineData("padding", "[]", "'padding' is Array; expected an object")]
    public void FromJson_TopMemberOfAWrongKind_IsRefusedByNameWithBothKinds(string name, string value, string problem) =>
        Assert.Contains(
            problem, Assert.Throws<TokenizerFormatException>(() => Load($"{{\"{name}\":{value},\"model\":{{\"type\":\"BPE\",\"vocab\":{{\"a\":0}}}}}}")).Message, StringComparison.Ordinal);

    [Fact]
    public void FromJson_NullWhereHuggingFaceWritesIt_Loads()
    {
        const string Model = """{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"end_of_word_suffix":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}""";
        Assert.Equal([2], Load($"{{\"truncation\":null,\"padding\":null,\"model\":{Model}}}").Encode("ab"));
    }

    [Fact]
    public void FromJson_DeepNesting_ThrowsTheOneException()
    {
        string deep = string.Concat(Enumerable.Repeat("{\"type\":\"Sequence\",\"normalizers\":[", 100_000));
        Assert.Throws<TokenizerFormatException>(() => Load("{\"normalizer\":" + deep));
        Assert.Throws<TokenizerFormatException>(() => Load(new string('[', 1_000_000)));
        Assert.Throws<TokenizerFormatException>(() => new CodePointRegex(new string('(', 60_000)));
    }

    [Theory]
    [InlineData("(a*)*b")]
    [InlineData("(a|a)*b")]
    [InlineData("(a+)+$x")]
    [InlineData("(?=(a*)*b)a")]
    [InlineData("(a*)*")]
    [InlineData("(a|aa)+?c")]
    public void Regex_PatternThatExplodesElsewhere_EndsInBoundedWork(string pattern)
    {
        CodePointRegex regex = new(pattern);
        byte[] text = Encoding.UTF8.GetBytes(new string('a', 5_000));
        try
        {
            regex.Start(text.Length).Find(text, 0, out _, out _);
        }
        catch (TokenizerException)
        {
        }
    }

    [Theory]
    [InlineData("a+b", "xaab", 1, 4)]
    [InlineData("(?i:ab)+", "xABab", 1, 5)]
    [InlineData("\\s+(?!\\S)", "a   b", 1, 3)]
    [InlineData("a{2,3}?", "aaaa", 0, 2)]
    [InlineData("(?:ab|a)(?>bc|b)?c", "abc", 0, 3)]
    [InlineData("[\\p{L}&&[^a]]+", "aabc", 2, 4)]
    [InlineData("(?<!a)b", "abcb", 3, 4)]
    [InlineData("\\p{Lu}", "𝐀", 0, 4)]
    [InlineData("\\bx\\b", "ax x", 3, 4)]
    [InlineData("[^\\r\\n]?é", "oé", 0, 3)]
    public void Regex_Pattern_MatchesAsUsual(string pattern, string text, int start, int end)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        Assert.True(new CodePointRegex(pattern).Start(utf8.Length).Find(utf8, 0, out int from, out int to));
        Assert.Equal((start, end), (from, to));
    }

    private static Tokenizer Load(string json) => Tokenizer.FromJson(Encoding.UTF8.GetBytes(json));
}
