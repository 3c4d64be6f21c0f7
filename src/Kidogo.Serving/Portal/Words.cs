// The words of the portal's pages in the languages that they are written in. Knows no page.
using System.Text;
using Kidogo.Text;

namespace Kidogo.Serving.Portal;

/// <summary>Words of one language.</summary>
internal sealed class Words
{
    private static readonly string[] s_languages = ["en", "fr", "sw"];
    private static readonly Dictionary<string, Words> s_all = ReadAll(); // after the languages that it is made of

    private readonly Dictionary<string, string> _texts = new(StringComparer.Ordinal);

    private Words(string language) => Language = language;

    /// <summary>The languages that the pages are written in.</summary>
    public static IReadOnlyList<string> Languages => s_languages;

    public static Words English => s_all["en"];

    /// <summary>The language, such as <c>sw</c>.</summary>
    public string Language { get; }

    /// <summary>What there are words for.</summary>
    public IReadOnlyCollection<string> Keys => _texts.Keys;

    public static Words In(string language) => s_all[language];

    /// <summary>A text.</summary>
    public string Of(string key) => _texts[key];

    /// <summary>A text; null where there is none.</summary>
    public string? Find(string key) => _texts.GetValueOrDefault(key);

    private static Dictionary<string, Words> ReadAll()
    {
        Dictionary<string, Words> all = Languages.ToDictionary(language => language, language => new Words(language));
        foreach ((string key, YamlValue texts) in ((YamlMap)YamlTree.Read(Encoding.UTF8.GetString(PortalResource.Read("words.yaml")), "words.yaml")).Fields)
        {
            foreach ((string language, YamlValue text) in ((YamlMap)texts).Fields)
            {
                all[language]._texts.Add(key, ((YamlText)text).Text);
            }
        }

        return all;
    }
}

/// <summary>Files of the portal inside the assembly.</summary>
internal static class PortalResource
{
    public static byte[] Read(string name)
    {
        using Stream stream = typeof(PortalResource).Assembly.GetManifestResourceStream($"Kidogo.Serving.Portal.{name}")!;
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
