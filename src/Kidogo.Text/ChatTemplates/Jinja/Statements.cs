// The statements of a template. They write text and set variables.
namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Text of the template itself: trusted.</summary>
internal sealed class TemplateText(Token at, string text) : Statement(at, 1)
{
    private readonly MarkedText _text = MarkedText.Trusted(text);

    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        output.Append(_text);
        return Flow.Next;
    }
}

/// <summary><c>{{ … }}</c>.</summary>
internal sealed class Output(Token at, Expression expression) : Statement(at, Above(expression))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        Value value = expression.Evaluate(scope);
        scope.State.Back(this);
        PythonText.Write(scope.State, output, value);
        return Flow.Next;
    }
}

/// <summary><c>{% do … %}</c>: evaluates and writes nothing.</summary>
internal sealed class Do(Token at, Expression expression) : Statement(at, Above(expression))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        expression.Evaluate(scope);
        return Flow.Next;
    }
}

internal sealed class If(Token at, (Expression Test, Statement[] Body)[] branches, Statement[]? otherwise)
    : Statement(at, Math.Max(branches.Max(branch => Math.Max(Above(branch.Test), Above(branch.Body))), otherwise is null ? 0 : Above(otherwise)))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        foreach ((Expression test, Statement[] body) in branches)
        {
            if (test.Evaluate(scope).IsTruthy)
            {
                return ExecuteAll(body, scope, output);
            }
        }

        return otherwise is null ? Flow.Next : ExecuteAll(otherwise, scope, output);
    }
}

/// <summary><c>break</c> or <c>continue</c>.</summary>
internal sealed class Jump(Token at, Flow flow) : Statement(at, 1)
{
    public override Flow Execute(Scope scope, MarkedText.Builder output) => flow;
}

/// <summary>Where <c>set</c> and <c>for</c> put values: a name, an attribute of a namespace, or a tuple of targets.</summary>
internal sealed class Target(Token at, string? name, string? attribute, Target[]? parts) : Node(at, parts is null ? 1 : Above(parts))
{
    public string? Name => name;

    public void Assign(Scope scope, Value value)
    {
        RenderState state = scope.State;
        if (parts is not null)
        {
            List<Value> values = Operators.Iterate(state, value);
            if (values.Count != parts.Length)
            {
                state.Back(this);
                throw state.Fail($"{parts.Length} values to unpack were expected, there are {values.Count}");
            }

            for (int i = 0; i < parts.Length; i++)
            {
                parts[i].Assign(scope, values[i]);
            }
        }
        else if (attribute is not null)
        {
            Value target = scope.Get(name!);
            state.Back(this);
            if (target.Kind != ValueKind.Object || target.AsObject is not NamespaceValue space)
            {
                throw state.Fail(target.IsUndefined ? target.UndefinedHint : $"cannot assign an attribute of a '{target.TypeName}' object, only of a namespace");
            }

            state.AllocateElements(1);
            space.Set(attribute, value);
        }
        else
        {
            scope.Set(name!, value);
        }
    }
}

internal sealed class Set(Token at, Target target, Expression value) : Statement(at, Above(target, value))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        Value result = value.Evaluate(scope);
        scope.State.Back(this);
        target.Assign(scope, result);
        return Flow.Next;
    }
}

/// <summary><c>{% set x %} … {% endset %}</c>, with filters after the name.</summary>
internal sealed class SetBlock(Token at, Target target, FilterCall? filter, Statement[] body) : Statement(at, Math.Max(Above(target, filter), Above(body)))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        Scope inner = scope.Inner();
        MarkedText.Builder text = new(scope.State);
        Flow flow = ExecuteAll(body, inner, text);
        Value value = Value.Of(text.Build());
        target.Assign(scope, filter is null ? value : filter.Apply(inner, value));
        return flow;
    }
}

/// <summary><c>{% filter upper %} … {% endfilter %}</c>.</summary>
internal sealed class FilterBlock(Token at, FilterCall filter, Statement[] body) : Statement(at, Math.Max(Above(filter), Above(body)))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        Scope inner = scope.Inner();
        MarkedText.Builder text = new(scope.State);
        Flow flow = ExecuteAll(body, inner, text);
        PythonText.Write(scope.State, output, filter.Apply(inner, Value.Of(text.Build())));
        return flow;
    }
}

