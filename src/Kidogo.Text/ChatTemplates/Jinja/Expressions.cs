// The expressions of a template. They say how values are found and combined; what an operation does is in Operators, Filters and Tests.
namespace Kidogo.Text.ChatTemplates.Jinja;

internal sealed class Constant(Token at, Value value) : Expression(at, 1)
{
    public Value Value { get; } = value;

    public override Value Evaluate(Scope scope) => Value;
}

internal sealed class Variable(Token at, string name) : Expression(at, 1)
{
    public string Name { get; } = name;

    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        return scope.Get(Name);
    }
}

internal sealed class ListLiteral(Token at, Expression[] items, bool isTuple) : Expression(at, Above(items))
{
    public Expression[] Items { get; } = items;

    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        scope.State.AllocateElements(Items.Length);
        List<Value> values = new(Items.Length);
        foreach (Expression item in Items)
        {
            values.Add(item.Evaluate(scope));
        }

        return isTuple ? Value.Tuple(values) : Value.List(values);
    }
}

internal sealed class MappingLiteral(Token at, Expression[] keys, Expression[] values) : Expression(at, Math.Max(Above(keys), Above(values)))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        scope.State.AllocateElements(2 * keys.Length);
        MappingValue mapping = new();
        for (int i = 0; i < keys.Length; i++)
        {
            Value key = keys[i].Evaluate(scope);
            Operators.RequireHashable(scope.State, key);
            mapping.Set(key, values[i].Evaluate(scope));
        }

        return Value.Of(mapping);
    }
}

/// <summary><c>a if b else c</c>.</summary>
internal sealed class Conditional(Token at, Expression test, Expression yes, Expression? no) : Expression(at, Above(test, yes, no))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        return test.Evaluate(scope).IsTruthy ? yes.Evaluate(scope)
            : no is not null ? no.Evaluate(scope)
            : Value.Undefined("the inline if-expression evaluated to false and has no else");
    }
}

/// <summary><c>a and b and c</c>, or the same with <c>or</c>: the first that decides.</summary>
internal sealed class Junction(Token at, Expression[] parts, bool isOr) : Expression(at, Above(parts))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        Value value = default;
        foreach (Expression part in parts)
        {
            value = part.Evaluate(scope);
            if (value.IsTruthy == isOr)
            {
                break;
            }
        }

        return value;
    }
}

internal sealed class Not(Token at, Expression inner) : Expression(at, Above(inner))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        return Value.Of(!inner.Evaluate(scope).IsTruthy);
    }
}

internal sealed class Sign(Token at, Expression inner, bool negative) : Expression(at, Above(inner))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        Value value = inner.Evaluate(scope);
        scope.State.Back(this);
        return Operators.Sign(scope.State, value, negative);
    }
}

/// <summary>Operators of one precedence, applied from the left.</summary>
internal sealed class Arithmetic(Token at, Expression first, (Token Operator, Expression Operand)[] rest)
    : Expression(at, Math.Max(first.Depth, rest.Max(part => part.Operand.Depth)) + 1)
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        Value value = first.Evaluate(scope);
        foreach ((Token @operator, Expression operand) in rest)
        {
            Value right = operand.Evaluate(scope);
            scope.State.At(this);
            value = Operators.Arithmetic(scope.State, @operator.Text, value, right);
        }

        return value;
    }
}

/// <summary><c>a ~ b ~ c</c>: all as text.</summary>
internal sealed class Concatenation(Token at, Expression[] parts) : Expression(at, Above(parts))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        MarkedText.Builder text = new(scope.State);
        foreach (Expression part in parts)
        {
            PythonText.Write(scope.State, text, part.Evaluate(scope));
        }

        return Value.Of(text.Build());
    }
}

/// <summary><c>a &lt; b &lt;= c</c>, as Python chains it.</summary>
internal sealed class Comparison(Token at, Expression first, (string Operator, Expression Operand)[] rest)
    : Expression(at, Math.Max(first.Depth, rest.Max(part => part.Operand.Depth)) + 1)
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        Value left = first.Evaluate(scope);
        foreach ((string @operator, Expression operand) in rest)
        {
            Value right = operand.Evaluate(scope);
            scope.State.Back(this);
            if (!Operators.Compare(scope.State, @operator, left, right))
            {
                return Value.False;
            }

            left = right;
        }

        return Value.True;
    }
}

/// <summary><c>a.name</c>: a method or attribute first, then an element.</summary>
internal sealed class Attribute(Token at, Expression target, string name) : Expression(at, Above(target))
{
    public Expression Target { get; } = target;

    public string Name { get; } = name;

    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        Value value = Target.Evaluate(scope);
        scope.State.Back(this);
        return Access.Attribute(scope.State, value, Name);
    }
}

/// <summary><c>a[b]</c>: an element first, then a method or attribute.</summary>
internal sealed class Subscript(Token at, Expression target, Expression index) : Expression(at, Above(target, index))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        Value value = target.Evaluate(scope);
        Value key = index.Evaluate(scope);
        scope.State.Back(this);
        return Access.Item(scope.State, value, key);
    }
}

