using System.Text;
using Kidogo.Inference.Output;

namespace Kidogo.Tests.Inference;

public sealed class OutputTests
{
    [Theory]
    [InlineData("hello", "", "hello", null)]
    [InlineData("hello END more", "END", "hello ", "END")]
    [InlineData("hello EN", "END", "hello EN", null)]
    [InlineData("aaab", "aab", "a", "aab")]
    [InlineData("xabcabd!", "abcabd", "x", "abcabd")]
    [InlineData("abcabcabd!", "abcabd", "abc", "abcabd")]
    [InlineData("xabc", "abc|bc", "x", "abc")] // both end there: the longest
    [InlineData("xabc", "abcd|b", "xa", "b")] // the first that is complete
    [InlineData("xabd", "abcd|bd", "xa", "bd")]
    [InlineData("END", "END", "", "END")]
    [InlineData("", "END", "", null)]
    [InlineData("\n\nUser:", "\nUser:|\n\n\n", "\n", "\nUser:")]
    [InlineData("a😀b", "😀", "a", "😀")]
    [InlineData("a😃b", "😀", "a😃b", null)] // the same high surrogate
    public void StopStringMatcher_EverySplit_GivesTheSame(string text, string stops, string shown, string? matched)
    {
        string[] list = stops.Length == 0 ? [] : stops.Split('|');
        foreach (string[] pieces in Splits(text))
        {
            StopStringMatcher matcher = new(list);
            StringBuilder output = new();
            foreach (string piece in pieces)
            {
                output.Append(matcher.Push(piece));
                Assert.StartsWith(output.ToString(), shown, StringComparison.Ordinal); // nothing is ever shown that has to go
            }

            output.Append(matcher.Flush());
            Assert.Equal(shown, output.ToString());
            Assert.Equal(matched, matcher.Matched);
            Assert.Equal("", matcher.Flush().ToString());
        }
    }

    [Fact]
    public void StopStringMatcher_NothingCanMatch_HoldsNothingBack()
    {
        StopStringMatcher matcher = new(["END"]);
        Assert.Equal("hello ", matcher.Push("hello E").ToString());
        Assert.Equal("Ex", matcher.Push("x").ToString());
        Assert.Equal("", matcher.Push("EN").ToString());
        Assert.Equal("", matcher.Push("Dy").ToString());
        Assert.Equal("", matcher.Push("END").ToString());
        Assert.Equal("END", matcher.Matched);
    }

    [Fact]
    public void StopStringMatcher_RandomTexts_EqualNaiveTwin()
    {
        Random random = new(4);
        for (int round = 0; round < 500; round++)
        {
            string text = RandomText(random, random.Next(0, 30));
            string[] stops = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomText(random, random.Next(2, 6)))];
            int end = Enumerable.Range(1, text.Length).FirstOrDefault(e => stops.Any(s => text.AsSpan(0, e).EndsWith(s, StringComparison.Ordinal)), -1);
            string? matched = end < 0 ? null : stops.Where(s => text.AsSpan(0, end).EndsWith(s, StringComparison.Ordinal)).MaxBy(s => s.Length);
            StopStringMatcher matcher = new(stops);
            StringBuilder output = new();
            for (int at = 0; at < text.Length;)
            {
                int length = Math.Min(random.Next(0, 5), text.Length - at);
                output.Append(matcher.Push(text.AsSpan(at, length)));
                at += length;
            }

