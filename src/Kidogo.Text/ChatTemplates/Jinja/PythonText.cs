// How Python prints values. Knows str and repr; formats with placeholders are in PythonFormat.
using System.Globalization;
using System.Text;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Python's str and repr.</summary>
internal static class PythonText
{
    /// <summary>Python's isspace, which its strip and the template's whitespace control use.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    /// <summary>The value as str(value).</summary>
    public static MarkedText ToText(RenderState state, Value value)
    {
        if (value.IsText)
        {
            return value.AsText;
        }

        MarkedText.Builder text = new(state);
        Write(state, text, value);
        return text.Build();
    }

    /// <summary>Writes str(value).</summary>
    public static void Write(RenderState state, MarkedText.Builder output, Value value)
    {
        if (value.IsText)
        {
            output.Append(value.AsText);
        }
        else if (!value.IsUndefined)
        {
            WriteRepr(state, output, value, 0);
        }
    }

    /// <summary>Writes repr(value).</summary>
    public static void WriteRepr(RenderState state, MarkedText.Builder output, Value value, int depth)
    {
        state.Work(1);
        switch (value.Kind)
        {
            case ValueKind.Undefined: output.Append("Undefined"); break;
            case ValueKind.None: output.Append("None"); break;
            case ValueKind.Boolean: output.Append(value.IsTruthy ? "True" : "False"); break;
            case ValueKind.Integer: output.Append(value.AsInteger.ToString(CultureInfo.InvariantCulture)); break;
            case ValueKind.BigInteger: output.Append(value.AsBigInteger.ToString(CultureInfo.InvariantCulture)); break;
            case ValueKind.Float: output.Append(Float(value.AsFloat)); break;
            case ValueKind.Text: WriteQuoted(output, value.AsText); break;
            case ValueKind.Sequence: WriteSequence(state, output, value.AsSequence, depth); break;
            case ValueKind.Mapping:
                Operators.GuardDepth(state, depth);
                output.Append('{');
                bool first = true;
                foreach (KeyValuePair<Value, Value> entry in value.AsMapping.Entries)
                {
                    output.Append(first ? string.Empty : ", ");
                    first = false;
                    WriteRepr(state, output, entry.Key, depth + 1);
                    output.Append(": ");
                    WriteRepr(state, output, entry.Value, depth + 1);
                }

                output.Append('}');
                break;
            default:
                output.Append(value.AsObject is FunctionValue function ? $"<function {function.Name}>"
                    : value.AsObject is LoopValue loop ? $"<LoopContext {loop.Index + 1}>" : $"<{value.AsObject.TypeName}>");
                break;
        }
    }

    /// <summary>Python's repr of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16.</summary>
    public static string Float(double value)
    {
        if (double.IsNaN(value))
        {
            return "nan";
        }

        if (double.IsInfinity(value))
        {
            return value > 0 ? "inf" : "-inf";
        }

        if (value == 0)
        {
            return double.IsNegative(value) ? "-0.0" : "0.0";
        }

        // "d.dddE+xx" with the shortest digits: E-notation of the round-trip form.
        string shortest = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        int exponentAt = shortest.IndexOf('E', StringComparison.Ordinal);
        int exponent = exponentAt < 0 ? 0 : int.Parse(shortest.AsSpan(exponentAt + 1), CultureInfo.InvariantCulture);
        string mantissa = exponentAt < 0 ? shortest : shortest[..exponentAt];
        int point = mantissa.IndexOf('.', StringComparison.Ordinal);
        string digits = mantissa.Replace(".", string.Empty, StringComparison.Ordinal);
        exponent += (point < 0 ? mantissa.Length : point) - 1;
        int leading = digits.Length - digits.TrimStart('0').Length;
        digits = digits[leading..].TrimEnd('0');
        exponent -= leading;

        StringBuilder text = new(value < 0 ? "-" : string.Empty);
        if (exponent is < -4 or >= 16)
        {
            text.Append(digits[0]);
            if (digits.Length > 1)
            {
                text.Append('.').Append(digits, 1, digits.Length - 1);
            }

            text.Append('e').Append(exponent < 0 ? '-' : '+').Append(Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture));
        }
        else if (exponent < 0)
        {
            text.Append("0.").Append('0', -exponent - 1).Append(digits);
        }
        else if (digits.Length <= exponent + 1)
        {
            text.Append(digits).Append('0', exponent + 1 - digits.Length).Append(".0");
        }
        else
        {
            text.Append(digits, 0, exponent + 1).Append('.').Append(digits, exponent + 1, digits.Length - exponent - 1);
        }

        return text.ToString();
    }

    private static void WriteSequence(RenderState state, MarkedText.Builder output, SequenceValue sequence, int depth)
    {
        Operators.GuardDepth(state, depth);
        if (sequence.RangeText is not null)
        {
            output.Append(sequence.RangeText);
            return;
        }

        if (sequence.Kind == SequenceKind.Generator)
        {
            output.Append("<generator object>");
            return;
        }

        (string open, string close) = sequence.Kind switch
        {
            SequenceKind.Tuple => ("(", sequence.Items.Count == 1 ? ",)" : ")"),
            SequenceKind.List or SequenceKind.Range => ("[", "]"),
            _ => (sequence.TypeName + "([", "])"),
        };
        output.Append(open);
        for (int i = 0; i < sequence.Items.Count; i++)
        {
            output.Append(i == 0 ? string.Empty : ", ");
            WriteRepr(state, output, sequence.Items[i], depth + 1);
        }

        output.Append(close);
    }

    // Python's repr of a string: single quotes unless only those would need escaping; what cannot be printed is escaped.
    private static void WriteQuoted(MarkedText.Builder output, MarkedText value)
    {
        string text = value.Text;
        char quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        output.Append(quote);
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            int length = 1;
            string? escape = c switch
            {
                '\\' => @"\\",
                '\n' => @"\n",
                '\r' => @"\r",
                '\t' => @"\t",
                _ when c == quote => "\\" + c,
                >= ' ' and < '\x7f' => null,
                _ => Escape(text, i, out length),
            };
            if (escape is not null)
            {
                output.Append(value, plain, i - plain);
                output.Append(escape, value.IsUntrusted(i));
                plain = i + length;
            }

            i += length - 1;
        }

        output.Append(value, plain, text.Length - plain);
        output.Append(quote);
    }

    private static string? Escape(string text, int index, out int length)
    {
        int point = text[index];
        length = 1;
        if (index + 1 < text.Length && char.IsSurrogatePair(text[index], text[index + 1]))
        {
            point = char.ConvertToUtf32(text[index], text[index + 1]);
            length = 2;
        }

        UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory(point);
        bool printable = category is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
            or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);
        return printable ? null : point <= 0xFF ? $"\\x{point:x2}" : point <= 0xFFFF ? $"\\u{point:x4}" : $"\\U{point:x8}";
    }
}
