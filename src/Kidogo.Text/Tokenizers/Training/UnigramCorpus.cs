// Counted units as numbers of characters, in an order that depends on nothing but their spelling. Knows no pieces.
using System.Text;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers.Training;

/// <summary>What unigram training works on: the alphabet, and units with their counts.</summary>
internal sealed class UnigramCorpus
{
    private const int Marker = 0x2581; // ▁

    private UnigramCorpus(int[] alphabet, int[] characters, int[] starts, long[] counts)
    {
        Alphabet = alphabet;
        Characters = characters;
        Starts = starts;
        Counts = counts;
        for (int i = 0; i < counts.Length; i++)
        {
            TotalCharacters += counts[i] * (starts[i + 1] - starts[i]);
        }
    }

    /// <summary>The code points with a piece of their own, ascending; characters are their places here.</summary>
    public int[] Alphabet { get; }

    /// <summary>All units one after the other.</summary>
    public int[] Characters { get; }

    /// <summary>Where each unit begins in <see cref="Characters"/>, and at the end where the last one ends.</summary>
    public int[] Starts { get; }

    /// <summary>How often each unit occurs.</summary>
    public long[] Counts { get; }

    /// <summary>Characters of the texts, repeated units included.</summary>
    public long TotalCharacters { get; }

    public int UnitCount => Counts.Length;

    /// <summary>Sorts the units by their bytes, since sums of floating point depend on their order, and cuts them at characters outside the alphabet, which are
    /// left to the tokens of bytes.</summary>
    public static UnigramCorpus Of(WordTable words, TokenizerTrainingOptions options)
    {
        int[] alphabet = ChooseAlphabet(words, options);
        Dictionary<int, int> places = [];
        for (int i = 0; i < alphabet.Length; i++)
        {
            places.Add(alphabet[i], i);
        }

        int[] order = new int[words.Count];
        for (int i = 0; i < order.Length; i++)
        {
            order[i] = i;
        }

        Array.Sort(order, (x, y) => words.Word(x).SequenceCompareTo(words.Word(y)));
        List<int> characters = new(words.Bytes), starts = new(words.Count + 1) { 0 };
        List<long> counts = new(words.Count);
        foreach (int index in order)
        {
            ReadOnlySpan<byte> word = words.Word(index);
            for (int at = 0, length; at < word.Length; at += length)
            {
                bool known = places.TryGetValue(CodePoints.Decode(word, at, out length), out int place);
                if (known)
                {
                    characters.Add(place);
                }

                if ((!known || at + length == word.Length) && characters.Count > starts[^1])
                {
                    starts.Add(characters.Count);
                    counts.Add(words.CountOf(index));
                }
            }
        }

        return new UnigramCorpus(alphabet, [.. characters], [.. starts], [.. counts]);
    }

    /// <summary>The spelling of some characters.</summary>
    public string Spell(ReadOnlySpan<int> characters)
    {
        StringBuilder text = new(characters.Length);
        foreach (int character in characters)
        {
            text.Append(new Rune(Alphabet[character]).ToString());
        }

        return text.ToString();
    }

    // The commonest characters that make up the share, and always ▁, what ASCII can print, tab and newline: without them a text could be taken for the name of
    // a byte's token.
    private static int[] ChooseAlphabet(WordTable words, TokenizerTrainingOptions options)
    {
        Dictionary<int, long> counts = [];
        long total = 0;
        for (int i = 0; i < words.Count; i++)
        {
            ReadOnlySpan<byte> word = words.Word(i);
            for (int at = 0, length; at < word.Length; at += length)
            {
                int c = CodePoints.Decode(word, at, out length);
                counts[c] = counts.GetValueOrDefault(c) + words.CountOf(i);
                total += words.CountOf(i);
            }
        }

        SortedSet<int> alphabet = [Marker, '\t', '\n', .. Enumerable.Range('!', '~' - '!' + 1)];
        double wanted = total * options.CharacterCoverage;
        long covered = 0;
        foreach ((int c, long count) in counts.OrderByDescending(entry => entry.Value).ThenBy(entry => entry.Key))
        {
            if (covered >= wanted)
            {
                break;
            }

            covered += count;
            alphabet.Add(c);
        }

        alphabet.RemoveWhere(c => options.SpecialTokens.Contains(new Rune(c).ToString()));
        return [.. alphabet];
    }
}
