// Masking and its undoing: whole, in pieces, and against smuggled placeholders.
using Kidogo.Privacy;

namespace Kidogo.Tests.PersonalData;

public sealed class PlaceholdersTests
{
    private static readonly PrivacyGate s_gate = new();

    [Fact]
    public void Mask_SameValue_HasTheSamePlaceholderInEveryText()
    {
        IReadOnlyList<string> masked = s_gate.Mask(["Meet Fatou Diop at 0712 345 678.", "Then fatou diop calls 0712 345 678, says Fatou."], out Placeholders placeholders)!;
        Assert.Equal("Meet [NAME_1] at [PHONE_1].", masked[0]);
        Assert.DoesNotContain("fatou", masked[1], StringComparison.OrdinalIgnoreCase);
        Assert.Contains("[PHONE_1]", masked[1], StringComparison.Ordinal);
        Assert.Equal("Meet Fatou Diop at 0712 345 678.", placeholders.Restore(masked[0]));
    }

    [Fact]
    public void Mask_SmuggledPlaceholder_IsNotRestored()
    {
        IReadOnlyList<string> masked = s_gate.Mask(["Fatou Diop wrote [NAME_1] and [name_2] here."], out Placeholders placeholders)!;
        Assert.Equal("Fatou Diop wrote [NAME_1] and [name_2] here.", placeholders.Restore(masked[0]));
        Assert.DoesNotContain("Fatou", masked[0], StringComparison.Ordinal);
        Assert.Equal("[NAME_1]", placeholders.Restore("[NAME_1]"));
    }

    [Fact]
    public void Restore_Json_EscapesTheValue()
    {
        PrivacyGate gate = new(new PrivacyOptions { Patterns = ["the \"x\""] });
        IReadOnlyList<string> masked = gate.Mask(["say the \"x\" now"], out Placeholders placeholders)!;
        Assert.Equal("say [PATTERN_1] now", masked[0]);
        Assert.Equal("{\"a\":\"the \\\"x\\\"\"}", placeholders.Restore("{\"a\":\"[PATTERN_1]\"}", isJson: true));
    }

    [Fact]
    public void Stream_CutAnywhere_IsTheWholeRestored()
    {
        s_gate.Mask(["Fatou Diop, 0712 345 678, amina@example.org"], out Placeholders placeholders);
        const string Answer = "Dear [NAME_1], [PHONE_1][EMAIL_1] [NAM [1] [NAME_9] [[NAME_1]] [name_1] end [NAME_";
        string whole = placeholders.Restore(Answer);
        Assert.Contains("[Fatou Diop] Fatou Diop end [NAME_", whole, StringComparison.Ordinal);
        Random random = new(1);
        for (int round = 0; round < 300; round++)
        {
            StreamRestorer stream = new(placeholders);
            string text = "";
            for (int at = 0; at < Answer.Length;)
            {
                int length = Math.Min(random.Next(1, 1 + (round % 12)), Answer.Length - at);
                text += stream.Take(Answer.Substring(at, length));
                at += length;
            }

            Assert.Equal(whole, text + stream.End());
        }
    }

    [Fact]
    public void Mask_TooMuch_IsRefused()
    {
        Assert.NotNull(s_gate.Mask([Mails(900)], out _));
        Assert.Null(s_gate.Mask([Mails(1100)], out _)); // each would be looked for in all
        Assert.Null(s_gate.Mask([new string('a', PrivacyGate.MaxCharacters + 1)], out _));
    }

    private static string Mails(int count) => string.Join(' ', Enumerable.Range(0, count).Select(i => $"u{i}@a.org"));

    [Fact]
    public void Mask_EscapesOfJson_GoWithTheirValue()
    {
        const string Text = """{"who":"\u0393\u03b9\u03ce\u03c1\u03b3\u03bf\u03c2 \u03a0\u03b1\u03c0\u03b1\u03b4\u03cc\u03c0\u03bf\u03c5\u03bb\u03bf\u03c2","phone":"\u002B221 77 123 45 67","broken":"\u12"}""";
        IReadOnlyList<string> masked = s_gate.Mask([Text], out Placeholders placeholders)!;
        Assert.Equal("""{"who":"[NAME_1]","phone":"[PHONE_1]","broken":"\u12"}""", masked[0]);
        Assert.Equal(Text, placeholders.Restore(masked[0]));
    }

    [Fact]
    public void Inspect_TooMuch_IsNotClean() => Assert.False(s_gate.Inspect([new string('a', PrivacyGate.MaxCharacters + 1)]).IsClean);
}
