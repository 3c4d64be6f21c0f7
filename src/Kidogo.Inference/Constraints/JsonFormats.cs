// The formats of strings that schemas name, as patterns. Knows no grammars.
namespace Kidogo.Inference.Constraints;

/// <summary>Formats of JSON Schema (draft 2020-12, validation, section 7.3) that a pattern can say.</summary>
internal static class JsonFormats
{
    private const string Date = "[0-9]{4}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{4}-(0[469]|11)-(0[1-9]|[12][0-9]|30)|[0-9]{4}-02-(0[1-9]|1[0-9]|2[0-8])";
    private const string Time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    private const string Label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    private const string Byte = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    private const string Hex = "[0-9a-fA-F]{1,4}";

    /// <summary>The names, for messages.</summary>
    public static IReadOnlyList<string> Names { get; } = ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];

    /// <summary>The pattern of a format; null where there is none.</summary>
    public static string? PatternOf(string format) => format switch
    {
        "date" => Date,
        "time" => Time,
        "date-time" => $"({Date})T{Time}",
        "duration" => "P([0-9]{1,4}W|([0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?|[0-9]{1,4}D)(T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))?|T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S))",
        "email" => $"[A-Za-z0-9_+-]{{1,32}}(\\.[A-Za-z0-9_+-]{{1,32}}){{0,3}}@{Label}(\\.{Label}){{1,4}}",
        "hostname" => $"{Label}(\\.{Label}){{0,6}}",
        "ipv4" => $"({Byte}\\.){{3}}{Byte}",
        "ipv6" => $"({Hex}:){{7}}{Hex}|({Hex}:){{1,6}}:{Hex}|::({Hex}:){{0,5}}{Hex}|::",
        "uuid" => "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        "uri" => "[a-z][a-z0-9+.-]{0,15}:(//[A-Za-z0-9.-]{1,120}(:[0-9]{1,5})?)?[A-Za-z0-9._~!$&'()*+,;=:@/%-]{0,400}(\\?[A-Za-z0-9._~!$&'()*+,;=:@/?%-]{0,400})?(#[A-Za-z0-9._~!$&'()*+,;=:@/?%-]{0,200})?",
        _ => null,
    };
}
