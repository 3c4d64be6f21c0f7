// Answers that may call tools: what may be written before, in and after a call.
using Kidogo.Inference.Constraints;

namespace Kidogo.Tests.Inference.Constraints;

public sealed class CallGrammarTests
{
    private static readonly CallSpelling s_tagged = new("<call>", "\n{\"name\": \"", "\", \"arguments\": ", "}\n</call>\n<call>\n{\"name\": \"", "}\n</call>");
    private static readonly CallSpelling s_bare = new("", "{\"name\": \"", "\", \"parameters\": ", "}; {\"name\": \"", "}");
    private static readonly CallSpelling s_python = new("<call>", "[", "(", "), ", ")]</call>") { IsPython = true };
    private static readonly CallRule[] s_tools =
    [
        new("town", Matching.Json("""{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}""")),
        new("any", null),
    ];

    [Theory]
    [InlineData("Plain text, with < and <cal and {\"name\": \"x\"}", true)]
    [InlineData("", true)]
    [InlineData("Let me <c <call>\n{\"name\": \"town\", \"arguments\": {\"n\":5}}\n</call>", true)]
    [InlineData("<<call>\n{\"name\": \"any\", \"arguments\": {\"x\":[1]}}\n</call>", true)]
    [InlineData("<call>\n{\"name\": \"town\", \"arguments\": {\"n\":5}}\n</call>\n<call>\n{\"name\": \"any\", \"arguments\": {}}\n</call>", true)]
    [InlineData("<call>\n{\"name\": \"town\", \"arguments\": {\"n\":\"5\"}}\n</call>", false)]
    [InlineData("<call>\n{\"name\": \"town\", \"arguments\": {}}\n</call>", false)]
    [InlineData("<call>\n{\"name\": \"nobody\", \"arguments\": {}}\n</call>", false)]
    [InlineData("<call>\n{\"name\": \"town\", \"arguments\": {\"n\":5}}", false)]
    [InlineData("<call>\n{\"name\": \"town\", \"arguments\": {\"n\":5}}\n</call> and more", false)]
    [InlineData("text with <call> in it", false)]
    [InlineData("<ca<call> in it", false)]
    public void Free_Marked(string text, bool fits) => Assert.Equal(fits, Matching.Fits(CallGrammar.Of(s_tagged, s_tools, CallStart.Free, isParallel: true), text));

    [Theory]
    [InlineData("I say {\"name\": \"town\"}", true)]
    [InlineData(" {\"name\": \"town\", \"parameters\": {\"n\":5}}", true)]
    [InlineData("{\"name\": \"any\", \"parameters\": {}}; {\"name\": \"town\", \"parameters\": {\"n\":5}}", true)]
    [InlineData("{\"answer\": 42}", false)]
    [InlineData("{\"name\": \"town\", \"parameters\": {\"n\":null}}", false)]
    public void Free_Bare(string text, bool fits) => Assert.Equal(fits, Matching.Fits(CallGrammar.Of(s_bare, s_tools, CallStart.Free, isParallel: true), text));

    [Theory]
    [InlineData(CallStart.Name, true, "town\", \"arguments\": {\"n\":5}}\n</call>", true)]
    [InlineData(CallStart.Name, true, "hello", false)]
    [InlineData(CallStart.Name, false, "town\", \"arguments\": {\"n\":5}}\n</call>\n<call>\n{\"name\": \"any\", \"arguments\": {}}\n</call>", false)]
    [InlineData(CallStart.Arguments, false, "{\"n\":5}}\n</call>", true)]
    [InlineData(CallStart.Arguments, false, "{\"m\":5}}\n</call>", false)]
    public void Forced(CallStart start, bool isParallel, string text, bool fits) => Assert.Equal(fits, Matching.Fits(CallGrammar.Of(s_tagged, s_tools, start, isParallel), text));

    [Theory]
    [InlineData("I may write <call> here</think>\n<call>\n{\"name\": \"any\", \"arguments\": {}}\n</call>", true)]
    [InlineData("I may write <call> here</think>Text", true)]
    [InlineData("x</think><call>y", false)]
    public void Reasoning_First_IsFree(string text, bool fits) => Assert.Equal(fits, Matching.Fits(CallGrammar.Of(s_tagged, s_tools, CallStart.Free, isParallel: true, "</think>"), text));

