// What stands after "is". Knows Jinja's built-in tests.
namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Jinja's tests.</summary>
internal static class Tests
{
    public static bool Apply(RenderState state, string name, Value value, Arguments arguments)
    {
        switch (name)
        {
            case "==" or "eq" or "equalto": return Two(state, "==", value, arguments);
            case "!=" or "ne": return Two(state, "!=", value, arguments);
            case "<" or "lt" or "lessthan": return Two(state, "<", value, arguments);
            case "<=" or "le": return Two(state, "<=", value, arguments);
            case ">" or "gt" or "greaterthan": return Two(state, ">", value, arguments);
            case ">=" or "ge": return Two(state, ">=", value, arguments);
            case "in": return Two(state, "in", value, arguments);
            case "divisibleby":
                Value rest = Operators.Arithmetic(state, "%", value, arguments.Required(0, "num"));
                arguments.End(1);
                return !rest.IsTruthy;
            case "sameas":
                Value other = arguments.Required(0, "other");
                arguments.End(1);
                return value.Kind == other.Kind && (value.Kind is ValueKind.None or ValueKind.Boolean or ValueKind.Integer or ValueKind.Text
                    ? Operators.AreEqual(state, value, other)
                    : ReferenceEquals(value.Reference, other.Reference) && value.Reference is not null);
        }

        arguments.End(0);
        switch (name)
        {
            case "defined": return !value.IsUndefined;
            case "undefined": return value.IsUndefined;
            case "none": return value.IsNone;
            case "string": return value.IsText;
            case "boolean": return value.Kind == ValueKind.Boolean;
            case "true": return value.Kind == ValueKind.Boolean && value.IsTruthy;
            case "false": return value.Kind == ValueKind.Boolean && !value.IsTruthy;
            case "integer": return value.Kind is ValueKind.Integer or ValueKind.BigInteger;
            case "float": return value.Kind == ValueKind.Float;
            case "number": return value.IsNumber || value.Kind == ValueKind.BigInteger;
            case "mapping": return value.Kind == ValueKind.Mapping;
            case "iterable": return value.Kind is ValueKind.Text or ValueKind.Sequence or ValueKind.Mapping or ValueKind.Undefined;
            case "sequence":
                return value.Kind is ValueKind.Text or ValueKind.Mapping || (value.Kind == ValueKind.Sequence && value.AsSequence.IsIndexable);
            case "callable": return value.IsUndefined || (value.Kind == ValueKind.Object && value.AsObject.IsCallable);
            case "odd" or "even":
                Value half = Operators.Arithmetic(state, "%", value, Value.Of(2L));
                return Operators.AreEqual(state, half, Value.Of(name == "odd" ? 1L : 0L));
            case "lower": return Cased(state, value, upper: false);
            case "upper": return Cased(state, value, upper: true);
            case "escaped": return false;
            case "filter": return value.IsText && Filters.Exists(value.AsText.Text);
            case "test": return value.IsText && Exists(value.AsText.Text);
            default: throw state.Fail($"there is no test named '{name}'");
        }
    }

    private static bool Exists(string name) => name is "==" or "eq" or "equalto" or "!=" or "ne" or "<" or "lt" or "lessthan" or "<=" or "le" or ">" or "gt"
        or "greaterthan" or ">=" or "ge" or "in" or "divisibleby" or "sameas" or "defined" or "undefined" or "none" or "string" or "boolean" or "true"
        or "false" or "integer" or "float" or "number" or "mapping" or "iterable" or "sequence" or "callable" or "odd" or "even" or "lower" or "upper"
        or "escaped" or "filter" or "test";

    private static bool Two(RenderState state, string @operator, Value value, Arguments arguments)
    {
        Value other = arguments.Required(0, "other");
        arguments.End(1);
        return Operators.Compare(state, @operator, value, other);
    }

    // Python: at least one letter with case, and none of the other case.
    private static bool Cased(RenderState state, Value value, bool upper)
    {
        MarkedText text = PythonText.ToText(state, value);
        state.Work(text.Length);
        bool any = false;
        foreach (char c in text.Text)
        {
            if (upper ? char.IsLower(c) : char.IsUpper(c))
            {
                return false;
            }

            any |= upper ? char.IsUpper(c) : char.IsLower(c);
        }

        return any;
    }
}
