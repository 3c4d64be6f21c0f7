// The methods of strings, as Python's. Every result remembers which characters came from a user.
using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Python's string methods.</summary>
internal static class StringMethods
{
    public static FrozenSet<string> Names { get; } = FrozenSet.Create(
        StringComparer.Ordinal,
        "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition", "startswith", "endswith", "replace", "upper", "lower", "casefold",
        "title", "capitalize", "swapcase", "find", "rfind", "index", "rindex", "count", "join", "format", "removeprefix", "removesuffix", "isdigit", "isdecimal",
        "isnumeric", "isalpha", "isalnum", "isspace", "isupper", "islower", "isascii", "istitle", "isidentifier", "center", "ljust", "rjust", "zfill",
        "expandtabs");

    public static Value Call(RenderState state, MarkedText self, string name, Arguments arguments)
    {
        state.Work(self.Length);
        switch (name)
        {
            case "strip" or "lstrip" or "rstrip":
                Value characters = arguments.Optional(0, "chars", Value.None);
                arguments.End(1);
                return Value.Of(Strip(state, self, characters, name != "rstrip", name != "lstrip"));
            case "split" or "rsplit":
                Value separator = arguments.Optional(0, "sep", Value.None);
                long most = arguments.Integer(1, "maxsplit", -1);
                arguments.End(2);
                return Value.List(Split(state, self, separator, most < 0 ? long.MaxValue : most, name == "rsplit"));
            case "splitlines":
                bool keep = arguments.Flag(0, "keepends", false);
                arguments.End(1);
                return Value.List(SplitLines(state, self, keep));
            case "partition" or "rpartition":
                return Partition(state, self, NonEmpty(state, arguments), name == "rpartition");
            case "startswith" or "endswith":
                return StartsOrEnds(state, self, arguments, name == "startswith");
            case "replace":
                MarkedText old = arguments.RequiredText(0, "old");
                MarkedText with = arguments.RequiredText(1, "new");
                long count = arguments.Integer(2, "count", -1);
                arguments.End(3);
                return Value.Of(Replace(state, self, old, with, count));
            case "find" or "rfind" or "index" or "rindex" or "count":
                return Search(state, self, name, arguments);
            case "join":
                Value items = arguments.Required(0, "iterable");
                arguments.End(1);
                return Value.Of(Join(state, self, Operators.Iterate(state, items)));
            case "format":
                return Value.Of(PythonFormat.Braces(state, self, arguments));
            case "removeprefix" or "removesuffix":
                MarkedText affix = arguments.RequiredText(0, "affix");
                arguments.End(1);
                return Value.Of(affix.Length == 0 ? self
                    : name == "removeprefix" ? (self.Text.StartsWith(affix.Text, StringComparison.Ordinal) ? self.Slice(affix.Length, self.Length - affix.Length) : self)
                    : self.Text.EndsWith(affix.Text, StringComparison.Ordinal) ? self.Slice(0, self.Length - affix.Length) : self);
            case "center" or "ljust" or "rjust":
                long width = Operators.ToIndex(state, arguments.Required(0, "width"), name);
                MarkedText fill = arguments.TryGet(1, "fillchar", out Value given) && given.IsText ? given.AsText : MarkedText.Trusted(" ");
                arguments.End(2);
                return Value.Of(Pad(state, self, name, width, fill));
            case "zfill":
                long digits = Operators.ToIndex(state, arguments.Required(0, "width"), name);
                arguments.End(1);
                int sign = self.Length > 0 && self.Text[0] is '+' or '-' ? 1 : 0;
                MarkedText.Builder zeros = new(state);
                zeros.Append(self, 0, sign);
                zeros.Append('0', (int)Math.Clamp(digits - self.CodePoints, 0, state.MaxText));
                zeros.Append(self, sign, self.Length - sign);
                return Value.Of(zeros.Build());
            case "expandtabs":
                long size = arguments.Integer(0, "tabsize", 8);
                arguments.End(1);
                return Value.Of(ExpandTabs(state, self, (int)Math.Clamp(size, 0, 1000)));
        }

        arguments.End(0);
        return name switch
        {
            "upper" => Value.Of(Upper(state, self)),
            "lower" => Value.Of(Lower(state, self)),
            "casefold" => Value.Of(Replace(state, Lower(state, self), MarkedText.Trusted("ß"), MarkedText.Trusted("ss"), -1)),
            "title" => Value.Of(Title(state, self)),
            "capitalize" => Value.Of(Capitalize(state, self)),
            "swapcase" => Value.Of(Map(state, self, (c, _) => char.IsUpper(c) ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c))),
            _ => Value.Of(Is(self.Text, name)),
        };
    }

    /// <summary>Without white space, or the characters of <paramref name="characters"/>, at the ends.</summary>
    public static MarkedText Strip(RenderState state, MarkedText self, Value characters, bool left, bool right)
    {
        if (!characters.IsNone && !characters.IsText)
        {
            throw state.Fail($"strip: the argument must be none or a string, not {Arguments.Describe(characters)}");
        }

        if (characters.IsText && characters.AsText.Length > 256)
        {
            throw state.Fail("strip: more than 256 characters to strip");
        }

        // By UTF-16 units; a pair is taken whole or not at all because both halves have to be listed.
        string? set = characters.IsText ? characters.AsText.Text : null;
        int start = 0;
        int end = self.Length;
        while (left && start < end && IsIn(self.Text[start], set))
        {
            start++;
        }

        while (right && end > start && IsIn(self.Text[end - 1], set))
        {
            end--;
        }

        state.Work(self.Length);
        state.AllocateNewText(end - start);
        return self.Slice(start, end - start);
    }

    /// <summary>Every <paramref name="old"/> replaced. What replaces a user's character is a user's.</summary>
    public static MarkedText Replace(RenderState state, MarkedText self, MarkedText old, MarkedText with, long count)
    {
        MarkedText.Builder output = new(state);
        count = count < 0 ? long.MaxValue : count;
        state.Work(self.Length);
        if (old.Length == 0)
        {
            for (int i = 0; i <= self.Length; i++)
            {
                bool inside = i > 0 && i < self.Length && char.IsSurrogatePair(self.Text[i - 1], self.Text[i]);
                if (!inside && count-- > 0)
                {
                    Put(output, with, self.HasUntrusted(Math.Max(0, i - 1), Math.Min(self.Length, i + 1)));
                }

                if (i < self.Length)
                {
                    output.Append(self, i, 1);
                }
            }

            return output.Build();
        }

        int plain = 0;
        while (count-- > 0)
        {
            int at = self.Text.IndexOf(old.Text, plain, StringComparison.Ordinal);
            if (at < 0)
            {
                break;
            }

            state.Work(1);
            output.Append(self, plain, at - plain);
            Put(output, with, self.HasUntrusted(at, at + old.Length));
            plain = at + old.Length;
        }

        if (plain == 0)
        {
            return self;
        }

        output.Append(self, plain, self.Length - plain);
        return output.Build();
    }

    public static MarkedText Upper(RenderState state, MarkedText self) => self.Text.Contains('ß', StringComparison.Ordinal)
        ? Map(state, Replace(state, self, MarkedText.Trusted("ß"), MarkedText.Trusted("SS"), -1), (c, _) => char.ToUpperInvariant(c))
        : Whole(state, self, self.Text.ToUpperInvariant());

    public static MarkedText Lower(RenderState state, MarkedText self) => Whole(state, self, self.Text.ToLowerInvariant());

    /// <summary>Upper case at the start of each run of letters, as Python.</summary>
    public static MarkedText Title(RenderState state, MarkedText self) =>
        Map(state, self, (c, before) => char.IsLetter(before) ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c));

    public static MarkedText Capitalize(RenderState state, MarkedText self)
    {
        bool first = true;
        return Map(state, self, (c, _) =>
        {
            char mapped = first ? char.ToUpperInvariant(c) : char.ToLowerInvariant(c);
            first = false;
            return mapped;
        });
    }

    /// <summary>Another character for each character; the function also gets the one before.</summary>
    public static MarkedText Map(RenderState state, MarkedText self, Func<char, char, char> map)
    {
        state.AllocateNewText(self.Length);
        char[] text = new char[self.Length];
        char before = '\0';
        for (int i = 0; i < text.Length; i++)
        {
            text[i] = map(self.Text[i], before);
            before = self.Text[i];
        }

        return self.WithText(new string(text));
    }

    public static List<Value> SplitLines(RenderState state, MarkedText self, bool keepEnds)
    {
        List<Value> lines = [];
        int start = 0;
        for (int i = 0; i < self.Length; i++)
        {
            char c = self.Text[i];
            if (c is not ('\n' or '\r' or '\v' or '\f' or '\x1c' or '\x1d' or '\x1e' or '\x85' or '\u2028' or '\u2029'))
            {
                continue;
            }

            int next = c == '\r' && i + 1 < self.Length && self.Text[i + 1] == '\n' ? i + 2 : i + 1;
            Add(state, lines, self, start, (keepEnds ? next : i) - start);
            start = next;
            i = next - 1;
        }

        if (start < self.Length)
        {
            Add(state, lines, self, start, self.Length - start);
        }

        return lines;
    }

    public static MarkedText Join(RenderState state, MarkedText separator, List<Value> items)
    {
        MarkedText.Builder output = new(state);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
            {
                output.Append(separator);
            }

            output.Append(items[i].IsText ? items[i].AsText : throw state.Fail($"join: element {i} is not a string but {Arguments.Describe(items[i])}"));
        }

        return output.Build();
    }

    public static MarkedText Pad(RenderState state, MarkedText self, string how, long width, MarkedText fill)
    {
        if (fill.CodePoints != 1)
        {
            throw state.Fail($"{how}: the fill must be one character");
        }

        long missing = Math.Clamp(width, 0, (long)state.MaxText + 1) - self.CodePoints;
        if (missing <= 0)
        {
            return self;
        }

        // Python's str.center puts the odd space by the parity of both.
        long before = how switch { "ljust" => 0, "rjust" => missing, _ => (missing / 2) + (missing & width & 1) };
        MarkedText.Builder output = new(state);
        for (long i = 0; i < missing; i++)
        {
            if (i == before)
            {
                output.Append(self);
            }

            output.Append(fill);
        }

        if (before == missing)
        {
            output.Append(self);
        }

        return output.Build();
    }

    private static void Put(MarkedText.Builder output, MarkedText text, bool untrusted)
    {
        if (untrusted)
        {
            output.Append(text.Text, true);
        }
        else
        {
            output.Append(text);
        }
    }

    private static MarkedText Whole(RenderState state, MarkedText self, string text)
    {
        state.AllocateNewText(text.Length);
        return self.WithText(text);
    }

    private static bool IsIn(char c, string? set) => set is null ? PythonText.IsSpace(c) : set.Contains(c, StringComparison.Ordinal);

    private static void Add(RenderState state, List<Value> pieces, MarkedText self, int start, int length)
    {
        state.AllocateElements(1);
        state.AllocateNewText(length);
        pieces.Add(Value.Of(self.Slice(start, length)));
    }

    private static MarkedText NonEmpty(RenderState state, Arguments arguments)
    {
        MarkedText separator = arguments.RequiredText(0, "sep");
        arguments.End(1);
        return separator.Length > 0 ? separator : throw state.Fail("the separator is empty");
    }

    private static List<Value> Split(RenderState state, MarkedText self, Value separator, long most, bool fromRight)
    {
        if (!separator.IsNone && !separator.IsText)
        {
            throw state.Fail($"split: the separator must be none or a string, not {Arguments.Describe(separator)}");
        }

        string text = self.Text;
        List<Value> pieces = [];
        if (separator.IsText)
        {
            string mark = separator.AsText.Length > 0 ? separator.AsText.Text : throw state.Fail("split: the separator is empty");
            if (fromRight)
            {
                int end = text.Length;
                for (int at; most-- > 0 && end >= mark.Length && (at = text.AsSpan(0, end).LastIndexOf(mark)) >= 0; end = at)
                {
                    Add(state, pieces, self, at + mark.Length, end - at - mark.Length);
                }

                Add(state, pieces, self, 0, end);
                pieces.Reverse();
                return pieces;
            }

            int start = 0;
            for (int at; most-- > 0 && (at = text.IndexOf(mark, start, StringComparison.Ordinal)) >= 0; start = at + mark.Length)
            {
                Add(state, pieces, self, start, at - start);
            }

            Add(state, pieces, self, start, text.Length - start);
            return pieces;
        }

        if (fromRight)
        {
            int end = SkipBack(text, text.Length);
            while (end > 0)
            {
                int start = end;
                while (start > 0 && (most == 0 || !PythonText.IsSpace(text[start - 1])))
                {
                    start--;
                }

                most--;
                Add(state, pieces, self, start, end - start);
                end = SkipBack(text, start);
            }

            pieces.Reverse();
            return pieces;
        }

        for (int at = SkipForward(text, 0); at < text.Length; most--)
        {
            int end = at;
            while (end < text.Length && (most == 0 || !PythonText.IsSpace(text[end])))
            {
                end++;
            }

            Add(state, pieces, self, at, end - at);
            at = SkipForward(text, end);
        }

        return pieces;
    }

    private static int SkipForward(string text, int at)
    {
        while (at < text.Length && PythonText.IsSpace(text[at]))
        {
            at++;
        }

        return at;
    }

    private static int SkipBack(string text, int at)
    {
        while (at > 0 && PythonText.IsSpace(text[at - 1]))
        {
            at--;
        }

        return at;
    }

    private static Value Partition(RenderState state, MarkedText self, MarkedText separator, bool last)
    {
        int at = last ? self.Text.LastIndexOf(separator.Text, StringComparison.Ordinal) : self.Text.IndexOf(separator.Text, StringComparison.Ordinal);
        Value empty = Value.Of(MarkedText.Empty);
        state.AllocateElements(3);
        state.AllocateNewText(self.Length);
        if (at < 0)
        {
            return last ? Value.Tuple(empty, empty, Value.Of(self)) : Value.Tuple(Value.Of(self), empty, empty);
        }

        int after = at + separator.Length;
        return Value.Tuple(Value.Of(self.Slice(0, at)), Value.Of(self.Slice(at, separator.Length)), Value.Of(self.Slice(after, self.Length - after)));
    }

    private static Value StartsOrEnds(RenderState state, MarkedText self, Arguments arguments, bool starts)
    {
        Value affix = arguments.Required(0, "affix");
        (int start, int end) = Bounds(state, self, arguments);
        List<Value> affixes = affix.IsText ? [affix]
            : affix.Kind == ValueKind.Sequence && affix.AsSequence.Kind == SequenceKind.Tuple ? affix.AsSequence.Items
            : throw state.Fail($"{arguments.Function}: a string or a tuple of strings was expected, not {Arguments.Describe(affix)}");
        foreach (Value candidate in affixes)
        {
            string text = candidate.IsText ? candidate.AsText.Text : throw state.Fail($"{arguments.Function}: the tuple holds {Arguments.Describe(candidate)}");
            state.Work(text.Length);
            ReadOnlySpan<char> span = start <= end ? self.Text.AsSpan(start, end - start) : default;
            if (start <= end && (starts ? span.StartsWith(text) : span.EndsWith(text)))
            {
                return Value.True;
            }
        }

        return Value.False;
    }

    private static (int Start, int End) Bounds(RenderState state, MarkedText self, Arguments arguments)
    {
        long count = self.CodePoints;
        long start = arguments.OptionalInteger(1, "start") ?? 0;
        long end = arguments.OptionalInteger(2, "end") ?? count;
        arguments.End(3);
        state.Work(self.Length);
        start = start < 0 ? Math.Max(0, start + count) : start;
        end = end < 0 ? Math.Max(0, end + count) : Math.Min(end, count);
        return start > count ? (1, 0) : (self.IndexOfCodePoint((int)start), self.IndexOfCodePoint((int)end));
    }

    private static Value Search(RenderState state, MarkedText self, string name, Arguments arguments)
    {
        string sought = arguments.RequiredText(0, "sub").Text;
        (int start, int end) = Bounds(state, self, arguments);
        if (start > end)
        {
            return name is "count" ? Value.Of(0L) : name is "find" or "rfind" ? Value.Of(-1L) : throw state.Fail("the text is not found");
        }

        ReadOnlySpan<char> span = self.Text.AsSpan(start, end - start);
        if (name == "count")
        {
            long count = sought.Length == 0 ? self.CodePointAt(end) - self.CodePointAt(start) + 1 : MemoryExtensions.Count(span, sought);
            return Value.Of(count);
        }

        int at = name is "rfind" or "rindex" ? span.LastIndexOf(sought) : span.IndexOf(sought);
        return at >= 0 ? Value.Of((long)self.CodePointAt(start + at))
            : name is "find" or "rfind" ? Value.Of(-1L)
            : throw state.Fail("the text is not found");
    }

    private static MarkedText ExpandTabs(RenderState state, MarkedText self, int size)
    {
        MarkedText.Builder output = new(state);
        int column = 0;
        for (int i = 0; i < self.Length; i++)
        {
            if (self.Text[i] == '\t')
            {
                int spaces = size == 0 ? 0 : size - (column % size);
                output.Append(' ', spaces);
                column += spaces;
            }
            else
            {
                output.Append(self, i, 1);
                column = self.Text[i] is '\n' or '\r' ? 0 : column + 1;
            }
        }

        return output.Build();
    }

    private static bool Is(string text, string name)
    {
        if (name == "isascii")
        {
            return Ascii.IsValid(text);
        }

        if (name is "isupper" or "islower")
        {
            bool upper = name == "isupper";
            return text.Any(c => upper ? char.IsUpper(c) : char.IsLower(c)) && !text.Any(c => upper ? char.IsLower(c) : char.IsUpper(c));
        }

        if (name == "isidentifier")
        {
            return text.Length > 0 && !char.IsDigit(text[0]) && text.All(c => c == '_' || char.IsLetterOrDigit(c));
        }

        if (name == "istitle")
        {
            bool any = false;
            char before = '\0';
            foreach (char c in text)
            {
                if ((char.IsUpper(c) && char.IsLetter(before)) || (char.IsLower(c) && !char.IsLetter(before)))
                {
                    return false;
                }

                any |= char.IsUpper(c);
                before = c;
            }

            return any;
        }

        foreach (Rune rune in text.EnumerateRunes())
        {
            UnicodeCategory category = Rune.GetUnicodeCategory(rune);
            bool digit = category == UnicodeCategory.DecimalDigitNumber;
            bool numeric = digit || category is UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;
            bool holds = name switch
            {
                "isdecimal" => digit,
                "isdigit" => digit || rune.Value is 0xB2 or 0xB3 or 0xB9 or (>= 0x2070 and <= 0x2079) or (>= 0x2080 and <= 0x2089),
                "isnumeric" => numeric,
                "isalpha" => Rune.IsLetter(rune),
                "isalnum" => Rune.IsLetter(rune) || numeric,
                _ => rune.IsBmp && PythonText.IsSpace((char)rune.Value),
            };
            if (!holds)
            {
                return false;
            }
        }

        return text.Length > 0;
    }
}
