// Grammars and patterns let exactly their texts through. Knows no schemas.
using System.Text;
using Kidogo.Inference.Constraints;

namespace Kidogo.Tests.Inference.Constraints;

public sealed class GrammarTests
{
    [Theory]
    [InlineData("root ::= \"a\" [b-d]* (\"x\" | \"yz\")?", "a|ab|abcdx|ayz|addd", "|b|axx|aby|axyz")]
    [InlineData("# digits\nroot ::= num{2,3} \"-\" num+\nnum ::= [0-9]", "12-3|123-4567", "1-2|1234-5|12-|12")]
    [InlineData("root ::= \"(\" root? \")\"", "()|(())|((()))", "|(|())|(()")]
    [InlineData("root ::= [^\\n\"]{2} \"\\x41\\u00e9\\\"\"", "ééAé\"|ab\u0041é\"", "éAé\"|a\nAé\"")]
    [InlineData("root ::= item (\",\" item)*\nitem ::= [a-z] | .{0,0} \"9\"", "a|9|a,9,z", ",|a,|A")]
    [InlineData("root ::= a b\na ::= \"x\"?\nb ::=\n  \"y\" |\n  \"z\"", "y|z|xy|xz", "x|xx|yz")]
    public void Gbnf_AnyText_FitsOrNot(string grammar, string fitting, string others)
    {
        Grammar read = GbnfReader.Read(grammar);
        Assert.All(fitting.Split('|'), text => Assert.True(Matching.Fits(read, text), text));
        Assert.All(others.Split('|'), text => Assert.False(Matching.Fits(read, text), text));
    }