    [Theory]
    [InlineData("I may write <call> here</think>\n\n<call>\n{\"name\": \"any\", \"arguments\": {}}\n</call>", true)]
    [InlineData("</think><call>\n{\"name\": \"town\", \"arguments\": {\"n\":5}}\n</call>", true)]
    [InlineData("hm</think>Text", false)]
    [InlineData("hm</think>", false)]
    [InlineData("hm", false)]
    public void Forced_AfterReasoning_HasToCome(string text, bool fits) => Assert.Equal(fits, Matching.Fits(CallGrammar.Of(s_tagged, s_tools, CallStart.Forced, isParallel: true, "</think>"), text));

    [Theory]
    [InlineData("hm {</think>\n\n{\"n\":5}", true)]
    [InlineData("</think>{\"n\":5}", true)]
    [InlineData("hm", false)]
    [InlineData("hm</think>no", false)]
    public void Form_AfterReasoning_Holds(string text, bool fits) => Assert.Equal(fits, Matching.Fits(CallGrammar.AfterReasoning("</think>", JsonSchemaReader.Read(s_tools[0].Schema!.Value)), text));

    [Theory]
    [InlineData("<call>[town(n=5)]</call>", true)]
    [InlineData("Text <call>[any(), town(n=-5), any(x=[1, {\"y\":None}], z=True)]</call>", true)]
    [InlineData("<call>[more(flag=False)]</call>", true)]
    [InlineData("<call>[more(flag=True, size=\"xl\", none=None, list=[1, {\"k\": True}])]</call>", true)]
    [InlineData("<call>[more(flag=true)]</call>", false)]
    [InlineData("<call>[more(size=\"xl\")]</call>", false)] // the flag is required
    [InlineData("<call>[town(n=\"5\")]</call>", false)]
    [InlineData("<call>[town()]</call>", false)]
    [InlineData("<call>[town(n=5, m=6)]</call>", false)]
    [InlineData("<call>[nobody()]</call>", false)]
    [InlineData("<call>[town(n=5)", false)]
    [InlineData("<call>town(n=5)</call>", false)]
    public void Python_ObeysToo(string text, bool fits)
    {
        const string More = """{"type":"object","properties":{"flag":{"type":"boolean"},"size":{"enum":["s","xl"]},"none":{"type":"null"},"list":{"const":[1,{"k":true}]}},"required":["flag"],"additionalProperties":true}""";
        Assert.Equal(fits, Matching.Fits(CallGrammar.Of(s_python, [.. s_tools, new CallRule("more", Matching.Json(More))], CallStart.Free, isParallel: true), text));
    }

    [Theory]
    [InlineData("{\"type\":\"object\",\"properties\":{\"my-key\":{}}}", "my-key")]
    [InlineData("{\"type\":\"object\",\"properties\":{\"a\":{}},\"anyOf\":[]}", "anyOf")]
    public void Python_WhereAnArgumentCannotBeNamed_SaysWhy(string schema, string word)
    {
        Assert.Contains(word, CallGrammar.WhyNot(s_python, Matching.Json(schema)), StringComparison.Ordinal);
    }

    [Fact]
    public void Marker_ThatBeginsWithItself_IsFoundEverywhere()
    {
        Grammar grammar = CallGrammar.Of(new CallSpelling("aabaa", "", "(", ",", ")"), [new CallRule("f", null)], CallStart.Free, isParallel: false);
        Assert.True(Matching.Fits(grammar, "aaabaaf({})"));
        Assert.True(Matching.Fits(grammar, "aabaabx"[..4]));
        Assert.False(Matching.Fits(grammar, "xaabaabaa"));
    }

    [Theory]
    [InlineData("{\"type\":\"string\"}")]
    [InlineData("true")]
    [InlineData("{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}")]
    public void Schema_OfSomethingElse_IsRefused(string schema) =>
        Assert.Throws<GrammarException>(() => CallGrammar.Of(s_tagged, [new CallRule("f", Matching.Json(schema))], CallStart.Free, isParallel: true));
}