            output.Append(matcher.Flush());
            Assert.Equal(matched, matcher.Matched);
            Assert.Equal(end < 0 ? text : text[..(end - matched!.Length)], output.ToString());
        }
    }

    [Fact]
    public void StopStringMatcher_BadStrings_AreRefused()
    {
        Assert.Contains("Stop string 2 is empty", Assert.Throws<ArgumentException>(() => new StopStringMatcher(["a", ""])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new StopStringMatcher([new string('a', StopStringMatcher.MaxLength + 1)]));
        Assert.Throws<ArgumentException>(() => new StopStringMatcher([.. Enumerable.Repeat("a", StopStringMatcher.MaxCount + 1)]));
        Assert.Throws<ArgumentException>(() => new StopStringMatcher(["\ud83d"]));
        Assert.Throws<ArgumentException>(() => new GenerationOptions { StopStrings = [""] }.Validate());
        Assert.Throws<ArgumentException>(() => new GenerationOptions { MaxTokens = -1 }.Validate());
        new GenerationOptions { MaxTokens = 0, StopStrings = [new string('a', StopStringMatcher.MaxLength)] }.Validate();
    }

    [Theory]
    [InlineData("Hi", false, "", "Hi")]
    [InlineData("", false, "", "")]
    [InlineData("\n Hi\n", false, "", "\n Hi\n")]
    [InlineData(" \n", false, "", " \n")]
    [InlineData("<th", false, "", "<th")]
    [InlineData("<thin ice", false, "", "<thin ice")]
    [InlineData("<think>\nA\n</think>\n\nB\n", false, "A", "B\n")]
    [InlineData("\n<think>\n\n</think>\n\nB", false, "", "B")]
    [InlineData("<think>a\n\nb</thin\n</think>c", false, "a\n\nb</thin", "c")]
    [InlineData("<think>a <\n</think>c", false, "a <", "c")]
    [InlineData("<think>a</</think>c", false, "a</", "c")]
    [InlineData("<think>a\n", false, "a", "")]
    [InlineData("<think>a\n</thi", false, "a\n</thi", "")]
    [InlineData("A\n</think>\n\nB", true, "A", "B")]
    [InlineData("\nA", true, "A", "")]
    [InlineData("Say <think>x</think>.", false, "", "Say <think>x</think>.")]
    [InlineData("<think>a</think>b <think>c</think>", false, "a", "b <think>c</think>")]
    public void ReasoningSplitter_EverySplit_GivesTheSame(string text, bool startsInside, string reasoning, string answer)
    {
        foreach (string[] pieces in Splits(text))
        {
            ReasoningSplitter splitter = new(startsInside: startsInside);
            StringBuilder thought = new();
            StringBuilder said = new();
            foreach (string piece in pieces)
            {
                Append(splitter.Push(piece));
            }

            Append(splitter.Flush());
            Assert.Equal(reasoning, thought.ToString());
            Assert.Equal(answer, said.ToString());

            void Append(ReasoningParts parts)
            {
                thought.Append(parts.Reasoning);
                said.Append(parts.Answer);
            }
        }
    }

    [Fact]
    public void ReasoningSplitter_Streaming_ShowsTextAtOnce()
    {
        ReasoningSplitter splitter = new("[THINK]", "[/THINK]");
        Assert.Equal("ab", splitter.Push("[THINK]ab").Reasoning.ToString());
        Assert.True(splitter.IsInside);
        ReasoningParts parts = splitter.Push("c[/THINK]d");
        Assert.Equal("c", parts.Reasoning.ToString());
        Assert.Equal("d", parts.Answer.ToString());
        Assert.False(splitter.IsInside);
    }

    [Fact]
    public void ReasoningSplitter_EndlessNewlines_StayLinear()
    {
        // Quadratic work would take minutes here.
        string newlines = new('\n', 1_000_000);
        ReasoningSplitter before = new();
        before.Push(newlines);
        Assert.Equal(newlines.Length, before.Flush().Answer.Length);
        ReasoningSplitter inside = new();
        inside.Push("<think>a" + newlines);
        Assert.Equal(newlines.Length + 1, inside.Push("b").Reasoning.Length);
    }

    [Theory]
    [InlineData("<|im_start|>assistant\n<think>\n", true)]
    [InlineData("<|im_start|>assistant\n<think>\n\n</think>\n\n", false)]
    [InlineData("<|im_start|>assistant\n", false)]
    [InlineData("", false)]
    public void PromptOpensBlock_Prompt_IsSeenByItsEnd(string prompt, bool expected) => Assert.Equal(expected, ReasoningSplitter.PromptOpensBlock(prompt));

    [Theory]
    [InlineData("")]
    [InlineData(" <think>")]
    public void ReasoningSplitter_BadTag_IsRefused(string tag) => Assert.Throws<ArgumentException>(() => new ReasoningSplitter(tag));

    /// <summary>Every way to cut a text into pieces, up to 12 characters; of longer texts every cut into two or three, and one character at a time.</summary>
    private static IEnumerable<string[]> Splits(string text)
    {
        if (text.Length <= 12)
        {
            for (int mask = 0; mask < 1 << Math.Max(0, text.Length - 1); mask++)
            {
                List<string> pieces = [];
                int start = 0;
                for (int i = 1; i <= text.Length; i++)
                {
                    if (i == text.Length || (mask >> (i - 1) & 1) == 1)
                    {
                        pieces.Add(text[start..i]);
                        start = i;
                    }
                }

                yield return [.. pieces];
            }

            yield break;
        }

        yield return [.. text.Select(c => c.ToString())];
        for (int first = 0; first <= text.Length; first++)
        {
            for (int second = first; second <= text.Length; second++)
            {
                yield return [text[..first], text[first..second], text[second..]];
            }
        }
    }

    private static string RandomText(Random random, int length) => string.Concat(Enumerable.Range(0, length).Select(_ => "ab"[random.Next(2)]));
}
