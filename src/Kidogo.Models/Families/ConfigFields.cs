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

    /// <summary>The number of a field, or null.</summary>
    public static double? TryFloat(this JsonFields fields, string name, double min, double max) => fields.Contains(name) ? fields.GetFloat(name, min, max) : null;

    /// <summary>The object of a field, or null.</summary>
    public static JsonFields? Section(this JsonFields fields, string name) => fields.TryGetObject(name, out JsonFields value) ? value : null;

    /// <summary>Whether a field is there, be it null.</summary>
    public static bool Mentions(this JsonFields fields, string name) => fields.Element.TryGetProperty(name, out _);
}
