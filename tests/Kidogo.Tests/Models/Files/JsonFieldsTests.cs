// Typed fields of JSON settings: what is read, what is refused, and that the sentence names the field.
using Kidogo.Models.Files;

namespace Kidogo.Tests.Models.Files;

public sealed class JsonFieldsTests
{
    private const int MaxBytes = 100_000;

    private const string Settings =
        """{"int":64,"whole":64.0,"half":0.5,"big":1e999,"long":9223372036854775808,"yes":true,"text":"é","null":null,"ints":[1,2],"mixed":[1,"a"],"floats":[1,2.5],"texts":["a","b"],"flags":[true],"object":{"inner":7},"objects":[{"a":1},{"a":2}],"lone":"\ud800"}""";

    [Fact]
    public void Get_FieldsOfEachKind_AreRead()
    {
        using TestFolder folder = new();
        JsonFields fields = JsonFields.Load(folder.Write("config.json", Settings), MaxBytes);

        Assert.Equal(64, fields.GetInt("int", 1, 100));
        Assert.Equal(64, fields.GetInt("whole", 1, 100));
        Assert.Equal(0.5, fields.GetFloat("half", 0, 1));
        Assert.Equal(64.0, fields.GetFloat("int", 0, 100));
        Assert.True(fields.GetBool("yes", false));
        Assert.Equal("é", fields.GetString("text"));
        Assert.False(fields.Contains("null"));
        Assert.Equal(5, fields.GetInt("null", 0, 10, whenAbsent: 5));
        Assert.Equal(5, fields.GetInt("absent", 0, 10, whenAbsent: 5));
        Assert.True(fields.TryGetInts("ints", out int[] ints));
        Assert.Equal([1, 2], ints);
        Assert.True(fields.TryGetFloats("floats", out double[] floats));
        Assert.Equal([1, 2.5], floats);
        Assert.True(fields.TryGetStrings("texts", out string[] texts));
        Assert.Equal(["a", "b"], texts);
        Assert.True(fields.TryGetBools("flags", out bool[] flags));
        Assert.Equal([true], flags);
        Assert.True(fields.TryGetObject("object", out JsonFields inner));
        Assert.Equal(7, inner.GetInt("inner", 0, 10));
        Assert.True(fields.TryGetObjects("objects", out JsonFields[] objects));
        Assert.Equal(2, objects[1].GetInt("a", 0, 10));
    }

    [Fact]
    public void Get_FieldThatIsWrong_ThrowsNamingFileAndField()
    {
        using TestFolder folder = new();
        string path = folder.Write("config.json", Settings);
        JsonFields fields = JsonFields.Load(path, MaxBytes);

        Wrong("int", () => fields.GetInt("int", 65, 100));
        Wrong("half", () => fields.GetInt("half", 0, 1));
        Wrong("long", () => fields.GetInt("long", 0, int.MaxValue, whenAbsent: 1));
        Wrong("big", () => fields.GetFloat("big", 0, double.MaxValue));
        Wrong("text", () => fields.GetInt("text", 0, 1));
        Wrong("text", () => fields.GetBool("text", true));
        Wrong("int", () => fields.GetString("int"));
        Wrong("absent", () => fields.GetString("absent"));
        Wrong("mixed[1]", () => fields.TryGetInts("mixed", out _));
        Wrong("mixed[0]", () => fields.TryGetStrings("mixed", out _));
        Wrong("ints[0]", () => fields.TryGetObjects("ints", out _));
        Wrong("text", () => fields.TryGetObject("text", out _));
        Wrong("text", () => fields.TryGetInts("text", out _));
        Wrong("lone", () => fields.GetString("lone"));
        Assert.True(fields.TryGetObject("object", out JsonFields inner));
        Wrong("object.inner", () => inner.GetInt("inner", 0, 1));

        void Wrong(string name, Func<object> read)
        {
            ModelFormatException e = Assert.Throws<ModelFormatException>(() => { read(); });
            Assert.Equal(path, e.File);
            Assert.Contains($"\"{name}\"", e.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("{} {}")]
    [InlineData("{\"a\":1,\"a\":2}")]
    [InlineData("{\"a\":1,\"\\u0061\":2}")]
    [InlineData("{\"a\":{\"b\":1,\"b\":2}}")]
    [InlineData("{\"\\ud800\":1}")]
    [InlineData("{\"a\":NaN}")]
    [InlineData("{'a':1}")]
    public void Load_TextThatIsNoSuchJson_Throws(string text)
    {
        using TestFolder folder = new();
        string path = folder.Write("config.json", text);
        Assert.Equal(path, Assert.Throws<ModelFormatException>(() => JsonFields.Load(path, MaxBytes)).File);
    }

    [Fact]
    public void Load_ErrorOnTheThirdLine_GivesItsOffset()
    {
        using TestFolder folder = new();
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => JsonFields.Load(folder.Write("config.json", "{\n \"a\": 1,\n \"b\": x}"), MaxBytes));
        Assert.Equal(17, e.Offset); // the x
    }

    [Fact]
    public void Load_NestedTooDeep_Throws()
    {
        using TestFolder folder = new();
        string deep = "{\"a\":" + new string('[', 40_000) + new string(']', 40_000) + "}";
        Assert.Throws<ModelFormatException>(() => JsonFields.Load(folder.Write("config.json", deep), MaxBytes));
    }

    [Fact]
    public void Load_NoUtf8_ThrowsWithTheOffset()
    {
        using TestFolder folder = new();
        ModelFormatException e = Assert.Throws<ModelFormatException>(() => JsonFields.Load(folder.Write("config.json", [.. "{\"é\":\""u8, 0xFF, .. "\"}"u8]), MaxBytes));
        Assert.Equal(7, e.Offset);
    }

    [Fact]
    public void Load_LongerThanAllowed_ThrowsUnread()
    {
        using TestFolder folder = new();
        Assert.Throws<ModelFormatException>(() => JsonFields.Load(folder.Write("config.json", new string(' ', 11)), maxBytes: 10));
    }
}