    [Theory]
    [InlineData("", "root")]
    [InlineData("root ::= \"a", "line 1")]
    [InlineData("root = \"a\"", "::=")]
    [InlineData("root ::= other", "other")]
    [InlineData("root ::= root \"a\" | \"b\"", "begins with itself")]
    [InlineData("root ::= x root\nx ::= \"y\"?", "begins with itself")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "twice")]
    [InlineData("root ::= [z-a]", "ends before")]
    [InlineData("root ::= (\"a\"", ")")]
    [InlineData("root ::= \"a\"{3,2}", "{n,m}")]
    [InlineData("root ::= \"a\"{100001}", "100000")]
    [InlineData("root ::= (\"a\"{1000}){1000}", "nodes")]
    [InlineData("root ::= \"\\q\"", "escape")]
    public void Gbnf_ThatCannotBeUsed_IsRefusedWithTheReason(string grammar, string word)
    {
        GrammarException failure = Assert.Throws<GrammarException>(() => new GrammarNetwork(GbnfReader.Read(grammar)));
        Assert.Contains(word, failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("^ab+c?$", "ab|abb|abbbc", "a|ac|abcc|xab")]
    [InlineData("(?:\\d{2}|[A-F]{1,2})-\\w\\S", "12-ab|F-_x|AB-0é", "1-ab|G-ab|12-é1|12-a ")]
    [InlineData("[^a-c\\d]x|\\.\\\\", "zx|éx|.\\", "ax|1x|a\\")]
    [InlineData("(?<year>[0-9]{4})(-[0-9]{2})?", "2026|2026-11", "202|2026-1")]
    [InlineData("a{x}|[\\]a]|.*?z", "a{x}|]|a|yyz|z", "ax|b")]
    [InlineData("[\\u0600-\\u06FF]+|\\x41", "سلام|A", "B|a")]
    public void Regex_AnyText_FitsAsAWholeOrNot(string pattern, string fitting, string others)
    {
        Grammar read = RegexReader.Read(pattern);
        Assert.All(fitting.Split('|'), text => Assert.True(Matching.Fits(read, text), text));
        Assert.All(others.Split('|'), text => Assert.False(Matching.Fits(read, text), text));
    }

    [Theory]
    [InlineData("(a")]
    [InlineData("a)")]
    [InlineData("(?=a)b")]
    [InlineData("(?<!a)b")]
    [InlineData("(a)\\1")]
    [InlineData("\\bword")]
    [InlineData("a**+")]
    [InlineData("*a")]
    [InlineData("[b-a]")]
    [InlineData("[")]
    [InlineData("a^b")]
    [InlineData("\\")]
    [InlineData("a{5,2}")]
    public void Regex_ThatCannotBeUsed_IsRefusedWithItsPlace(string pattern) =>
        Assert.Contains("at character", Assert.Throws<GrammarException>(() => RegexReader.Read(pattern)).Message, StringComparison.Ordinal);

    [Fact]
    public void Regex_BuiltToExplode_EndsSoon()
    {
        Grammar nested = RegexReader.Read("(((a*)*)*)*b");
        Assert.True(Matching.Fits(nested, new string('a', 5_000) + "b"));
        Assert.False(Matching.Fits(nested, new string('a', 5_000)));
        Assert.Throws<GrammarException>(() => new GrammarNetwork(RegexReader.Read("((a{1,1000}){1,1000}){1,1000}")));
        Assert.Throws<GrammarException>(() => new GrammarNetwork(RegexReader.Read(new string('(', 500) + "a" + new string(')', 500))));
    }

    [Fact]
    public void Utf8_EveryRange_HoldsItsCharactersAndNoOthers()
    {
        foreach ((int first, int last) in new[] { (0, 0x10FFFF), (0x7F, 0x80), (0x7E0, 0x812), (0xD000, 0xE010), (0xFFFE, 0x10002), (0x1F600, 0x1F64F), (0x41, 0x41) })
        {
            GrammarAutomaton automaton = new(new GrammarNetwork(OneCharacter(first, last)));
            foreach (int character in new[] { first, last, first - 1, last + 1, (first + last) / 2, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF }.Where(Rune.IsValid))
            {
                GrammarState state = automaton.Start();
                foreach (byte value in Encoding.UTF8.GetBytes(char.ConvertFromUtf32(character)))
                {
                    state = automaton.Step(state, value);
                }

                Assert.Equal(character >= first && character <= last, state.CanEnd);
            }
        }
    }

    [Fact]
    public void Mask_TokensOfAnyLength_AreThoseWhoseBytesLeadSomewhere()
    {
        // Every token tried by itself from every state of some walks, against the mask.
        string[] words = ["a", "b", "ab", "abc", "bc", "\"", "\",", "\"}", "{\"", "{\"a\":", "1", "12", "}", "]", "[1,", ",2]", " ", "é", "x\"y", "\\", "\\n", "\\\"", "null", "tru", "e", "true}"];
        byte[]?[] byId = [.. words.Select(Encoding.UTF8.GetBytes), [0xC3], [0xA9], null, null];
        TokenBytes tokens = TokenBytes.Of(byId, [byId.Length - 1]);
        foreach (Grammar grammar in new[] { JsonSchemaReader.AnyObject(), GbnfReader.Read("root ::= \"a\" (\"b\" | list) \"c\"?\nlist ::= \"{\\\"\" [^\"]* \"\\\"\" list?"), RegexReader.Read("(ab|é)*c?\"?") })
        {
            for (int seed = 0; seed < 20; seed++)
            {
                TokenGrammar masks = new(grammar, tokens);
                GrammarAutomaton automaton = new(new GrammarNetwork(grammar));
                GrammarState state = automaton.Start();
                TokenConstraint constraint = new(masks);
                Random random = new(seed);
                for (int step = 0; step < 30; step++)
                {
                    float[] logits = new float[tokens.VocabularySize];
                    constraint.Mask(logits);
                    for (int id = 0; id < byId.Length - 1; id++)
                    {
                        bool expected = byId[id] is { } bytes && !bytes.Aggregate(state, automaton.Step).IsDead;
                        Assert.True(expected == (logits[id] == 0), $"token {id} at step {step} of walk {seed}");
                    }

                    Assert.Equal(state.CanEnd, logits[^1] == 0);
                    int[] allowed = [.. Enumerable.Range(0, byId.Length - 2).Where(id => logits[id] == 0)];
                    if (allowed.Length == 0)
                    {
                        break;
                    }

                    int chosen = allowed[random.Next(allowed.Length)];
                    constraint.Accept(chosen);
                    state = byId[chosen]!.Aggregate(state, automaton.Step);
                }
            }
        }
    }

    [Fact]
    public void Accept_ATokenThatMayNotCome_IsRefusedAndChangesNothing()
    {
        TokenConstraint constraint = new(new TokenGrammar(GbnfReader.Read("root ::= \"ab\""), Matching.Bytes));
        constraint.Accept('a');
        Assert.Throws<ArgumentException>(() => constraint.Accept('a'));
        Assert.False(constraint.CanEnd);
        constraint.Accept('b');
        Assert.True(constraint.IsComplete);
        constraint.Accept(256);
        constraint.Reset();
        Assert.False(constraint.CanEnd);
    }

    private static Grammar OneCharacter(int first, int last)
    {
        Grammar grammar = new();
        grammar.Root = grammar.Add("root", Expression.OneOf((first, last))).Rule;
        return grammar;
    }
}
