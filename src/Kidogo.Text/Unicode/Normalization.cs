// Unicode normalisation forms over UTF-8. Knows no tokens. (string.Normalize does nothing under invariant globalization.)
using System.IO.Compression;

namespace Kidogo.Text.Unicode;

/// <summary>Unicode Standard Annex 15: decomposition, canonical order, composition.</summary>
internal static class Normalization
{
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28, HangulCount = LeadCount * VowelCount * TailCount;

    // Unpacked at first use, then never changed.
    private static readonly Lazy<NormalizationTables> s_tables = new(NormalizationTables.Unpack);

    /// <summary>Appends the normal form of <paramref name="text"/> (valid UTF-8) to <paramref name="output"/>.</summary>
    /// <param name="text">The text.</param>
    /// <param name="compatibility">Whether compatibility characters are replaced too (NFKC, NFKD).</param>
    /// <param name="compose">Whether the result is composed (NFC, NFKC).</param>
    /// <param name="output">Where the form goes.</param>
    public static void Normalize(ReadOnlySpan<byte> text, bool compatibility, bool compose, Tokenizers.ByteBuffer output)
    {
        List<int>? work = null;
        for (int at = 0; at < text.Length;)
        {
            // ASCII is stable under every form, but its last character may be composed with what follows.
            int ascii = text[at..].IndexOfAnyExceptInRange((byte)0, (byte)0x7F);
            if (ascii != 0)
            {
                int plain = ascii < 0 ? text.Length - at : ascii - 1;
                output.Add(text.Slice(at, plain));
                at += plain;
                if (ascii < 0)
                {
                    return;
                }
            }

            int first = text[at] < 0x80 ? 1 : 0;
            int end = text[(at + first)..].IndexOfAnyInRange((byte)0, (byte)0x7F);
            end = end < 0 ? text.Length : at + first + end;
            ReadOnlySpan<byte> run = text[at..end];
            at = end;
            if (compose && !compatibility && run.IndexOfAnyInRange((byte)0xCC, (byte)0xFF) < 0)
            {
                output.Add(run); // nothing below U+0300 changes under NFC
                continue;
            }

            work ??= [];
            work.Clear();
            NormalizationTables tables = s_tables.Value;
            Decompose(run, compatibility, tables, work);
            Order(work, tables);
            int count = compose ? Compose(work, tables) : work.Count;
            for (int i = 0; i < count; i++)
            {
                output.AddCodePoint(work[i]);
            }
        }
    }

    /// <summary>The first code point of a code point's canonical decomposition: the bare letter of an accented one, the first sound of a Hangul syllable.</summary>
    public static int FirstOfDecomposition(int codePoint)
    {
        int syllable = codePoint - HangulBase;
        return codePoint < 0xA0 ? codePoint : (uint)syllable < HangulCount ? LeadBase + (syllable / (VowelCount * TailCount)) : s_tables.Value.FirstOf(codePoint);
    }

    private static void Decompose(ReadOnlySpan<byte> text, bool compatibility, NormalizationTables tables, List<int> work)
    {
        for (int at = 0; at < text.Length;)
        {
            int codePoint = CodePoints.Decode(text, at, out int length);
            at += length;
            int syllable = codePoint - HangulBase;
            if ((uint)syllable < HangulCount)
            {
                work.Add(LeadBase + (syllable / (VowelCount * TailCount)));
                work.Add(VowelBase + (syllable % (VowelCount * TailCount) / TailCount));
                if (syllable % TailCount != 0)
                {
                    work.Add(TailBase + (syllable % TailCount));
                }
            }
            else
            {
                tables.Decompose(codePoint, compatibility, work);
            }
        }
    }

    // Stable by combining class within each run of marks; n log n, since a text may be nothing but marks.
    private static void Order(List<int> work, NormalizationTables tables)
    {
        for (int start = 0; start < work.Count;)
        {
            if (tables.ClassOf(work[start]) == 0)
            {
                start++;
                continue;
            }

            int end = start + 1;
            bool sorted = true;
            for (int last = tables.ClassOf(work[start]); end < work.Count && tables.ClassOf(work[end]) is > 0 and int next; end++)
            {
                sorted &= last <= next;
                last = next;
            }

            if (!sorted)
            {
                int[] marks = [.. work[start..end].OrderBy(tables.ClassOf)]; // OrderBy is stable
                for (int i = 0; i < marks.Length; i++)
                {
                    work[start + i] = marks[i];
                }
            }

            start = end;
        }
    }

