// What the operators do, as in Python: arithmetic, comparison, membership, iteration. Knows values; knows no syntax.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Python's operators.</summary>
internal static class Operators
{
    /// <summary>How deep values may be nested where one is compared, hashed or printed.</summary>
    public const int MaxValueDepth = 200;

    private const int WorkPerComparison = 16; // comparing two values takes as long as reading so many characters

    /// <summary>Equality of dictionary keys.</summary>
    public static IEqualityComparer<Value> KeyComparer { get; } = new KeyEquality();

    public static Value Sign(RenderState state, Value value, bool negative)
    {
        if (value.IsIntegral)
        {
            return negative ? Integer(state, -(Int128)value.AsInteger) : Value.Of(value.AsInteger);
        }

        return value.Kind == ValueKind.Float
            ? Value.Of(negative ? -value.AsFloat : value.AsFloat)
            : throw state.Fail(value.IsUndefined ? value.UndefinedHint : $"bad operand type for unary {(negative ? '-' : '+')}: '{value.TypeName}'");
    }

    public static Value Arithmetic(RenderState state, string @operator, Value left, Value right)
    {
        if (left.IsNumber && right.IsNumber)
        {
            return Numbers(state, @operator, left, right);
        }

        if (left.IsUndefined || right.IsUndefined)
        {
            if (!(left.IsText && @operator == "%"))
            {
                throw state.Fail(left.IsUndefined ? left.UndefinedHint : right.UndefinedHint);
            }
        }

        switch (@operator)
        {
            case "+" when left.IsText && right.IsText:
                return Value.Of(Join(state, left.AsText, right.AsText));
            case "+" when left.IsText:
                throw state.Fail($"can only concatenate str (not \"{right.TypeName}\") to str");
            case "+" when IsList(left) && IsList(right) && left.AsSequence.Kind == right.AsSequence.Kind:
                state.AllocateElements((long)left.AsSequence.Items.Count + right.AsSequence.Items.Count);
                return Value.Of(new SequenceValue(left.AsSequence.Kind, [.. left.AsSequence.Items, .. right.AsSequence.Items]));
            case "*" when right.IsIntegral && (left.IsText || IsList(left)):
                return Repeat(state, left, right.AsInteger);
            case "*" when left.IsIntegral && (right.IsText || IsList(right)):
                return Repeat(state, right, left.AsInteger);
            case "%" when left.IsText:
                return Value.Of(PythonFormat.Percent(state, left.AsText, right));
            default:
                throw left.Kind == ValueKind.BigInteger || right.Kind == ValueKind.BigInteger
                    ? state.Fail("an integer is beyond 64 bits")
                    : state.Fail($"unsupported operand types for {@operator}: '{left.TypeName}' and '{right.TypeName}'");
        }
    }

    public static bool Compare(RenderState state, string @operator, Value left, Value right) => @operator switch
    {
        "==" => AreEqual(state, left, right),
        "!=" => !AreEqual(state, left, right),
        "in" => Contains(state, right, left),
        "not in" => !Contains(state, right, left),
        "<" => Order(state, left, right, @operator) is < 0,
        "<=" => Order(state, left, right, @operator) is <= 0,
        ">" => Order(state, left, right, @operator) is > 0,
        _ => Order(state, left, right, @operator) is >= 0,
    };

    public static bool AreEqual(RenderState state, Value left, Value right) => AreEqual(state, left, right, 0);

    /// <summary>Less than zero, zero or more, as Python orders; null where a number is not one, which is in no order.</summary>
    public static int? Order(RenderState state, Value left, Value right, string @operator = "<", int depth = 0)
    {
        state.Work(1);
        if (left.IsIntegral && right.IsIntegral)
        {
            return left.AsInteger.CompareTo(right.AsInteger);
        }

        if (left.IsNumber && right.IsNumber)
        {
            double a = left.AsFloat;
            double b = right.AsFloat;
            return double.IsNaN(a) || double.IsNaN(b) ? null : a.CompareTo(b);
        }

        if (left.Kind is ValueKind.BigInteger or ValueKind.Integer && right.Kind is ValueKind.BigInteger or ValueKind.Integer)
        {
            return left.AsBigInteger.CompareTo(right.AsBigInteger);
        }

        if (left.IsText && right.IsText)
        {
            state.Work(Math.Min(left.AsText.Length, right.AsText.Length));
            return ComparePoints(left.AsText.Text, right.AsText.Text);
        }

        if (IsList(left) && IsList(right) && left.AsSequence.Kind == right.AsSequence.Kind)
        {
            GuardDepth(state, depth);
            List<Value> a = left.AsSequence.Items;
            List<Value> b = right.AsSequence.Items;
            for (int i = 0; i < a.Count && i < b.Count; i++)
            {
                if (!AreEqual(state, a[i], b[i], depth + 1))
                {
                    return Order(state, a[i], b[i], @operator, depth + 1);
                }
            }

            return a.Count.CompareTo(b.Count);
        }

        throw state.Fail(left.IsUndefined ? left.UndefinedHint : right.IsUndefined ? right.UndefinedHint
            : $"'{@operator}' is not supported between '{left.TypeName}' and '{right.TypeName}'");
    }

