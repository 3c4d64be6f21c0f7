// Tool calls of every form, however the text is cut.
using Kidogo.Inference.Tools;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Inference.Tools;

public sealed class ToolCallTests
{
    private const string Arguments = """{"town": "Dakar", "days": 2}""";

    // The golden templates that have a place for tools, by what each teaches.
    public static TheoryData<string, string> Templates => new()
    {
        { "Qwen-Qwen2.5-7B-Instruct", "<tool_call>" },
        { "Qwen-Qwen3-0.6B", "<tool_call>" },
        { "NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "<tool_call>" },
        { "Mistral-Small-3.2-24B-Instruct-2506", "[TOOL_CALLS]" },
        { "mistralai-Mistral-Nemo-Instruct-2407", "[TOOL_CALLS]" },
        { "meta-llama-Llama-3.1-8B-Instruct", "" },
        { "ibm-granite-granite-3.3-2B-Instruct", "<|tool_call|>" },
        { "LFM2-8B-A1B", "<|tool_call_start|>" },
    };

    // What a model of that form writes: text, call, second call.
    public static TheoryData<string, string, string, string[]> Answers => new()
    {
        { "Uses tools <tool_call>", "Let me look.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": " + Arguments + "}\n</tool_call>\n<tool_call>\n{\"arguments\": {\"a\": \"}\\\"{\"}, \"name\": \"other\"}\n</tool_call>", "Let me look.", ["weather", Arguments, "other", "{\"a\": \"}\\\"{\"}"] },
        { "Uses tools [TOOL_CALLS]", "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": " + Arguments + "}, {\"name\": \"other\", \"arguments\": {}}]", "", ["weather", Arguments, "other", "{}"] },
        { "Uses tools [TOOL_CALLS] [ARGS]", "Well [TOOL_CALLS]weather[CALL_ID]abc[ARGS]" + Arguments + "[TOOL_CALLS]other[ARGS]{}", "Well", ["weather", Arguments, "other", "{}"] },
        { "Uses tools <|python_tag|>", "{\"name\": \"weather\", \"parameters\": " + Arguments + "}", "", ["weather", Arguments] },
        { "Uses tools <|python_tag|>", "<|python_tag|>{\"type\": \"function\", \"name\": \"weather\", \"parameters\": " + Arguments + "}", "", ["weather", Arguments] },
        { "Uses tools <|tool_call|>", "<|tool_call|>[{\"arguments\": " + Arguments + ", \"name\": \"weather\"}]", "", ["weather", Arguments] },
        { "Uses tools <|tool_list_start|>", "<|tool_call_start|>[weather(town=\"Dakar\", days=2), other(deep=[1, {'a': None}], ok=True)]<|tool_call_end|>Done.", "Done.", ["weather", "{\"town\":\"Dakar\",\"days\":2}", "other", "{\"deep\":[1,{\"a\":null}],\"ok\":true}"] },
        { "Uses tools <｜tool▁calls▁begin｜>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n" + Arguments + "\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>other\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>", "", ["weather", Arguments, "other", "{}"] },
    };

    // Answers that are none, or were cut: nothing is lost.
    public static TheoryData<string, string> Texts => new()
    {
        { "Uses tools <tool_call>", "Nothing to call < here, <tool_cal" },
        { "Uses tools <tool_call>", " a\n\n b " },
        { "Uses tools <|python_tag|>", "{\"answer\": 42} is what I think." },
        { "Uses tools <|python_tag|>", "{\"name\": \"nobody\", \"parameters\": {}}" },
        { "Uses tools <|python_tag|>", "Plain { text }" },
        { "Uses tools <|tool_list_start|>", "<|tool_call_start|>I cannot<|tool_call_end|>" },
        { "Uses tools <tool_call>", "<tool_call>\nI do not know how" },
    };

    [SharedTheory]
    [MemberData(nameof(Templates))]
    public void Format_OfKnownTemplates_IsFound(string template, string open)
    {
        ToolCallFormat? format = ToolCallFormat.Of(File.ReadAllText(SharedFolder.PathOf("golden", "templates", $"{template}.jinja")));
        Assert.Equal(open, format?.Open);
    }

    [SharedTheory]
    [InlineData("google-gemma-2-2b-it")]
    [InlineData("microsoft-Phi-3.5-mini-instruct")]
    [InlineData("HuggingFaceTB-SmolLM3-3B")]
    [InlineData("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B")] // writes calls, but shows its model no tools
    public void Format_OfTemplatesWithoutTools_IsNone(string template) =>
        Assert.Null(ToolCallFormat.Of(File.ReadAllText(SharedFolder.PathOf("golden", "templates", $"{template}.jinja"))));

    [Theory]
    [MemberData(nameof(Answers))]
    public void Calls_CutAnywhere_AreTheSame(string template, string answer, string content, string[] calls)
    {
        ToolCallFormat format = ToolCallFormat.Of(template)!;
        for (int step = 1; step <= answer.Length; step = step < 4 ? step + 1 : step * 3)
        {
            (string text, List<string> found) = Read(new ToolCallParser(format, ["weather", "other"]), answer, step);
            Assert.Equal(content, text);
            Assert.Equal(calls, found);
        }
    }

    [Theory]
    [MemberData(nameof(Texts))]
    public void Text_WithoutCalls_IsKept(string template, string answer)
    {
        foreach (int step in (int[])[1, 3, answer.Length])
        {
            (string text, List<string> found) = Read(new ToolCallParser(ToolCallFormat.Of(template)!, ["weather"]), answer, step);
            Assert.Equal(answer, text);
            Assert.Empty(found);
        }
    }

    [Fact]
    public void Arguments_Stream_BeforeTheCallIsWhole()
    {
        ToolCallParser parser = new(ToolCallFormat.Of("Uses tools <tool_call>")!, ["weather"]);
        Assert.Equal("weather", Assert.Single(parser.Push("<tool_call>{\"name\": \"weather\", ")).Name);
        Assert.Equal("{\"town\": \"Da", Assert.Single(parser.Push("\"arguments\": {\"town\": \"Da")).Arguments);
        Assert.True(parser.IsInCall);
        Assert.Equal("kar\"}", Assert.Single(parser.Push("kar\"}}")).Arguments);
        Assert.False(parser.IsInCall);
    }

    [Fact]
    public void Arguments_WrittenAsText_AreUnwrapped()
    {
        ToolCallParser parser = new(ToolCallFormat.Of("Uses tools <tool_call>")!, ["weather"]);
        (string text, List<string> calls) = Read(parser, "<tool_call>{\"name\": \"weather\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", 2);
        Assert.Equal(("", "{\"a\": 1}"), (text, calls[1]));
    }

    [Fact]
    public void Arguments_InPython_StreamAsJson()
    {
        ToolCallParser parser = new(ToolCallFormat.Of("Uses tools <|tool_list_start|>")!, ["weather"]);
        Assert.Empty(parser.Push("<|tool_call_start|>[weather("));
        Assert.Equal(["weather", null], parser.Push("town=").Select(piece => piece.Name));
        Assert.Equal("\"Da", Assert.Single(parser.Push("'Da")).Arguments);
        Assert.True(parser.IsInCall);
        Assert.Equal("kar\",\"days\":", Assert.Single(parser.Push("kar', days=")).Arguments);
        Assert.Empty(parser.Push("2")); // it may go on
        Assert.Equal("2}", Assert.Single(parser.Push(")")).Arguments);
        Assert.False(parser.IsInCall);
        Assert.Equal([("other", ""), (null, "{}"), (null, "")], parser.Push(", other()]<|tool_call_end|>.").Select(piece => (piece.Name, piece.Arguments)));
    }

    [Theory]
    [InlineData("[f()]", "f {}")]
    [InlineData("f(a=1)", "f {\"a\":1}")]
    [InlineData("[ f ( a = 1 , b = [ 1, 2, ], c = (True,), d = {'x': None, } ) ]", "f {\"a\":1,\"b\":[1,2],\"c\":[true],\"d\":{\"x\":null}}")]
    [InlineData("[f(a=\"\\u00e9\\n\\x41\\\"\\'\", b='\"')]", "f {\"a\":\"é\\u000aA\\\"'\",\"b\":\"\\\"\"}")]
    [InlineData("[f(a=1_000, b=.5, c=-2e3, d=12345678901234567890)]", "f {\"a\":1000,\"b\":0.5,\"c\":-2e3,\"d\":12345678901234567890}")]
    [InlineData("[f(a=1)", "f {\"a\":1}")]
    [InlineData("[f(a=1", "f {\"a\":")] // cut
    [InlineData("[f(a=\"x)", "f {\"a\":\"x)")]
    [InlineData("[f(a=)]", "f {\"a\":")] // broken from there on
    [InlineData("[f(a=b)]", "f {\"a\":")]
    [InlineData("[f(a={1: 2})]", "f {\"a\":{")]
    [InlineData("[f(a={'k'})]", "f {\"a\":{\"k\"")]
    [InlineData("[f(1)]", "")]
    [InlineData("I say f(a=1)", "")]
    [InlineData("", "")]
    public void PythonCalls_BecomeJson_AsFarAsTheyAreCalls(string text, string expected)
    {
        PythonCallScanner scanner = new();
        string read = "";
        foreach (char c in text)
        {
            if (scanner.Push(c) is { } name)
            {
                read += $"{name} ";
            }

            read += scanner.NewArguments();
        }

        Assert.Equal(expected, read);
    }

    [Fact]
    public void PythonCalls_Deep_AreBroken()
    {
        PythonCallScanner scanner = new();
        foreach (char c in $"[f(a={new string('[', 40)}")
        {
            scanner.Push(c);
        }

        Assert.True(scanner.IsBroken);
    }

    private static (string Text, List<string> Calls) Read(ToolCallParser parser, string answer, int step)
    {
        string text = "";
        List<string> calls = [];
        for (int at = 0; at < answer.Length; at += step)
        {
            Take(parser.Push(answer.Substring(at, Math.Min(step, answer.Length - at))));
        }

        Take(parser.Finish());
        return (text, calls);

        void Take(IReadOnlyList<ToolPiece> pieces)
        {
            foreach (ToolPiece piece in pieces)
            {
                text += piece.Content;
                if (piece.Name is { } name)
                {
                    calls.Add(name);
                    calls.Add("");
                }

                if (piece.Content is null)
                {
                    calls[(2 * piece.Call) + 1] += piece.Arguments;
                }
            }
        }
    }
}
