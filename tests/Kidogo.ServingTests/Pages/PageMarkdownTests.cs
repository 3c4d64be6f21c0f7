// Markdown in Chromium: what a model writes becomes elements that the page made itself, and never anything that runs.
using System.Text.Json;
using Kidogo.Inference.Scheduling;
using Kidogo.Serving;
using Kidogo.Tests.Inference;
using Kidogo.Text.ChatTemplates;
using static Microsoft.Playwright.Assertions;

namespace Kidogo.ServingTests.Pages;

[Collection(ChromiumTests.Name)]
public sealed class PageMarkdownTests(Chromium chromium)
{
    /// <summary>Shows a text, and gives the HTML that came of it: without the labels and drawings of buttons.</summary>
    private const string Show =
        """
        async text => {
          const { Prose } = await import('/scripts/markdown.js');
          const place = document.createElement('div');
          new Prose(place).update(text);
          for (const each of place.querySelectorAll('button')) each.remove();
          for (const each of place.querySelectorAll('*')) for (const name of ['aria-label', 'tabindex', 'role', 'title', 'target', 'rel', 'scope']) each.removeAttribute(name);
          return place.innerHTML;
        }
        """;

    private static readonly (string Text, string Html)[] s_texts =
    [
        ("", ""),
        ("Plain", "<p>Plain</p>"),
        ("One\ntwo\n\nthree", "<p>One<br>two</p><p>three</p>"),
        ("# A\n### B ##\n####### no", "<h3>A</h3><h5>B</h5><p>####### no</p>"),
        ("a *b* **c** ***d*** ~~e~~ _f_ g_h_i 2*3*4", "<p>a <em>b</em> <strong>c</strong> <strong><em>d</em></strong> <del>e</del> <em>f</em> g_h_i 2<em>3</em>4</p>"),
        ("**not closed *", "<p>**not closed *</p>"),
        ("*a **b* c**", "<p><em>a **b</em> c**</p>"),
        ("\\*a\\* `*b*` ``c ` d``", "<p>*a* <code>*b*</code> <code>c ` d</code></p>"),
        ("`open", "<p>`open</p>"),
        ("- a\n- b\n  - c\n    - d\n- e", "<ul><li>a</li><li>b<ul><li>c<ul><li>d</li></ul></li></ul></li><li>e</li></ul>"),
        ("1. a\n   - b\n2. c\n\nd", "<ol><li>a<ul><li>b</li></ul></li><li>c</li></ol><p>d</p>"),
        ("1. a\n  - b", "<ol><li>a<ul><li>b</li></ul></li></ol>"), // models indent by two
        ("3) a\n4) b", "<ol start=\"3\"><li>a</li><li>b</li></ol>"),
        ("- a\n\n- b", "<ul class=\"loose\"><li><p>a</p></li><li><p>b</p></li></ul>"),
        ("- [x] a\n- [ ] b", "<ul><li class=\"task\"><input type=\"checkbox\" disabled=\"\" checked=\"\">a</li><li class=\"task\"><input type=\"checkbox\" disabled=\"\">b</li></ul>"),
        ("> a\n> > b\n\nc", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><p>c</p>"),
        ("---\n***\n- - -", "<hr><hr><hr>"),
        ("| a | b |\n|:-|-:|\n| 1 | `2` |\n| 3 \\| 4 |\n\nc", "<div class=\"table\"><table><thead><tr><th class=\"start\">a</th><th class=\"end\">b</th></tr></thead><tbody><tr><td class=\"start\">1</td><td class=\"end\"><code>2</code></td></tr><tr><td class=\"start\">3 | 4</td><td class=\"end\"></td></tr></tbody></table></div><p>c</p>"),
        ("```js\nlet a = 1; // b\n```", "<figure class=\"code\"><figcaption><span>js</span></figcaption><pre><code><span class=\"code-keyword\">let</span> a = <span class=\"code-number\">1</span>; <span class=\"code-comment\">// b</span></code></pre></figure>"),
        ("~~~\n<b>\n```\n~~~", "<figure class=\"code\"><figcaption><span></span></figcaption><pre><code>&lt;b&gt;\n```</code></pre></figure>"),
        ("```\nstill open", "<figure class=\"code\"><figcaption><span></span></figcaption><pre><code>still open</code></pre></figure>"),
        ("- a\n  ```\n  b\n    c\n  ```\n- d", "<ul><li>a<figure class=\"code\"><figcaption><span></span></figcaption><pre><code>b\n  c</code></pre></figure></li><li>d</li></ul>"),
        ("[a](https://e.org/x_y_z \"t\") and <https://e.org> and https://e.org/b_c. (https://e.org/d)", "<p><a href=\"https://e.org/x_y_z\">a</a> and <a href=\"https://e.org/\">https://e.org</a> and <a href=\"https://e.org/b_c\">https://e.org/b_c</a>. (<a href=\"https://e.org/d\">https://e.org/d</a>)</p>"),
        ("[**a** b](mailto:a@e.org)", "<p><a href=\"mailto:a@e.org\"><strong>a</strong> b</a></p>"),
        ("![a picture](https://e.org/p.png)", "<p><a href=\"https://e.org/p.png\">a picture</a></p>"), // not fetched
        ("[a](/b) [c](d.html) [e] [f](  ) [g", "<p>[a](/b) [c](d.html) [e] [f](  ) [g</p>"),
        ("a &lt;b&gt; &amp; &copy; c<br>d", "<p>a &lt;b&gt; &amp; &amp;copy; c<br>d</p>"),
        ("Habari 😀 *sana* — “ndiyo”", "<p>Habari 😀 <em>sana</em> — “ndiyo”</p>"),
    ];

    private static readonly string[] s_hostile =
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\nscript:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](javascript&colon;alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](vbscript:x)",
        "[x](file:///etc/passwd)",
        "[x](blob:https://e.org/1)",
        "<javascript:alert(1)>",
        "![x](javascript:alert(1))",
        "![x\" onerror=\"alert(1)](https://e.org/a.png\"onerror=\"alert(1))",
        "[x](https://e.org/\"onmouseover=\"alert(1))",
        "`<script>alert(1)</script>`",
        "```html\n<script>alert(1)</script>\n```",
        "```\"><script>alert(1)</script>\nx\n```",
        "| <script>alert(1)</script> | b |\n|-|-|\n| <img src=x onerror=alert(1)> | d |",
        "# <script>alert(1)</script>",
        "- <style>*{display:none}</style>",
        "> <form action=https://e.org><input name=a></form>",
        "<!-- --!><script>alert(1)</script> -->",
        "<math><mtext></p><style><img src=x onerror=alert(1)></style>",
        "<x-template><template><script>alert(1)</script></template>",
    ];

    [ChromiumFact]
    public async Task Markdown_IsReadAsWritten()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            foreach ((string text, string html) in s_texts)
            {
                Assert.Equal((text, html), (text, await page.Page.EvaluateAsync<string>(Show, text)));
            }
        });
    }

    [ChromiumFact]
    public async Task Markdown_ThatIsHostile_StaysText()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            string[] problems = await page.Page.EvaluateAsync<string[]>(
                """
                async texts => {
                  const { Prose } = await import('/scripts/markdown.js');
                  const may = ['P', 'BR', 'CODE', 'PRE', 'FIGURE', 'FIGCAPTION', 'SPAN', 'BUTTON', 'svg', 'rect', 'path', 'A', 'DIV', 'TABLE', 'THEAD', 'TBODY', 'TR', 'TH', 'TD', 'H3', 'UL', 'LI', 'BLOCKQUOTE', 'EM', 'STRONG'];
                  const problems = [];
                  globalThis.alert = () => problems.push('something ran');
                  for (const text of texts) {
                    const place = document.createElement('div');
                    document.body.append(place);
                    const prose = new Prose(place);
                    for (let end = 0; end <= text.length; end++) prose.update(text.slice(0, end)); // as it streams
                    for (const each of place.querySelectorAll('*')) {
                      if (!may.includes(each.tagName)) problems.push(`${each.tagName} in ${text}`);
                      for (const { name } of each.attributes) if (name.startsWith('on') || name === 'style' || name === 'src') problems.push(`${name} in ${text}`);
                    }
                    for (const link of place.querySelectorAll('a')) {
                      if (!['http:', 'https:', 'mailto:'].includes(link.protocol) || link.rel !== 'noopener noreferrer') problems.push(`${link.href} in ${text}`);
                    }
                    await new Promise(resolve => setTimeout(resolve, 5));
                    place.remove();
                  }
                  return problems;
                }
                """, s_hostile);
            Assert.Empty(problems);
        });
    }

    [ChromiumFact]
    public async Task Answer_ThatIsHostile_StaysText()
    {
        // Each token is followed by the next: the model says exactly this.
        string[] says = ["# Hi\n\n", "<script>alert(1)</script> ", "<img src=x onerror=alert(1)> ", "[x](javascript:alert(1))", "\n\n```js\n", "alert(1)\n", "```\n"];
        string[] pieces = ["<|end|>", "a", .. says.Select(Spelled)];
        using ScriptedModel scripted = new(pieces, [0, .. Enumerable.Range(2, says.Length), 0]);
        using ServedModel model = new("scripted", scripted.Loaded, scripted.Context, ChatTemplate.Parse("{% for message in messages %}{{ message.content }}{% endfor %}"), new SchedulerOptions());
        await using TestServer server = await TestServer.StartAsync(model: model);
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            await page.Page.EvaluateAsync("() => { globalThis.alert = () => { globalThis.ran = true; }; }");
            await page.AskAsync("a");
            Assert.Equal(string.Concat(says), await page.AnswerAsync());
            await Expect(page["#messages .prose h3"]).ToHaveTextAsync("Hi");
            await Expect(page["#messages .prose p"]).ToHaveTextAsync("<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1))");
            Assert.Equal(0, await page["#messages script, #messages img, #messages a"].CountAsync());
            Assert.False(await page.Page.EvaluateAsync<bool>("globalThis.ran === true"));
            await page["#messages figure button"].ClickAsync();
            Assert.Equal("alert(1)", await page.Page.EvaluateAsync<string>("navigator.clipboard.readText()"));
        });

        // GPT-2's spelling of blanks and new lines.
        static string Spelled(string text) => text.Replace(' ', 'Ġ').Replace('\n', 'Ċ');
    }

    [ChromiumFact]
    public async Task Markdown_BuiltToExplode_IsShown()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            int[] lengths = await page.Page.EvaluateAsync<int[]>(
                """
                async () => {
                  const { blocks } = await import('/scripts/markdown-blocks.js'), { inline } = await import('/scripts/markdown-inline.js'), { highlight } = await import('/scripts/highlight.js');
                  const { Prose } = await import('/scripts/markdown.js');
                  const many = 20000;
                  const texts = ['[', '](', '[](', '![[', '*', '**a ', '_a', '*a_ ', '`', '` `` ', '<', '&', '\\', '~~', '>', '> ', '- ', '1. ', '|', '|-', '#', '# #', ' ', '\t', 'https://', '<https:', '\n- a\n', '\n\n', '(', 'a|b\n-|-\n', '```\n', '~~~x\n', '[a](b']
                    .map(piece => piece.repeat(many)).concat(Array.from({ length: 300 }, (_, at) => '`'.repeat(at + 1) + ' ').join(''), Array.from({ length: 200 }, (_, at) => ' '.repeat(2 * at) + '- a').join('\n'));
                  return texts.map(text => {
                    const place = document.createElement('div');
                    new Prose(place).update(text);
                    highlight(text, 'js');
                    inline(text);
                    return blocks(text).length + place.querySelectorAll('*').length;
                  });
                }
                """);
            Assert.Equal(35, lengths.Length); // none of them hung or overflowed the stack
        });
    }

    [ChromiumFact]
    public async Task Text_ThatGrows_KeepsWhatIsShown()
    {
        await using TestServer server = await TestServer.StartAsync();
        await ChatPage.UseAsync(chromium, server, async page =>
        {
            JsonElement result = await page.Page.EvaluateAsync<JsonElement>(
                """
                async text => {
                  const { Prose } = await import('/scripts/markdown.js');
                  const grown = document.createElement('div'), whole = document.createElement('div');
                  const prose = new Prose(grown);
                  prose.update(text.slice(0, 12));
                  const first = grown.firstChild;
                  for (let end = 12; end <= text.length; end++) prose.update(text.slice(0, end));
                  new Prose(whole).update(text);
                  return { kept: first === grown.firstChild, same: grown.innerHTML === whole.innerHTML };
                }
                """, "First *one*.\n\n- a\n- b\n\n```py\n# c\nd = 1\n```\n\n| e | f |\n|---|---|\n| 1 | 2 |\n\nEnd **here**.");
            Assert.True(result.GetProperty("kept").GetBoolean());
            Assert.True(result.GetProperty("same").GetBoolean());
        });
    }
}
