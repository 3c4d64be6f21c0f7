// The words and names that come with the program. Knows no text.
using System.Collections.Frozen;

namespace Kidogo.Privacy;

/// <summary>Three lists of words without accents, in small letters, read once.</summary>
internal sealed class Lexicon
{
    private static readonly Lazy<Lexicon> s_shared = new(() => new Lexicon());

    private Lexicon()
    {
        Words = Read("words.txt");
        Known = Read("known.txt");
        Names = Read("names.txt");
    }

    /// <summary>The lists; immutable.</summary>
    public static Lexicon Shared => s_shared.Value;

    /// <summary>Words that are written small.</summary>
    public FrozenSet<string> Words { get; }

    /// <summary>Places, peoples, months, firms: names that are no persons'.</summary>
    public FrozenSet<string> Known { get; }

    /// <summary>Names of persons.</summary>
    public FrozenSet<string> Names { get; }

    private static FrozenSet<string> Read(string name)
    {
        using Stream stream = typeof(Lexicon).Assembly.GetManifestResourceStream($"Kidogo.Privacy.{name}")!;
        using StreamReader reader = new(stream);
        List<string> words = [];
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith('#'))
            {
                words.Add(line.Replace('ς', 'σ')); // as keys are folded
            }
        }

        return words.ToFrozenSet(StringComparer.Ordinal);
    }
}
