// Texts drawn at random from a schema's grammar obey the schema; those that do not obey are not let through.
using System.Globalization;
using System.Text.Json;
using Kidogo.Inference.Constraints;
using Kidogo.Models;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Inference.Constraints;

public sealed class JsonSchemaTests
{
    [Theory]
    [InlineData("""{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}""",
        """{"name":"Awa","age":3}~{"name": "", "age": -12}~{ "name":"\"\\\n","age":0 }""", """{}~{"age":3,"name":"x"}~{"name":"x"}~{"name":"x","age":1.5}~{"name":"x","age":01}~{"name":"x","age":1,"b":2}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"null"},"c":{"const":[1, "x"]}},"required":["b"]}""",
        """{"b":null}~{"a":true,"b":null}~{"b":null,"c":[1,"x"]}~{"a":false,"b":null,"c":[1,"x"]}""", """{}~{"a":true}~{"b":null,"a":true}~{"b":null,}~{,"b":null}~{"b":null "c":[1,"x"]}""")]
    [InlineData("""{"type":"array","items":{"enum":["x",1,null]},"minItems":1,"maxItems":3}""", """["x"]~[1, null]~[1,1,"x"]""", """[]~["y"]~[1,1,1,1]~[1,]""")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false}""", """[1,"a"]""", """[1]~["a",1]~[1,"a",2]""")]
    [InlineData("""{"anyOf":[{"type":"integer","minimum":0},{"type":"string","maxLength":2}]}""", """0~17~""~"é"~"ab" """, """-1~"abc"~1.5""")]
    [InlineData("""{"$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"]}},"$ref":"#/$defs/tree"}""",
        """{"v":1}~{"v":1,"kids":[{"v":2,"kids":[]},{"v":3}]}""", """{"kids":[]}~{"v":1,"kids":[1]}""")]
    [InlineData("""{"type":["string","null"],"pattern":"^[A-Z]{2}\"?$"}""", """ "AB"~null~"AB\"" """, """ "ab"~"ABC"~"AB"" """)]
    [InlineData("""{"type":"string","pattern":"x"}""", """ "x"~"axb"~"\nx" """, """ "ab"~"" """)]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"}}""", """{}~{"a":1}~{"a":1,"":2}""", """{"a":"b"}""")]
    [InlineData("""{"type":"object","properties":{"ab":{"type":"integer"},"ac":{"type":"integer"}},"additionalProperties":{"type":"boolean"}}""",
        """{}~{"ab":1}~{"ab":1,"x":true,"a":false,"abc":true}~{"":true}~{"ac":2}""", """{"ab":true}~{"x":1}~{"ab":1,"ab":true}""")]
    [InlineData("""{"allOf":[{"$ref":"#/$defs/a"},{"properties":{"y":{"type":"integer"}},"required":["y"]}],"$defs":{"a":{"type":"object","properties":{"x":{"type":"string"}}}}}""",
        """{"y":1}~{"x":"","y":2}""", """{"x":""}~{}""")]
    [InlineData("""{"type":"string","format":"date"}""", """ "2026-11-23"~"2024-02-28" """, """ "2026-13-01"~"2026-02-30"~"2026-1-1" """)]
    [InlineData("""{"type":"string","format":"ipv4"}""", """ "127.0.0.1"~"255.255.255.255" """, """ "256.0.0.1"~"1.2.3" """)]
    [InlineData("""{"properties":{"only":{}}}""", """{}~{"only":[1,{"a":[]}]}""", """[]~1""")]
    [InlineData("""{"type":"string","nullable":true,"description":"x","title":"y","default":"z"}""", """null~"x" """, "1")]
    public void Read_Schemas_LetThroughWhatObeys(string schema, string obeying, string others)
    {
        Grammar grammar = JsonSchemaReader.Read(schema);
        Assert.All(obeying.Split('~'), text => Assert.True(Matching.Fits(grammar, text.Trim()), text));
        Assert.All(others.Split('~'), text => Assert.False(Matching.Fits(grammar, text.Trim()), text));
        for (int seed = 0; seed < 20; seed++)
        {
            Matching.Json(Matching.Draw(grammar, seed));
        }
    }

    [Theory]
    [InlineData("""{"type":"object","minProperties":1}""", "minProperties")]
    [InlineData("""{"type":"array","uniqueItems":true}""", "uniqueItems")]
    [InlineData("""{"not":{"type":"string"}}""", "not")]
    [InlineData("""{"type":"strin"}""", "strin")]
    [InlineData("""{"type":"string","pattern":"(?=a)"}""", "pattern")]
    [InlineData("""{"type":"string","format":"colour"}""", "colour")]
    [InlineData("""{"type":"string","minLength":5,"maxLength":2}""", "maxLength")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":2}""", "none")]
    [InlineData("""{"type":"integer","multipleOf":3}""", "multipleOf")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "none")]
    [InlineData("""{"$ref":"https://example.org/a.json"}""", "nothing is fetched")]
    [InlineData("""{"enum":[]}""", "empty")]
    [InlineData("""{"type":"object","properties":{"a":{}},"required":["b"],"additionalProperties":false}""", "b")]
    [InlineData("""{"type":"object","properties":{"a":false}}""", "false")]
    [InlineData("""{"type":1}""", "type")]
    [InlineData("{", "JSON")]
    [InlineData("[]", "object")]
    [InlineData("""{"type":"string","minimum":1}""", "minimum")]
    public void Read_WhatCannotBeEnforced_IsRefusedByItsName(string schema, string word) =>
        Assert.Contains(word, Assert.Throws<GrammarException>(() => JsonSchemaReader.Read(schema)).Message, StringComparison.Ordinal);

    [Fact]
    public void Read_AReferenceToItself_IsRefused() =>
        Assert.Throws<GrammarException>(() => new GrammarNetwork(JsonSchemaReader.Read("""{"$ref":"#"}""")));

    [Fact]
    public void Read_NestedTooDeep_IsRefused()
    {
        string deep = string.Concat(Enumerable.Repeat("""{"type":"array","items":""", 80)) + "{}" + new string('}', 80);
        Assert.Throws<GrammarException>(() => JsonSchemaReader.Read(deep));
    }

    [Theory]
    [InlineData(0, 9)]
    [InlineData(7, 7)]
    [InlineData(-3, 12)]
    [InlineData(98, 1203)]
    [InlineData(-1203, -98)]
    [InlineData(null, 5)]
    [InlineData(-5, null)]
    [InlineData(1000, null)]
    public void Integers_Bounds_HoldForEveryValueNear(int? least, int? most)
    {
        string bounds = string.Join(',', new[] { least is null ? null : $"\"minimum\":{least}", most is null ? null : $"\"maximum\":{most}" }.Where(part => part is not null));
        Grammar grammar = JsonSchemaReader.Read($"{{\"type\":\"integer\",{bounds}}}");
        for (int value = -1500; value <= 1500; value++)
        {
            bool expected = (least is null || value >= least) && (most is null || value <= most);
            Assert.True(expected == Matching.Fits(grammar, value.ToString(CultureInfo.InvariantCulture)), $"{value} in {least} to {most}");
        }

        Assert.False(Matching.Fits(grammar, "007"));
        Assert.False(Matching.Fits(grammar, "-"));
    }

    [Theory]
    [InlineData("0", "1", false, false)]
    [InlineData("0", "1", true, true)]
    [InlineData("0.25", "0.5", false, true)]
    [InlineData("-1.05", "2.3", true, false)]
    [InlineData("-2.75", "-0.5", false, false)]
    [InlineData("1.1", "1.1", false, false)]
    [InlineData("0.19", "0.2", true, true)]
    public void Numbers_Bounds_HoldForEveryValueNear(string least, string most, bool excludesLeast, bool excludesMost)
    {
        Grammar grammar = JsonSchemaReader.Read(
            $"{{\"type\":\"number\",\"{(excludesLeast ? "exclusiveMinimum" : "minimum")}\":{least},\"{(excludesMost ? "exclusiveMaximum" : "maximum")}\":{most}}}");
        decimal low = decimal.Parse(least, CultureInfo.InvariantCulture), high = decimal.Parse(most, CultureInfo.InvariantCulture);
        foreach (int places in new[] { 0, 1, 2, 3 })
        {
            decimal step = (decimal)Math.Pow(10, -places);
            for (decimal value = -4; value <= 4; value += step)
            {
                string text = value.ToString($"F{places}", CultureInfo.InvariantCulture);
                bool expected = (excludesLeast ? value > low : value >= low) && (excludesMost ? value < high : value <= high);
                if (value == 0 && text.StartsWith('-'))
                {
                    continue;
                }

                Assert.True(expected == Matching.Fits(grammar, text), $"{text} between {least} and {most}");
            }
        }
    }

    [SharedFact]
    public void Draw_RealVocabulary_IsAlwaysJsonThatObeys()
    {
        using ModelText text = ModelText.Open(SharedFolder.PathOf("models", "SmolLM2-135M-Instruct.Q4_1.gguf"));
        TokenBytes tokens = TokenBytes.Of(text.Tokenizer);
        Grammar grammar = JsonSchemaReader.Read("""
            {"type":"object","properties":{"city":{"type":"string"},"people":{"type":"integer","minimum":1},"tags":{"type":"array","items":{"enum":["sea","river","hill"]},"maxItems":3}},
             "required":["city","people","tags"],"additionalProperties":false}
            """);
        for (int seed = 0; seed < 5; seed++)
        {
            JsonElement drawn = Matching.Json(Matching.Draw(grammar, seed, tokens, patience: 15));
            Assert.Equal(["city", "people", "tags"], drawn.EnumerateObject().Select(property => property.Name));
            Assert.True(drawn.GetProperty("people").GetInt64() >= 1);
            Assert.InRange(drawn.GetProperty("tags").GetArrayLength(), 0, 3);
        }
    }
}
