// Texts to train on that need no files. Knows no tokenizer.
using System.Text;

namespace Kidogo.Tests.Text.Tokenizers.Training;

internal static class TrainingTexts
{
    private static readonly string[] s_stems = ["soma", "andika", "ng'ombe", "cheza", "penda", "ọ̀rọ̀", "kọ́", "été", "lait", "ημέρα", "ቤት", "read", "writing", "houses", "it's", "2024", "don't"];
    private static readonly string[] s_before = ["", "a", "wa", "ni", "un", "ku", "ha"];
    private static readonly string[] s_after = ["", "ni", "wa", "ing", "s", "na", "!", ",", ".\n", " - "];

    /// <summary>Sentences of made-up words that share stems and endings, the same for the same seed.</summary>
    public static string[] Sentences(int count, int seed = 7)
    {
        Random random = new(seed);
        string[] sentences = new string[count];
        for (int i = 0; i < count; i++)
        {
            StringBuilder text = new();
            for (int word = random.Next(3, 15); word > 0; word--)
            {
                text.Append(s_before[random.Next(s_before.Length)]).Append(s_stems[random.Next(s_stems.Length)]).Append(s_after[random.Next(s_after.Length)]).Append(' ');
            }

            sentences[i] = text.ToString();
        }

        return sentences;
    }

    /// <summary>Strings of any characters, spaces and letters oftener than others; no ▁ and no lone surrogates.</summary>
    public static IEnumerable<string> Anything(int count, int seed = 11)
    {
        Random random = new(seed);
        for (int i = 0; i < count; i++)
        {
            StringBuilder text = new();
            for (int length = random.Next(0, 60); length > 0; length--)
            {
                int c = random.Next(6) switch
                {
                    0 => random.Next(0, 0x80),
                    1 => ' ',
                    2 => random.Next(0x80, 0x3000),
                    3 => random.Next(0x1_0000, 0x11_0000),
                    _ => random.Next('a', 'z' + 1),
                };
                text.Append(c is 0x2581 ? "_" : new Rune(c).ToString());
            }

            yield return text.ToString();
        }
    }

    /// <summary>The same texts in another order.</summary>
    public static string[] Shuffled(string[] texts)
    {
        string[] shuffled = [.. texts];
        new Random(3).Shuffle(shuffled);
        return shuffled;
    }
}
