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
    public void Inspect_TooMuch_IsNotClean() => Assert.False(s_gate.Inspect([new string('a', PrivacyGate.MaxCharacters + 1)]).IsClean);
}
