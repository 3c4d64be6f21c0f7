// Hostile templates: a clean error within the limits, never anything else.
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Kidogo.TestSupport;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Tests.Text.ChatTemplates;

public sealed class ChatTemplateSafetyTests
{
    // No template here needs a second of processor time; loaded machines get ten, which still tells a hang.
    private const double HangSeconds = 10;

    private static readonly ChatTemplateLimits s_limits = ChatTemplateLimits.Default;

    public static TheoryData<string> Attacks() =>
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__']['__mro__'] }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ (''|attr('__class__'))['__base__'] }}",
        "{{ namespace.__init__.x }}",
        "{{ lipsum() }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ [1] | random }}",
        "{% for x in range(10**9) %}{% endfor %}",
        "{{ range(10001) | list }}",
        "{{ 'a' * 10**9 }}",
        "{{ [0] * 10**9 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '{:99999999}'.format(1) }}",
        "{{ 'a'.center(10**9) }}",
        "{{ 'a'.zfill(10**9) }}",
        "{{ 'a' | indent(10**18 * 10) }}",
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s.replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] | tojson %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s.join(ns.s | list) %}{% endfor %}",
        "{% set l = [1] %}{% for i in range(9999) %}{% for j in range(9999) %}{% do l.append(l) %}{% endfor %}{% endfor %}",
        "{% set l = [] %}{% do l.append(l) %}{{ l }}",
        "{% set l = [] %}{% do l.append(l) %}{{ l | tojson }}",
        "{% set l = [] %}{% set m = [] %}{% do l.append(m) %}{% do m.append(l) %}{{ l == m or l < m }}",
        "{% set ns = namespace(v=[]) %}{% for i in range(5000) %}{% set ns.v = [ns.v] %}{% endfor %}{{ ns.v }}",
        "{% set ns = namespace(v=(1,)) %}{% for i in range(5000) %}{% set ns.v = (ns.v,) %}{% endfor %}{{ {ns.v: 1} }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for x in [[[]]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{% for i in range(10000) %}{% for j in range(10000) %}{% for k in range(10000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% for i in range(10000) %}{% if 'b' in s %}{% endif %}{% endfor %}{% for i in range(10000) %}{% if 'b' in s %}{% endif %}{% endfor %}",
        "{% for i in range(10000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' * 5000 }}{% endfor %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% autoescape true %}{% endautoescape %}",
        "{{ " + new string('(', 5000) + "1" + new string(')', 5000) + " }}",
        "{{ " + new string('[', 100_000),
        "{{ " + string.Concat(Enumerable.Repeat("not ", 20_000)) + "1 }}",
        "{{ " + new string('-', 20_000) + "1 }}",
        "{{ x" + string.Concat(Enumerable.Repeat(".a", 20_000)) + " }}",
        "{{ x" + string.Concat(Enumerable.Repeat("|e", 20_000)) + " }}",
        "{{ 1 " + string.Concat(Enumerable.Repeat(" if 1 else 1", 10_000)) + " }}",
        string.Concat(Enumerable.Repeat("{% if 1 %}", 10_000)),
        string.Concat(Enumerable.Repeat("{% if 1 %}", 100)) + string.Concat(Enumerable.Repeat("{% endif %}", 100)),
        "{% set " + new string('(', 20_000) + "a = 1 %}",
        new string('x', (256 * 1024) + 1),
    ];

    [Theory]
    [MemberData(nameof(Attacks))]
    public void Attack_Rendered_IsACleanErrorInBoundedTime(string source)
    {
        Stopwatch watch = Stopwatch.StartNew();
        long before = GC.GetAllocatedBytesForCurrentThread();
        ChatTemplateException error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Input(), s_limits));
        Assert.NotEmpty(error.Problem);
        Assert.True(error.Problem.Length < 400, error.Problem);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, HangSeconds);

        // All that was ever allocated, freed or not: what is held at once is far less.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 512L << 20);
    }

    [Theory]
    [InlineData("{% if messages %}\n  {{ 1 / 0 }}{% endif %}", 2, 6)]
    [InlineData("a\n\n{{ messages[0].nope.x }}", 3, 20)]
    [InlineData("{% for %}", 1, 8)]
    [InlineData("{{ raise_exception('no') }}", 1, 19)]
    public void Error_Message_NamesThePlace(string source, int line, int column)
    {
        ChatTemplateException error = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Input()));
        Assert.Equal((line, column), (error.Line, error.Column));
        Assert.Contains($"line {line}, column {column}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LongChains_WithinTheSize_Render()
    {
        Assert.Equal("2000", ChatTemplate.Parse("{{ 0" + string.Concat(Enumerable.Repeat(" + 1", 2000)) + " }}").Render(Input()).Text);
        Assert.Equal(2001, ChatTemplate.Parse("{{ 'a'" + string.Concat(Enumerable.Repeat(" ~ 'b'", 2000)) + " }}").Render(Input()).Text.Length);
    }

    [Theory]
    [InlineData("{{ ('a '*1000000).split()|length }}")]
    [InlineData("{{ ('a'*2000000)|list|length }}")]
    [InlineData("{% set ns=namespace(a=['xxxxxxxxxx']) %}{% for i in range(60) %}{% set ns.a=[ns.a,ns.a] %}{% endfor %}{{ ns.a|tojson }}")]
    [InlineData("{% set ns=namespace(a=['x']) %}{% for i in range(60) %}{% set ns.a=[ns.a,ns.a] %}{% endfor %}{{ ns.a|string|length }}")]
    public void ManySmallValues_AreCountedWithWhatTheyTake(string source)
    {
        const long MostBytes = 96L << 20; // all that was ever allocated: 32 MiB that are counted, and the doublings on the way
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Input()));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostBytes);
    }

    [Fact]
    public void Limits_ByStepsAlone_StopAtTheSamePlaceEveryTime()
    {
        // Comparing what holds itself sixty times over takes for ever: it is stopped by steps, not by the clock.
        const string Source = "{% set ns=namespace(a=[1],b=[1]) %}{% for i in range(40) %}{% set ns.a=[ns.a,ns.a] %}{% set ns.b=[ns.b,ns.b] %}{% endfor %}{{ ns.a==ns.b }}";
        ChatTemplate template = ChatTemplate.Parse(Source);
        string[] problems = [.. Enumerable.Range(0, 2).Select(_ => Assert.Throws<ChatTemplateException>(() => template.Render(Input())).Message)];
        Assert.Contains("steps", problems[0], StringComparison.Ordinal);
        Assert.Equal(problems[0], problems[1]);
    }

    [Fact]
    public void LongConversation_WithinTheLimits_Renders()
    {
        ChatMessage[] messages = [.. Enumerable.Range(0, 400).Select(i => new ChatMessage(i % 2 == 0 ? "user" : "assistant", new string('x', 4000)))];
        Assert.True(ChatTemplate.BuiltIn("llama3")!.Render(ChatTemplateInput.FromMessages(messages)).Text.Length > 1_600_000);
    }

    [Fact]
    public void ThousandMessages_OfTwoHundredWords_RenderFarWithinTheSteps()
    {
        string words = string.Join(' ', Enumerable.Repeat("habari", 200));
        ChatMessage[] messages = [.. Enumerable.Range(0, 1000).Select(i => new ChatMessage(i % 2 == 0 ? "user" : "assistant", words))];
        ChatTemplateLimits half = s_limits with { MaxSteps = s_limits.MaxSteps / 2 };
        foreach (string name in ChatTemplate.BuiltInNames)
        {
            Assert.True(ChatTemplate.BuiltIn(name)!.Render(ChatTemplateInput.FromMessages(messages), half).Text.Length > 1_390_000, name);
        }
    }

    [Fact]
    public void Steps_AtTheLargestLimit_DoNotOverflow() =>
        Assert.NotEmpty(ChatTemplate.Parse("{% for i in range(9000) %}{{ i }}{% endfor %}").Render(Input(), s_limits with { MaxSteps = long.MaxValue }).Text);

    [Fact]
    public async Task Template_RenderedByManyThreads_GivesOneText()
    {
        ChatTemplate template = ChatTemplate.BuiltIn("gemma")!;
        string[] texts = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => template.Render(Input()).Text)));
        Assert.Single(texts.Distinct());
    }

    [Fact]
    public void Mutations_OfTemplates_RenderOrThrowTheOneException()
    {
        using JsonDocument fixture = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(SharedFolder.RepositoryRoot, "tests", "fixtures", "templates", "idioms.json")));
        string[] sources = [.. fixture.RootElement.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("template").GetString()!)];
        string[] words = ["{{", "}}", "{%", "%}", "{#", "#}", "-", "+", "(", ")", "[", "]", "'", "\"", "|", ".", ",", ":", "**", "//", "9999999999", "-1", "loop", "range(9)",
            " if ", " else ", " for ", " in ", " not ", " is ", "messages", "|list", "|tojson", "|length", "namespace()", "none", "true", "\n", "\\", "\uD83D", "*", "**kw", "caller()"];
        Random random = new(20261122);
        ChatTemplateLimits limits = new() { MaxSteps = 20_000, MaxAllocation = 1 << 18 };
        int rendered = 0;
        Stopwatch watch = Stopwatch.StartNew();
        for (int i = 0; i < 10_000; i++)
        {
            StringBuilder source = new(sources[random.Next(sources.Length)]);
            for (int edits = random.Next(1, 5); edits > 0; edits--)
            {
                int at = random.Next(source.Length + 1);
                int length = Math.Min(random.Next(1, 9), source.Length - at);
                switch (random.Next(4))
                {
                    case 0: source.Remove(at, length); break;
                    case 1: source.Insert(at, words[random.Next(words.Length)]); break;
                    case 2: source.Insert(random.Next(source.Length + 1), source.ToString(at, length)); break;
                    default: source.Remove(at, length).Insert(at, words[random.Next(words.Length)]); break;
                }
            }

            try
            {
                ChatTemplate.Parse(source.ToString()).Render(Input(), limits);
                rendered++;
            }
            catch (ChatTemplateException)
            {
            }
            catch (Exception error)
            {
                Assert.Fail($"{error.GetType().Name} from mutation {i}: {source}\n{error}");
            }
        }

        Assert.InRange(rendered, 500, 9_500);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 60);
    }

    private static ChatTemplateInput Input() => new()
    {
        Messages = [new ChatMessage("user", "Habari? \"x\"").ToJson(), new ChatMessage("assistant", "Nzuri 😀").ToJson()],
        BosToken = "<s>",
        EosToken = "</s>",
        AddGenerationPrompt = true,
    };
}
