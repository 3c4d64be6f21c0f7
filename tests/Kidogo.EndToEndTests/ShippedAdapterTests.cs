// The adapters that come along fit the default model, are found by name, and do what their cards say.
using System.Text.Json;
using Kidogo.TestSupport;

namespace Kidogo.EndToEndTests;

public sealed class ShippedAdapterTests
{
    /// <summary>The card says a third; one article of a text that was not trained on may differ.</summary>
    private const double AtMost = 0.75;

    private const string Text = """
        Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri, hivyo yapasa watendeane kindugu.
        Kila mtu anastahili kuwa na haki zote na uhuru wote ambao umeelezwa katika Taarifa hii bila ya ubaguzi wowote. Kila mtu ana haki ya kuishi, haki ya uhuru na haki ya usalama wa nafsi yake.
        """;

    [Fact]
    public void Swahili_ByName_LowersBitsPerByte()
    {
        using TemporaryFolder folder = new();
        string text = Path.Combine(folder.Path, "text.txt"), model = Path.Combine(SharedFolder.RepositoryRoot, "models", "SmolLM2-135M-Instruct.kidogo.gguf");
        File.WriteAllText(text, Text);
        Assert.True(Bits([]) * AtMost > Bits(["--adapter", "swahili"]));

        double Bits(string[] adapter)
        {
            Outcome outcome = KidogoProcess.Run(["eval", "perplexity", model, "--text", text, "--context", "64", "--all", "--json", .. adapter]);
            Assert.Equal("", outcome.Error);
            return JsonDocument.Parse(outcome.Output).RootElement.GetProperty("bits_per_byte").GetDouble();
        }
    }
}