/// <summary><c>a[b:c:d]</c>.</summary>
internal sealed class Slice(Token at, Expression target, Expression? start, Expression? stop, Expression? step)
    : Expression(at, Above(target, start, stop, step))
{
    public override Value Evaluate(Scope scope)
    {
        scope.State.At(this);
        Value value = target.Evaluate(scope);
        Value from = start?.Evaluate(scope) ?? Value.None;
        Value to = stop?.Evaluate(scope) ?? Value.None;
        Value by = step?.Evaluate(scope) ?? Value.None;
        scope.State.Back(this);
        return Access.Slice(scope.State, value, from, to, by);
    }
}

/// <summary>The arguments of a call as written.</summary>
internal sealed class ArgumentList(Expression[] positional, KeyValuePair<string, Expression>[] named, Expression? star, Expression? doubleStar)
{
    public int Depth { get; } = Math.Max(
        Math.Max(Node.Above(positional), Node.Above(star, doubleStar)),
        named.Length == 0 ? 0 : named.Max(pair => pair.Value.Depth) + 1) - 1;

    public Arguments Evaluate(Scope scope, string function, KeyValuePair<string, Value>? extra = null)
    {
        RenderState state = scope.State;
        List<Value> values = new(positional.Length);
        foreach (Expression argument in positional)
        {
            values.Add(argument.Evaluate(scope));
        }

        if (star is not null)
        {
            List<Value> more = Operators.Iterate(state, star.Evaluate(scope));
            state.AllocateElements(more.Count);
            values.AddRange(more);
        }

        List<KeyValuePair<string, Value>>? pairs = null;
        foreach (KeyValuePair<string, Expression> argument in named)
        {
            (pairs ??= []).Add(new(argument.Key, argument.Value.Evaluate(scope)));
        }

        if (doubleStar is not null)
        {
            Value more = doubleStar.Evaluate(scope);
            if (more.Kind != ValueKind.Mapping)
            {
                throw state.Fail($"{function}: the argument after ** must be a mapping, not {Arguments.Describe(more)}");
            }

            state.AllocateElements(2L * more.AsMapping.Count);
            foreach (KeyValuePair<Value, Value> entry in more.AsMapping.Entries)
            {
                string key = entry.Key.IsText ? entry.Key.AsText.Text : throw state.Fail($"{function}: keywords must be strings");
                if (pairs is not null && pairs.Count < 1000 && pairs.Exists(pair => pair.Key == key))
                {
                    throw state.Fail($"{function} got more than one value for argument '{key}'");
                }

                (pairs ??= []).Add(new(key, entry.Value));
            }
        }

        if (extra is not null)
        {
            (pairs ??= []).Add(extra.Value);
        }

        return new Arguments(state, function, values, pairs);
    }
}

/// <summary><c>f(…)</c>.</summary>
internal sealed class Call(Token at, Expression target, ArgumentList arguments) : Expression(at, Math.Max(target.Depth, arguments.Depth) + 1)
{
    public override Value Evaluate(Scope scope) => Invoke(scope, null);

    /// <summary>The call, with the <c>caller</c> of a call block where there is one.</summary>
    public Value Invoke(Scope scope, Value? caller)
    {
        RenderState state = scope.State;
        state.At(this);
        Value function = target.Evaluate(scope);
        state.Back(this);
        if (function.Kind != ValueKind.Object || !function.AsObject.IsCallable)
        {
            throw state.Fail(function.IsUndefined ? function.UndefinedHint : $"'{function.TypeName}' object is not callable");
        }

        string name = target switch { Variable variable => variable.Name, Attribute attribute => attribute.Name, _ => "the function" };
        Arguments values = arguments.Evaluate(scope, name, caller is null ? null : new("caller", caller.Value));
        state.Back(this);
        return function.AsObject.Call(state, values);
    }
}

/// <summary><c>value | name(…)</c>. Without a value it stands at the top of a filter or set block and is given the block's text.</summary>
internal sealed class FilterCall(Token at, Expression? target, string name, ArgumentList arguments)
    : Expression(at, Math.Max(target?.Depth ?? 0, arguments.Depth) + 1)
{
    public override Value Evaluate(Scope scope) => Apply(scope, null);

    public Value Apply(Scope scope, Value? block)
    {
        RenderState state = scope.State;
        state.At(this);
        Value value = target is FilterCall inner ? inner.Apply(scope, block)
            : target?.Evaluate(scope) ?? block ?? throw state.Fail("a filter without a value");
        Arguments values = arguments.Evaluate(scope, name);
        state.Back(this);
        return Filters.Apply(state, name, value, values);
    }
}

/// <summary><c>value is name(…)</c>.</summary>
internal sealed class TestCall(Token at, Expression target, string name, ArgumentList arguments)
    : Expression(at, Math.Max(target.Depth, arguments.Depth) + 1)
{
    public override Value Evaluate(Scope scope)
    {
        RenderState state = scope.State;
        state.At(this);
        Value value = target.Evaluate(scope);
        Arguments values = arguments.Evaluate(scope, name);
        state.Back(this);
        return Value.Of(Tests.Apply(state, name, value, values));
    }
}
