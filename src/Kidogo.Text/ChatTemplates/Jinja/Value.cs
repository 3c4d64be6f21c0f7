// The value of an expression: one small union, no reflection. Knows Python's types as templates see them.
using System.Numerics;

namespace Kidogo.Text.ChatTemplates.Jinja;

internal enum ValueKind : byte
{
    Undefined,
    None,
    Boolean,
    Integer,
    BigInteger, // only from JSON: numbers that a long cannot hold are carried and printed, not computed with
    Float,
    Text,
    Sequence,
    Mapping,
    Object, // namespace, loop, macro, function, …
}

/// <summary>A value.</summary>
internal readonly struct Value
{
    private readonly long _bits;
    private readonly object? _object;

    private Value(ValueKind kind, long bits, object? @object)
    {
        Kind = kind;
        _bits = bits;
        _object = @object;
    }

    public static Value None => new(ValueKind.None, 0, null);

    public static Value True => new(ValueKind.Boolean, 1, null);

    public static Value False => new(ValueKind.Boolean, 0, null);

    public ValueKind Kind { get; }

    public bool IsUndefined => Kind == ValueKind.Undefined;

    public bool IsNone => Kind == ValueKind.None;

    public bool IsText => Kind == ValueKind.Text;

    /// <summary>A Boolean or an integer, which Python treats alike in arithmetic.</summary>
    public bool IsIntegral => Kind is ValueKind.Integer or ValueKind.Boolean;

    public bool IsNumber => IsIntegral || Kind == ValueKind.Float;

    public long AsInteger => _bits;

    public double AsFloat => Kind == ValueKind.Float ? BitConverter.Int64BitsToDouble(_bits) : _bits;

    public BigInteger AsBigInteger => Kind == ValueKind.BigInteger ? (BigInteger)_object! : _bits;

    public MarkedText AsText => (MarkedText)_object!;

    public SequenceValue AsSequence => (SequenceValue)_object!;

    public MappingValue AsMapping => (MappingValue)_object!;

    public ObjectValue AsObject => (ObjectValue)_object!;

    /// <summary>For an undefined value: what is missing.</summary>
    public string UndefinedHint => _object as string ?? "a value is undefined";

    /// <summary>The object behind, for identity.</summary>
    public object? Reference => _object;

    public static Value Undefined(string hint) => new(ValueKind.Undefined, 0, hint);

    public static Value Of(bool value) => value ? True : False;

    public static Value Of(long value) => new(ValueKind.Integer, value, null);

    public static Value Of(double value) => new(ValueKind.Float, BitConverter.DoubleToInt64Bits(value), null);

    public static Value Of(BigInteger value) =>
        value >= long.MinValue && value <= long.MaxValue ? Of((long)value) : new(ValueKind.BigInteger, 0, value);

    public static Value Of(MarkedText value) => new(ValueKind.Text, 0, value);

    public static Value Of(string trusted) => Of(MarkedText.Trusted(trusted));

    public static Value Of(SequenceValue value) => new(ValueKind.Sequence, 0, value);

    public static Value Of(MappingValue value) => new(ValueKind.Mapping, 0, value);

    public static Value Of(ObjectValue value) => new(ValueKind.Object, 0, value);

    public static Value List(List<Value> items) => Of(new SequenceValue(SequenceKind.List, items));

    public static Value Tuple(params List<Value> items) => Of(new SequenceValue(SequenceKind.Tuple, items));

    /// <summary>Python's truth.</summary>
    public bool IsTruthy => Kind switch
    {
        ValueKind.Undefined or ValueKind.None => false,
        ValueKind.Boolean or ValueKind.Integer => _bits != 0,
        ValueKind.BigInteger => true,
        ValueKind.Float => AsFloat != 0,
        ValueKind.Text => AsText.Length > 0,
        ValueKind.Sequence => AsSequence.IsTruthy,
        ValueKind.Mapping => AsMapping.Count > 0,
        _ => true,
    };

    /// <summary>Python's name of the type.</summary>
    public string TypeName => Kind switch
    {
        ValueKind.Undefined => "Undefined",
        ValueKind.None => "NoneType",
        ValueKind.Boolean => "bool",
        ValueKind.Integer or ValueKind.BigInteger => "int",
        ValueKind.Float => "float",
        ValueKind.Text => "str",
        ValueKind.Sequence => AsSequence.TypeName,
        ValueKind.Mapping => "dict",
        _ => AsObject.TypeName,
    };
}