    public static bool Contains(RenderState state, Value container, Value item)
    {
        switch (container.Kind)
        {
            case ValueKind.Text:
                state.Work(container.AsText.Length);
                return item.IsText
                    ? container.AsText.Text.Contains(item.AsText.Text, StringComparison.Ordinal)
                    : throw state.Fail($"'in <string>' requires a string as left operand, not {Arguments.Describe(item)}");
            case ValueKind.Mapping:
                RequireHashable(state, item);
                return container.AsMapping.TryGet(item, out _);
            case ValueKind.Sequence:
                foreach (Value element in container.AsSequence.Take())
                {
                    if (AreEqual(state, element, item))
                    {
                        return true;
                    }
                }

                return false;
            case ValueKind.Undefined:
                return false;
            default:
                throw state.Fail($"'{container.TypeName}' holds nothing that could be in it");
        }
    }

    /// <summary>The elements that a loop over the value reads.</summary>
    public static List<Value> Iterate(RenderState state, Value value)
    {
        switch (value.Kind)
        {
            case ValueKind.Sequence:
                List<Value> items = value.AsSequence.Take();
                state.Work(items.Count);
                return items;
            case ValueKind.Mapping:
                state.AllocateElements(value.AsMapping.Count);
                return value.AsMapping.Keys();
            case ValueKind.Text:
                MarkedText text = value.AsText;
                state.AllocateElements(3L * text.Length); // the list, and a text for each
                List<Value> characters = new(text.Length);
                for (int i = 0; i < text.Length;)
                {
                    int length = i + 1 < text.Length && char.IsSurrogatePair(text.Text[i], text.Text[i + 1]) ? 2 : 1;
                    characters.Add(Value.Of(text.Slice(i, length)));
                    i += length;
                }

                return characters;
            case ValueKind.Undefined:
                return [];
            default:
                throw state.Fail($"'{value.TypeName}' object is not iterable");
        }
    }

    /// <summary>The number of elements, as Python's len.</summary>
    public static long Length(RenderState state, Value value) => value.Kind switch
    {
        ValueKind.Text => value.AsText.CodePoints,
        ValueKind.Mapping => value.AsMapping.Count,
        ValueKind.Sequence when value.AsSequence.Kind != SequenceKind.Generator => value.AsSequence.Items.Count,
        ValueKind.Undefined => 0,
        _ => throw state.Fail($"object of type '{value.TypeName}' has no length"),
    };

    public static long ToIndex(RenderState state, Value value, string what) =>
        value.IsIntegral ? value.AsInteger : throw state.Fail($"{what}: an integer was expected, not {Arguments.Describe(value)}");

    public static void RequireHashable(RenderState state, Value value)
    {
        if (value.Kind == ValueKind.Mapping || (value.Kind == ValueKind.Sequence && value.AsSequence.Kind != SequenceKind.Tuple))
        {
            throw state.Fail($"a '{value.TypeName}' cannot be a dictionary's key");
        }

        state.Work(value.IsText ? value.AsText.Length : 1);
        if (value.Kind == ValueKind.Sequence)
        {
            state.EnterCall("a nested tuple");
            foreach (Value item in value.AsSequence.Items)
            {
                RequireHashable(state, item);
            }

            state.LeaveCall();
        }
    }

    public static void GuardDepth(RenderState state, int depth)
    {
        if (depth > MaxValueDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw state.Fail($"a value is nested more than {MaxValueDepth} deep, or holds itself");
        }
    }