/// <summary><c>with</c>, <c>block</c>, <c>generation</c> and <c>autoescape false</c>: a body with variables of its own.</summary>
internal sealed class Block(Token at, (Target Target, Expression Value)[] variables, Statement[] body)
    : Statement(at, Math.Max(variables.Length == 0 ? 0 : variables.Max(pair => pair.Value.Depth) + 1, Above(body)))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        Scope inner = scope.Inner();
        foreach ((Target target, Expression value) in variables)
        {
            target.Assign(inner, value.Evaluate(scope));
        }

        return ExecuteAll(body, inner, output);
    }
}

/// <summary><c>{% macro name(…) %}</c>.</summary>
internal sealed class Macro(Token at, string name, string[] parameters, Expression[] defaults, Statement[] body, bool takesVarargs, bool takesKwargs, bool takesCaller)
    : Statement(at, Math.Max(Above(defaults), Above(body)))
{
    public string Name => name;

    public string[] Parameters => parameters;

    public bool TakesVarargs => takesVarargs;

    public bool TakesKwargs => takesKwargs;

    public bool TakesCaller => takesCaller;

    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        scope.Set(name, Value.Of(new MacroValue(this, scope)));
        return Flow.Next;
    }

    public MarkedText Invoke(Scope definedIn, RenderState state, Arguments arguments)
    {
        state.EnterCall(name);
        Scope scope = definedIn.Inner();
        Value[] values = new Value[parameters.Length];
        bool[] given = new bool[parameters.Length];
        List<Value> extra = [];
        for (int i = 0; i < arguments.Positional.Count; i++)
        {
            if (i < parameters.Length)
            {
                values[i] = arguments.Positional[i];
                given[i] = true;
            }
            else if (takesVarargs)
            {
                extra.Add(arguments.Positional[i]);
            }
            else
            {
                throw state.Fail($"macro '{name}' takes not more than {parameters.Length} arguments");
            }
        }

        MappingValue named = new();
        Value? caller = null;
        foreach (KeyValuePair<string, Value> pair in arguments.Named)
        {
            int index = Array.IndexOf(parameters, pair.Key);
            if (index >= 0 && !given[index])
            {
                values[index] = pair.Value;
                given[index] = true;
            }
            else if (index >= 0)
            {
                throw state.Fail($"macro '{name}' got two values for '{pair.Key}'");
            }
            else if (pair.Key == "caller" && takesCaller)
            {
                caller = pair.Value;
            }
            else if (takesKwargs)
            {
                named.Set(Value.Of(pair.Key), pair.Value);
            }
            else
            {
                throw state.Fail(pair.Key == "caller"
                    ? $"macro '{name}' was called by a call block but does not use 'caller'"
                    : $"macro '{name}' takes no argument '{pair.Key}'");
            }
        }

        int firstDefault = parameters.Length - defaults.Length;
        for (int i = 0; i < parameters.Length; i++)
        {
            Value value = given[i] ? values[i]
                : i >= firstDefault ? defaults[i - firstDefault].Evaluate(scope)
                : Value.Undefined($"parameter '{parameters[i]}' of macro '{name}' was not provided");
            scope.Set(parameters[i], value);
        }

        if (takesVarargs)
        {
            state.AllocateElements(extra.Count);
            scope.Set("varargs", Value.Tuple(extra));
        }

        if (takesKwargs)
        {
            scope.Set("kwargs", Value.Of(named));
        }

        if (takesCaller)
        {
            scope.Set("caller", caller ?? Value.Undefined("no caller is defined: the macro was not called by a call block"));
        }

        MarkedText.Builder text = new(state);
        ExecuteAll(body, scope, text);
        state.LeaveCall();
        return text.Build();
    }
}

/// <summary>A macro and the scope it was defined in.</summary>
internal sealed class MacroValue(Macro macro, Scope definedIn) : ObjectValue
{
    public override string TypeName => "Macro";

    public override bool IsCallable => true;

    public override Value Call(RenderState state, Arguments arguments) => Value.Of(macro.Invoke(definedIn, state, arguments));

    public override bool TryGetAttribute(RenderState state, string name, out Value value)
    {
        switch (name)
        {
            case "name": value = Value.Of(macro.Name); return true;
            case "arguments": value = Value.Tuple(macro.Parameters.Select(Value.Of).ToList()); return true;
            case "catch_kwargs": value = Value.Of(macro.TakesKwargs); return true;
            case "catch_varargs": value = Value.Of(macro.TakesVarargs); return true;
            case "caller": value = Value.Of(macro.TakesCaller); return true;
            default: value = default; return false;
        }
    }
}

