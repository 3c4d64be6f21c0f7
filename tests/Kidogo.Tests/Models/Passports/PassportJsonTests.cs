// Passports as JSON: written in one way, read with caps, any change found.
using System.Text;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;

namespace Kidogo.Tests.Models.Passports;

public sealed class PassportJsonTests
{
    private static readonly string s_hash = string.Concat(Enumerable.Repeat("0123456789abcdef", 4));

    [Fact]
    public void Write_AndRead_GivesTheSame()
    {
        Passport passport = Example();
        Passport again = PassportJson.Read(PassportJson.Write(passport), "x");
        Assert.Equal(PassportJson.Write(passport), PassportJson.Write(again));
        Assert.Equal(passport.Recipe.Options, again.Recipe.Options);
        Assert.Equal(passport.Measured, again.Measured);
        Assert.Equal(passport.Sample, again.Sample);
        Assert.Equal(0.1 + 0.2, again.Measured[0].Before);
    }

    [Fact]
    public void Write_IntoReservedRoom_FitsWhateverIsMeasured()
    {
        Passport draft = Example() with { Measured = [new PassportClaim(PassportClaim.BitsPerByte, Passport.SampleText, 1, null, null)] };
        int room = PassportJson.Reserve(draft);
        foreach (double value in (double[])[double.Epsilon, -double.MaxValue, 1.2345678901234567, -2.2250738585072014E-308, double.NaN])
        {
            Passport measured = draft with { Measured = [draft.Measured[0] with { Before = value, After = value }] };
            byte[] written = PassportJson.Write(measured, room);
            Assert.Equal(room, written.Length);
            Assert.Equal(double.IsNaN(value) ? null : value, PassportJson.Read(written, "x").Measured[0].After);
        }
    }

    [Fact]
    public void Read_OfAnyByteChanged_Refuses()
    {
        byte[] whole = PassportJson.Write(Example());
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] changed = [.. whole];
            changed[i] ^= 1;
            Assert.Throws<ModelFormatException>(() => PassportJson.Read(changed, "x"));
        }
    }

    [Fact]
    public void Read_OfAnyEnd_Refuses()
    {
        byte[] whole = PassportJson.Write(Example());
        for (int length = 0; length < whole.Length; length++)
        {
            Assert.Throws<ModelFormatException>(() => PassportJson.Read(whole.AsMemory(0, length), "x"));
        }
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("{\"passport\":9e99}")]
    [InlineData("{\"passport\":2}")]
    [InlineData("{\"passport\":1,\"sha256\":\"x\"}")]
    [InlineData("{\"passport\":1,\"sha256\":7}")]
    [InlineData("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]")]
    [InlineData("{\"passport\":1,\"sha256\":\"\\ud800\"}")]
    public void Read_OfOtherJson_RefusesWithOneKindOfException(string json) => Assert.Throws<ModelFormatException>(() => PassportJson.Read(Encoding.UTF8.GetBytes(json), "x"));

    [Theory]
    [InlineData("\"tensors\":[", "\"tensors\":[7,")]
    [InlineData("\"parents\":[", "\"parents\":[[],")]
    [InlineData("\"options\":{", "\"options\":{\"a\":[],")]
    [InlineData("\"older_steps\":0", "\"older_steps\":-1")]
    [InlineData("\"seed\":7", "\"seed\":\"7\"")]
    [InlineData("\"shape\":[2,3]", "\"shape\":[2,-3]")]
    [InlineData("\"shape\":[2,3]", "\"shape\":{}")]
    [InlineData("\"bytes\":4", "\"bytes\":4.5")]
    [InlineData("\"before\":", "\"before\":\"x\",\"was\":")]
    public void Read_OfWrongTypes_Refuses(string part, string instead)
    {
        string json = Encoding.UTF8.GetString(PassportJson.Write(Example()));
        Assert.Contains(part, json, StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => PassportJson.Read(Encoding.UTF8.GetBytes(json.Replace(part, instead, StringComparison.Ordinal)), "x"));
    }

    [Fact]
    public void Read_OfMoreThanIsRead_Refuses()
    {
        Passport huge = Example() with { Sample = new string('x', 1 << 17) };
        Assert.Contains("characters", Assert.Throws<ModelFormatException>(() => PassportJson.Read(PassportJson.Write(huge), "x")).Message, StringComparison.Ordinal);
        Passport many = Example() with { Data = [.. Enumerable.Repeat(new PassportSource("text", "t", s_hash, 1), 5000)] };
        Assert.Contains("entries", Assert.Throws<ModelFormatException>(() => PassportJson.Read(PassportJson.Write(many), "x")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CarriedOn_OverManySteps_KeepsTheNearestAndCountsTheRest()
    {
        Passport passport = Example();
        for (int i = 0; i < 40; i++)
        {
            (IReadOnlyList<PassportAncestor> lineage, int older) = passport.CarriedOn(s_hash);
            passport = passport with { Recipe = passport.Recipe with { Verb = $"step{i}" }, Lineage = lineage, OlderSteps = older };
            passport = PassportJson.Read(PassportJson.Write(passport), "x");
        }

        Assert.Equal(Passport.MaxLineage, passport.Lineage.Count);
        Assert.Equal(40 - Passport.MaxLineage, passport.OlderSteps);
        Assert.Equal("step38", passport.Lineage[0].Recipe.Verb);
        Assert.InRange(PassportJson.Write(passport).Length, 1, 32_000); // samples are not carried on
    }

    [Theory]
    [InlineData("a.txt", true)]
    [InlineData("additional_chat_templates/tool.jinja", true)]
    [InlineData("../a", false)]
    [InlineData("/etc/passwd", false)]
    [InlineData("a/../../b", false)]
    [InlineData("c:\\a", false)]
    [InlineData("a//b", false)]
    [InlineData("", false)]
    public void IsPlain_OfNamesInPassports_LetsNoneOut(string name, bool isPlain) => Assert.Equal(isPlain, ModelHash.IsPlain(name));

    [Fact]
    public void Of_Tensors_DependsOnAllButTheirOrder()
    {
        PassportTensor a = new("a", "F32", [2, 3], s_hash), b = new("b", "F32", [2, 3], s_hash);
        string whole = ModelHash.Of([a, b]);
        Assert.Equal(whole, ModelHash.Of([b, a]));
        PassportTensor[] others = [a with { Name = "c" }, a with { Format = "F16" }, a with { Shape = [3, 2] }, a with { Shape = [6] }, a with { Sha256 = s_hash.Replace('0', '1') }];
        Assert.All(others, other => Assert.NotEqual(whole, ModelHash.Of([other, b])));
    }

    private static Passport Example() => new()
    {
        Recipe = new PassportRecipe("0.1.0", "quantize", [new("format", "Q4_K_M"), new("tensor", "ffn_down=Q6_K \"é\"")], 7),
        Parents = [new PassportSource("model", "m.gguf", s_hash, 4)],
        Data = [new PassportSource("text", "t.txt", s_hash, 12)],
        Sample = "Habari ya asubuhi?\n",
        Processor = "linux-x64 Avx2",
        Measured = [new PassportClaim(PassportClaim.BitsPerByte, Passport.SampleText, 19, 0.1 + 0.2, 1.25)],
        Tensors = [new PassportTensor("token_embd.weight", "Q4_K", [2, 3], s_hash)],
        Files = [new PassportSource("file", ModelHash.MetadataName, s_hash, 9)],
    };
}
