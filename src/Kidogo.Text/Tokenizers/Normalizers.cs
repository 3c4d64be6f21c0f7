// What is done to text before it is cut into words. Knows no ids.
using System.Text;
using Kidogo.Text.Unicode;

namespace Kidogo.Text.Tokenizers;

/// <summary>A change of text that precedes pre-tokenisation. Immutable.</summary>
internal abstract class Normalizer
{
    /// <summary>Appends the changed <paramref name="text"/> (valid UTF-8) to <paramref name="output"/>, whose limit holds for everything on the way there too.</summary>
    public abstract void Apply(ReadOnlySpan<byte> text, ByteBuffer output);

    /// <summary>The changed text in a buffer of its own.</summary>
    /// <exception cref="TokenizerException">It is far longer than the text.</exception>
    public byte[] Apply(ReadOnlySpan<byte> text)
    {
        ByteBuffer output = new() { Limit = TextGrowth.LimitOfBuffer(TextGrowth.LimitFor(text.Length)) };
        Apply(text, output);
        return output.Span.ToArray();
    }
}

/// <summary>Several, one after the other.</summary>
internal sealed class SequenceNormalizer(IReadOnlyList<Normalizer> steps) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        ByteBuffer from = new(), to = new() { Limit = output.Limit };
        from.Add(text);
        from.Limit = output.Limit;
        foreach (Normalizer step in steps)
        {
            to.Clear();
            step.Apply(from.Span, to);
            (from, to) = (to, from);
        }

        output.Add(from.Span);
    }
}

/// <summary>NFC, NFD, NFKC or NFKD.</summary>
internal sealed class UnicodeNormalizer(bool compatibility, bool compose) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output) => Normalization.Normalize(text, compatibility, compose, output);
}

/// <summary>Every character in lower case.</summary>
internal sealed class LowercaseNormalizer : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        for (int at = 0; at < text.Length;)
        {
            int codePoint = CodePoints.Decode(text, at, out int length);
            AddLower(codePoint, output);
            at += length;
        }
    }

    public static void AddLower(int codePoint, ByteBuffer output)
    {
        if (codePoint == 0x130)
        {
            output.Add("i̇"u8); // the one code point whose lower case is two
        }
        else
        {
            output.AddCodePoint(CodePoints.ToLower(codePoint));
        }
    }
}

/// <summary>White space dropped at the start, the end or both.</summary>
internal sealed class StripNormalizer(bool left, bool right) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        int start = 0, end = text.Length;
        while (left && start < end && CodePoints.IsSpace(CodePoints.Decode(text, start, out int length)))
        {
            start += length;
        }

        while (right && end > start && CodePoints.IsSpace(CodePoints.DecodeBefore(text, end, out int length)))
        {
            end -= length;
        }

        output.Add(text[start..end]);
    }
}

/// <summary>Marks that a predicate picks are dropped.</summary>
internal sealed class DropNormalizer(Func<int, bool> isDropped) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        for (int at = 0; at < text.Length;)
        {
            int codePoint = CodePoints.Decode(text, at, out int length);
            if (!isDropped(codePoint))
            {
                output.Add(text.Slice(at, length));
            }

            at += length;
        }
    }
}

/// <summary>Text put before any text that is not empty.</summary>
internal sealed class PrependNormalizer(string prefix) : Normalizer
{
    private readonly byte[] _prefix = Encoding.UTF8.GetBytes(prefix);

    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        if (!text.IsEmpty)
        {
            output.Add(_prefix);
        }

        output.Add(text);
    }
}

/// <summary>Every occurrence of a string, or match of a pattern, replaced.</summary>
internal sealed class ReplaceNormalizer : Normalizer
{
    private readonly byte[] _literal;
    private readonly CodePointRegex? _pattern;
    private readonly byte[] _content;

    public ReplaceNormalizer(string literal, CodePointRegex? pattern, string content)
    {
        _literal = Encoding.UTF8.GetBytes(literal);
        _pattern = pattern;
        _content = Encoding.UTF8.GetBytes(content);
    }

    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        if (_pattern is null)
        {
            int found;
            for (; _literal.Length > 0 && (found = text.IndexOf(_literal)) >= 0; text = text[(found + _literal.Length)..])
            {
                output.Add(text[..found]);
                output.Add(_content);
            }

            output.Add(text);
            return;
        }

        RegexRun run = _pattern.Start(text.Length);
        int done = 0;
        for (int at = 0; at <= text.Length && run.Find(text, at, out int start, out int end);)
        {
            output.Add(text[done..start]);
            output.Add(_content);
            done = end;
            at = end > start ? end : end + 1;
            while (at < text.Length && (text[at] & 0xC0) == 0x80)
            {
                at++;
            }
        }

        output.Add(text[done..]);
    }
}

/// <summary>BERT's cleaning: control characters dropped, white space made a space, blanks round ideographs, accents dropped, lower case.</summary>
internal sealed class BertNormalizer(bool cleanText, bool spaceIdeographs, bool stripAccents, bool lowercase) : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        ByteBuffer clean = new() { Limit = output.Limit };
        for (int at = 0; at < text.Length;)
        {
            int codePoint = CodePoints.Decode(text, at, out int length);
            ReadOnlySpan<byte> character = text.Slice(at, length);
            at += length;
            bool space = CodePoints.IsSpace(codePoint);
            bool control = codePoint is not ('\t' or '\n' or '\r') && (codePoint is 0 or 0xFFFD || (CodePoints.CategoryBit(codePoint) & CodePoints.Other) != 0);
            if (cleanText && control)
            {
                continue;
            }

            bool blanks = spaceIdeographs && CodePoints.IsIdeograph(codePoint);
            clean.Add(blanks ? " "u8 : default);
            clean.Add(cleanText && space ? " "u8 : character);
            clean.Add(blanks ? " "u8 : default);
        }

        if (stripAccents)
        {
            ByteBuffer decomposed = new() { Limit = output.Limit };
            Normalization.Normalize(clean.Span, compatibility: false, compose: false, decomposed);
            clean.Clear();
            new DropNormalizer(static codePoint => codePoint >= 0x300
                && System.Globalization.CharUnicodeInfo.GetUnicodeCategory(codePoint) == System.Globalization.UnicodeCategory.NonSpacingMark).Apply(decomposed.Span, clean);
        }

        if (lowercase)
        {
            new LowercaseNormalizer().Apply(clean.Span, output);
        }
        else
        {
            output.Add(clean.Span);
        }
    }
}

/// <summary>The clean-up of the NMT toolkits: some controls dropped, odd white space made a space.</summary>
internal sealed class NmtNormalizer : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output)
    {
        for (int at = 0; at < text.Length;)
        {
            int codePoint = CodePoints.Decode(text, at, out int length);
            switch (codePoint)
            {
                case (>= 1 and <= 8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F:
                    break;
                case 9 or 0xA or 0xC or 0xD or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD:
                    output.Add((byte)' ');
                    break;
                default:
                    output.Add(text.Slice(at, length));
                    break;
            }

            at += length;
        }
    }
}

/// <summary>Text spelt in GPT-2's alphabet of bytes.</summary>
internal sealed class ByteLevelNormalizer : Normalizer
{
    public override void Apply(ReadOnlySpan<byte> text, ByteBuffer output) => ByteAlphabet.Spell(text, output);
}