/// <summary><c>{% call(…) f(…) %}</c>: the body is the macro <c>caller</c> of the call.</summary>
internal sealed class CallBlock(Token at, Macro caller, Call call) : Statement(at, Above(caller, call))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        Value value = call.Invoke(scope, Value.Of(new MacroValue(caller, scope)));
        PythonText.Write(scope.State, output, value);
        return Flow.Next;
    }
}

/// <summary><c>{% for … in … %}</c>.</summary>
internal sealed class For(Token at, Target target, Expression items, Expression? condition, bool recursive, Statement[] body, Statement[]? otherwise)
    : Statement(at, Math.Max(Math.Max(Above(items, condition), Above(body)), otherwise is null ? 0 : Above(otherwise)))
{
    public override Flow Execute(Scope scope, MarkedText.Builder output)
    {
        Value sequence = items.Evaluate(scope);
        scope.State.Back(this);
        Run(scope, sequence, 0, output);
        return Flow.Next;
    }

    public void Run(Scope scope, Value sequence, int depth, MarkedText.Builder output)
    {
        RenderState state = scope.State;
        List<Value> all = Operators.Iterate(state, sequence);
        List<Value> values;
        if (condition is null)
        {
            state.AllocateElements(all.Count);
            values = [.. all]; // what the body appends to the list is not read by this loop
        }
        else
        {
            values = [];
            foreach (Value value in all)
            {
                Scope test = scope.Inner();
                target.Assign(test, value);
                if (condition.Evaluate(test).IsTruthy)
                {
                    state.AllocateElements(1);
                    values.Add(value);
                }
            }
        }

        if (values.Count == 0)
        {
            if (otherwise is not null)
            {
                ExecuteAll(otherwise, scope.Inner(), output);
            }

            return;
        }

        LoopValue loop = new(values, depth, recursive ? (again, deeper) => Recurse(scope, again, deeper) : null);
        for (int i = 0; i < values.Count; i++)
        {
            state.At(this);
            loop.Index = i;
            Scope inner = scope.Inner();
            inner.Set("loop", Value.Of(loop));
            target.Assign(inner, values[i]);
            if (ExecuteAll(body, inner, output) == Flow.Break)
            {
                break;
            }
        }
    }

    private Value Recurse(Scope scope, Value sequence, int depth)
    {
        scope.State.EnterCall("loop");
        MarkedText.Builder text = new(scope.State);
        Run(scope, sequence, depth, text);
        scope.State.LeaveCall();
        return Value.Of(text.Build());
    }
}

/// <summary>The variable <c>loop</c>.</summary>
internal sealed class LoopValue(List<Value> items, int depth, Func<Value, int, Value>? recurse) : ObjectValue
{
    private List<Value>? _changed;

    public int Index { get; set; }

    public override string TypeName => "LoopContext";

    public override bool IsCallable => true;

    public override Value Call(RenderState state, Arguments arguments)
    {
        Value sequence = arguments.Required(0, "iterable");
        arguments.End(1);
        return recurse is null ? throw state.Fail("the loop must have the 'recursive' marker to be called") : recurse(sequence, depth + 1);
    }

    public override bool TryGetAttribute(RenderState state, string name, out Value value)
    {
        switch (name)
        {
            case "index": value = Value.Of(Index + 1L); break;
            case "index0": value = Value.Of((long)Index); break;
            case "revindex": value = Value.Of((long)items.Count - Index); break;
            case "revindex0": value = Value.Of((long)items.Count - Index - 1); break;
            case "first": value = Value.Of(Index == 0); break;
            case "last": value = Value.Of(Index == items.Count - 1); break;
            case "length": value = Value.Of((long)items.Count); break;
            case "depth": value = Value.Of(depth + 1L); break;
            case "depth0": value = Value.Of((long)depth); break;
            case "previtem": value = Index > 0 ? items[Index - 1] : Value.Undefined("there is no previous item"); break;
            case "nextitem": value = Index + 1 < items.Count ? items[Index + 1] : Value.Undefined("there is no next item"); break;
            case "cycle":
                value = Value.Of(new FunctionValue("cycle", (now, arguments) => arguments.Positional.Count == 0
                    ? throw now.Fail("no items for cycling are given")
                    : arguments.Positional[Index % arguments.Positional.Count]));
                break;
            case "changed":
                value = Value.Of(new FunctionValue("changed", (now, arguments) =>
                {
                    List<Value> seen = arguments.Positional;
                    bool same = _changed is not null && Operators.AreEqual(now, Value.Tuple(_changed), Value.Tuple(seen));
                    _changed = seen;
                    return Value.Of(!same);
                }));
                break;
            default: value = default; return false;
        }

        return true;
    }
}