    private static int Compose(List<int> work, NormalizationTables tables)
    {
        int written = 0, starter = -1, lastClass = 0;
        for (int i = 0; i < work.Count; i++)
        {
            int codePoint = work[i];
            int mark = tables.ClassOf(codePoint);
            bool adjacent = starter >= 0 && starter == written - 1;
            if (starter >= 0 && (adjacent || (lastClass < mark && lastClass != 0)))
            {
                int composed = ComposePair(work[starter], codePoint, tables);
                if (composed >= 0)
                {
                    work[starter] = composed;
                    continue;
                }
            }

            if (mark == 0)
            {
                starter = written;
            }

            lastClass = mark;
            work[written++] = codePoint;
        }

        return written;
    }

    private static int ComposePair(int left, int right, NormalizationTables tables)
    {
        if ((uint)(left - LeadBase) < LeadCount && (uint)(right - VowelBase) < VowelCount)
        {
            return HangulBase + ((((left - LeadBase) * VowelCount) + (right - VowelBase)) * TailCount);
        }

        if ((uint)(left - HangulBase) < HangulCount && (left - HangulBase) % TailCount == 0 && (uint)(right - TailBase - 1) < TailCount - 1)
        {
            return left + (right - TailBase);
        }

        return tables.Compose(left, right);
    }
}

/// <summary>The unpacked tables behind <see cref="Normalization"/>.</summary>
internal sealed class NormalizationTables
{
    private readonly Dictionary<int, (int Start, int Length, bool Compatibility)> _decompositions = new(6000);
    private readonly Dictionary<(int, int), int> _compositions = new(1000);
    private readonly List<int> _parts = new(17_000);
    private readonly Dictionary<int, byte> _classes = new(1000);

    public static NormalizationTables Unpack()
    {
        NormalizationTables tables = new();
        using DeflateStream stream = new(new MemoryStream(Convert.FromBase64String(NormalizationData.Packed)), CompressionMode.Decompress);
        using BufferedStream data = new(stream);
        int codePoint = 0;
        for (int left = Next(data); left > 0; left--)
        {
            codePoint += Next(data);
            int header = Next(data), length = header >> 2, start = tables._parts.Count, part = codePoint;
            for (int i = 0; i < length; i++)
            {
                int step = Next(data);
                part += (step >> 1) ^ -(step & 1);
                tables._parts.Add(part);
            }

            tables._decompositions[codePoint] = (start, length, (header & 2) != 0);
            if (header % 4 == 0)
            {
                tables._compositions[(tables._parts[start], tables._parts[start + 1])] = codePoint;
            }
        }

        codePoint = 0;
        for (int left = Next(data); left > 0; left--)
        {
            codePoint += Next(data);
            int length = Next(data);
            byte value = (byte)Next(data);
            for (int i = 0; i < length; i++)
            {
                tables._classes[codePoint++] = value;
            }
        }

        return tables;
    }

    public int ClassOf(int codePoint) => codePoint >= 0x300 && _classes.TryGetValue(codePoint, out byte value) ? value : 0;

    /// <summary>The first code point of a canonical decomposition.</summary>
    public int FirstOf(int codePoint)
    {
        while (_decompositions.TryGetValue(codePoint, out (int Start, int Length, bool Compatibility) entry) && !entry.Compatibility)
        {
            codePoint = _parts[entry.Start];
        }

        return codePoint;
    }

    public int Compose(int left, int right) => _compositions.TryGetValue((left, right), out int composed) ? composed : -1;

    /// <summary>Appends the full decomposition of a code point; its depth is bounded by the standard's data.</summary>
    public void Decompose(int codePoint, bool compatibility, List<int> output)
    {
        if (codePoint < 0xA0 || !_decompositions.TryGetValue(codePoint, out (int Start, int Length, bool Compatibility) entry) || (entry.Compatibility && !compatibility))
        {
            output.Add(codePoint);
            return;
        }

        for (int i = 0; i < entry.Length; i++)
        {
            Decompose(_parts[entry.Start + i], compatibility, output);
        }
    }

    private static int Next(Stream data)
    {
        int value = 0;
        for (int shift = 0; ; shift += 7)
        {
            int part = data.ReadByte();
            value |= (part & 0x7F) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }
    }
}
