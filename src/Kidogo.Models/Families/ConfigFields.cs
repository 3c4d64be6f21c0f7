// Values of a config.json that may be absent, with ranges. Knows no setting by name.
using Kidogo.Models.Files;

namespace Kidogo.Models.Families;

/// <summary>Reads fields that a family's configuration class has a default for.</summary>
internal static class ConfigFields
{
    /// <summary>The integer of a field, or null.</summary>
    public static int? TryInt(this JsonFields fields, string name, int min, int max) => fields.Contains(name) ? fields.GetInt(name, min, max) : null;

    /// <summary>The integer of a field, which must be there where there is no default.</summary>
    public static int Int(this JsonFields fields, string name, int min, int max, int? whenAbsent) =>
        whenAbsent is { } value ? fields.GetInt(name, min, max, value) : fields.GetInt(name, min, max);

    /// <summary>An integer for each layer: a list of as many, or one that holds for all.</summary>
    public static int[] IntPerLayer(this JsonFields fields, string name, int layers, int min, int max, int? whenAbsent)
    {
        if (fields.KindOf(name) != System.Text.Json.JsonValueKind.Array)
        {
            int[] same = new int[layers];
            Array.Fill(same, fields.Int(name, min, max, whenAbsent));
            return same;
        }

        fields.TryGetInts(name, out int[] values);
        if (values.Length != layers)
        {
            throw fields.Refuse(name, $"has {values.Length} entries; expected one for each of the {layers} layers, or one number for all.");
        }

        int wrong = Array.FindIndex(values, value => value < min || value > max);
        return wrong < 0 ? values : throw fields.Refuse(name, $"holds {values[wrong]} for layer {wrong}, counted from 0; expected {min} to {max}.");
    }

    /// <summary>The number of a field, or null.</summary>
    public static double? TryFloat(this JsonFields fields, string name, double min, double max) => fields.Contains(name) ? fields.GetFloat(name, min, max) : null;

    /// <summary>The object of a field, or null.</summary>
    public static JsonFields? Section(this JsonFields fields, string name) => fields.TryGetObject(name, out JsonFields value) ? value : null;

    /// <summary>Whether a field is there, be it null.</summary>
    public static bool Mentions(this JsonFields fields, string name) => fields.Element.TryGetProperty(name, out _);
}