    /// <summary>An integer result, which must fit in 64 bits.</summary>
    public static Value Integer(RenderState state, Int128 value) =>
        value >= long.MinValue && value <= long.MaxValue ? Value.Of((long)value) : throw state.Fail("an integer is beyond 64 bits");

    public static MarkedText Join(RenderState state, MarkedText left, MarkedText right)
    {
        MarkedText.Builder text = new(state);
        text.Append(left);
        text.Append(right);
        return text.Build();
    }

    private static bool IsList(Value value) => value.Kind == ValueKind.Sequence && value.AsSequence.Kind is SequenceKind.List or SequenceKind.Tuple;

    private static bool AreEqual(RenderState state, Value left, Value right, int depth)
    {
        state.Work(WorkPerComparison);
        if (left.IsNumber && right.IsNumber)
        {
            return left.IsIntegral && right.IsIntegral ? left.AsInteger == right.AsInteger : left.AsFloat == right.AsFloat;
        }

        if (left.Kind != right.Kind)
        {
            return false;
        }

        switch (left.Kind)
        {
            case ValueKind.Text:
                state.Work(left.AsText.Length == right.AsText.Length ? left.AsText.Length : 0);
                return left.AsText.Text == right.AsText.Text;
            case ValueKind.BigInteger:
                return left.AsBigInteger == right.AsBigInteger;
            case ValueKind.Sequence:
                SequenceValue a = left.AsSequence;
                SequenceValue b = right.AsSequence;
                if (ReferenceEquals(a, b))
                {
                    return true;
                }

                if (a.Kind != b.Kind || a.Items.Count != b.Items.Count || a.Kind is SequenceKind.Generator or SequenceKind.Values)
                {
                    return false;
                }

                GuardDepth(state, depth);
                for (int i = 0; i < a.Items.Count; i++)
                {
                    if (!AreEqual(state, a.Items[i], b.Items[i], depth + 1))
                    {
                        return false;
                    }
                }

                return true;
            case ValueKind.Mapping:
                if (ReferenceEquals(left.AsMapping, right.AsMapping))
                {
                    return true;
                }

                if (left.AsMapping.Count != right.AsMapping.Count)
                {
                    return false;
                }

                GuardDepth(state, depth);
                foreach (KeyValuePair<Value, Value> entry in left.AsMapping.Entries)
                {
                    if (!right.AsMapping.TryGet(entry.Key, out Value other) || !AreEqual(state, entry.Value, other, depth + 1))
                    {
                        return false;
                    }
                }

                return true;
            case ValueKind.Object:
                return ReferenceEquals(left.AsObject, right.AsObject);
            default:
                return true; // none is none, undefined is undefined
        }
    }

    private static Value Numbers(RenderState state, string @operator, Value left, Value right)
    {
        if (left.IsIntegral && right.IsIntegral)
        {
            Int128 a = left.AsInteger;
            Int128 b = right.AsInteger;
            switch (@operator)
            {
                case "+": return Integer(state, a + b);
                case "-": return Integer(state, a - b);
                case "*": return Integer(state, a * b);
                case "//" or "%" when b != 0:
                    Int128 quotient = a / b;
                    Int128 rest = a - (quotient * b);
                    if (rest != 0 && (rest < 0) != (b < 0))
                    {
                        quotient--;
                        rest += b;
                    }

                    return Integer(state, @operator == "%" ? rest : quotient);
                case "**" when b >= 0:
                    return IntegerPower(state, a, b);
            }
        }

        double x = left.AsFloat;
        double y = right.AsFloat;
        switch (@operator)
        {
            case "+": return Value.Of(x + y);
            case "-": return Value.Of(x - y);
            case "*": return Value.Of(x * y);
            case "/" when y != 0: return Value.Of(x / y);
            case "//" when y != 0: return Value.Of(Math.Round((x - FloorRest(x, y)) / y));
            case "%" when y != 0: return Value.Of(FloorRest(x, y));
            case "**":
                if (x == 0 && y < 0)
                {
                    break;
                }

                double power = Math.Pow(x, y);
                return double.IsNaN(power) && !double.IsNaN(x) && !double.IsNaN(y) ? throw state.Fail("a power of these numbers is not a real number")
                    : double.IsInfinity(power) && double.IsFinite(x) && double.IsFinite(y) ? throw state.Fail("a power is beyond what a float holds")
                    : Value.Of(power);
        }

        throw state.Fail("division by zero");
    }

    private static double FloorRest(double x, double y)
    {
        double rest = x % y;
        return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest == 0 ? Math.CopySign(0, y) : rest;
    }

    private static Value IntegerPower(RenderState state, Int128 @base, Int128 exponent)
    {
        if (@base >= -1 && @base <= 1)
        {
            return Value.Of((long)(@base == -1 ? (exponent % 2 == 0 ? 1 : -1) : exponent == 0 ? 1 : @base));
        }

        Int128 result = 1;
        for (Int128 i = 0; i < exponent; i++)
        {
            result *= @base;
            if (result > long.MaxValue || result < long.MinValue)
            {
                throw state.Fail("an integer is beyond 64 bits");
            }
        }

        return Value.Of((long)result);
    }

    private static Value Repeat(RenderState state, Value value, long times)
    {
        times = Math.Max(times, 0);
        if (value.IsText)
        {
            MarkedText piece = value.AsText;
            if ((Int128)piece.Length * times > state.MaxText)
            {
                throw state.Fail($"a text of {piece.Length} characters repeated {times} times is longer than the {state.MaxText} allowed");
            }

            MarkedText.Builder text = new(state);
            for (long i = 0; i < times && piece.Length > 0; i++)
            {
                text.Append(piece);
            }

            return Value.Of(text.Build());
        }

        SequenceValue list = value.AsSequence;
        if ((Int128)list.Items.Count * times > state.MaxText)
        {
            throw state.Fail($"a list of {list.Items.Count} elements repeated {times} times is too long");
        }

        state.AllocateElements(list.Items.Count * times);
        List<Value> items = [];
        for (long i = 0; i < times && list.Items.Count > 0; i++)
        {
            items.AddRange(list.Items);
        }

        return Value.Of(new SequenceValue(list.Kind, items));
    }

    // By code points: surrogates come after all of the basic plane.
    private static int ComparePoints(string a, string b)
    {
        int common = a.AsSpan().CommonPrefixLength(b);
        if (common == a.Length || common == b.Length)
        {
            return a.Length.CompareTo(b.Length);
        }

        bool surrogateA = char.IsSurrogate(a[common]);
        bool surrogateB = char.IsSurrogate(b[common]);
        return surrogateA != surrogateB ? (surrogateA ? 1 : -1) : a[common].CompareTo(b[common]);
    }

    private sealed class KeyEquality : IEqualityComparer<Value>
    {
        public bool Equals(Value x, Value y)
        {
            if (x.IsNumber && y.IsNumber)
            {
                return x.IsIntegral && y.IsIntegral ? x.AsInteger == y.AsInteger : x.AsFloat == y.AsFloat;
            }

            if (x.Kind != y.Kind)
            {
                return false;
            }

            switch (x.Kind)
            {
                case ValueKind.Text:
                    return x.AsText.Text == y.AsText.Text;
                case ValueKind.BigInteger:
                    return x.AsBigInteger == y.AsBigInteger;
                case ValueKind.Sequence:
                    List<Value> a = x.AsSequence.Items;
                    List<Value> b = y.AsSequence.Items;
                    for (int i = 0; i < a.Count && a.Count == b.Count; i++)
                    {
                        if (!Equals(a[i], b[i]))
                        {
                            return false;
                        }
                    }

                    return a.Count == b.Count;
                case ValueKind.Object:
                    return ReferenceEquals(x.AsObject, y.AsObject);
                default:
                    return true;
            }
        }

        public int GetHashCode(Value value)
        {
            switch (value.Kind)
            {
                case ValueKind.Text: return value.AsText.Text.GetHashCode(StringComparison.Ordinal);
                case ValueKind.Boolean or ValueKind.Integer or ValueKind.Float: return value.AsFloat.GetHashCode();
                case ValueKind.BigInteger: return value.AsBigInteger.GetHashCode();
                case ValueKind.Object: return RuntimeHelpers.GetHashCode(value.AsObject);
                case ValueKind.Sequence:
                    HashCode hash = default;
                    foreach (Value item in value.AsSequence.Items)
                    {
                        hash.Add(GetHashCode(item));
                    }

                    return hash.ToHashCode();
                default: return (int)value.Kind;
            }
        }
    }
}
