// From a JSON schema to a grammar of the JSON texts that obey it. Knows no tokens.
using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace Kidogo.Inference.Constraints;

/// <summary>Reads JSON schemas: types, objects, arrays, <c>enum</c>, <c>const</c>, <c>anyOf</c>, <c>oneOf</c>, <c>allOf</c> of objects, <c>$ref</c> within the schema, bounds, lengths, patterns and formats.</summary>
/// <remarks>
/// Members come in the order of the schema. Where <c>additionalProperties</c> is absent beside <c>properties</c>, there are none: a text without them always obeys.
/// A keyword that cannot be enforced is refused by its name, never passed over; those that only describe (title, description, default, examples, …) mean nothing here.
/// </remarks>
public sealed class JsonSchemaReader
{
    private const int MostBytes = 1 << 20;
    private const int MostDepth = 64;
    private const int MostRules = 20_000;

    private static readonly HashSet<string> s_descriptions = new(StringComparer.Ordinal)
    {
        "title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "$anchor", "deprecated", "readOnly", "writeOnly", "$defs", "definitions", "contentMediaType", "contentEncoding", "strict",
    };

    private readonly JsonElement _root;
    private readonly Grammar _grammar;
    private readonly JsonText _json;
    private readonly Dictionary<string, RuleReference> _references = new(StringComparer.Ordinal);
    private int _depth;

    private JsonSchemaReader(JsonElement root, Grammar grammar, bool isPython = false)
    {
        _root = root;
        _grammar = grammar;
        _json = new JsonText(grammar, isPython);
    }

    /// <summary>A grammar of any JSON object: what OpenAI calls <c>json_object</c>.</summary>
    public static Grammar AnyObject()
    {
        Grammar grammar = new();
        grammar.Root = new JsonText(grammar).Object.Rule;
        return grammar;
    }

    /// <summary>Reads a schema.</summary>
    /// <exception cref="GrammarException">It is malformed, too large, or says what cannot be enforced; the message has the place.</exception>
    public static Grammar Read(string schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        if (schema.Length > MostBytes)
        {
            throw new GrammarException($"The schema has {schema.Length} characters; at most {MostBytes} are read.");
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(schema, new JsonDocumentOptions { MaxDepth = MostDepth * 3 });
            return Read(document.RootElement);
        }
        catch (JsonException failure)
        {
            throw new GrammarException($"The schema is no JSON. {failure.Message}", failure);
        }
    }

    /// <inheritdoc cref="Read(string)"/>
    public static Grammar Read(JsonElement schema)
    {
        JsonSchemaReader reader = new(schema, new Grammar());
        Expression root = reader.Of(schema, "#");
        reader._grammar.Root = reader._grammar.Add("root", root).Rule;
        return reader._grammar;
    }

    /// <summary>A schema of a call's arguments as a part of a larger grammar: a JSON object, or as in Python <c>name=value</c>, of its own <c>properties</c> alone.</summary>
    /// <exception cref="GrammarException">As <see cref="Read(string)"/>, or it allows something else than objects.</exception>
    internal static RuleReference ReadArguments(Grammar grammar, JsonElement schema, bool isPython = false)
    {
        bool hasMembers = schema.ValueKind == JsonValueKind.Object && (schema.TryGetProperty("properties", out _) || schema.TryGetProperty("additionalProperties", out _));
        bool isObject = schema.ValueKind == JsonValueKind.Object && (schema.TryGetProperty("type", out JsonElement type) ? type.ValueKind == JsonValueKind.String && type.ValueEquals("object") : hasMembers);
        if (!isObject)
        {
            throw Wrong("#/type", "has to be object: arguments are named");
        }

        if (!isPython)
        {
            return hasMembers ? grammar.Add("arguments", new JsonSchemaReader(schema, grammar).Of(schema, "#")) : new JsonText(grammar).Object;
        }

        Refuse(schema, "#", [.. KeywordsOf("object"), "type"]);
        return hasMembers ? grammar.Add("arguments", new JsonSchemaReader(schema, grammar, isPython).NamedOf(schema)) : new JsonText(grammar, isPython).AnyArguments;
    }

    private Expression Of(JsonElement schema, string place)
    {
        if (schema.ValueKind is JsonValueKind.True or JsonValueKind.Undefined)
        {
            return _json.Value;
        }

        if (schema.ValueKind != JsonValueKind.Object)
        {
            throw Wrong(place, $"is {Kind(schema)}; expected an object{(schema.ValueKind == JsonValueKind.False ? ": nothing obeys the schema false" : "")}");
        }

        if (++_depth > MostDepth || _grammar.Rules.Count > MostRules)
        {
            throw new GrammarException($"The schema is nested more than {MostDepth} deep, or has more than {MostRules} parts.");
        }

        Expression expression = OfObject(schema, place);
        _depth--;
        return expression;
    }

    private Expression OfObject(JsonElement schema, string place)
    {
        if (schema.TryGetProperty("$ref", out JsonElement reference))
        {
            Refuse(schema, place, "$ref");
            return Reference(Text(reference, $"{place}/$ref"), place);
        }

        if (schema.TryGetProperty("const", out JsonElement constant))
        {
            Refuse(schema, place, "const", "type");
            return _json.Exactly(constant);
        }

        if (schema.TryGetProperty("enum", out JsonElement values))
        {
            Refuse(schema, place, "enum", "type");
            Expression[] choices = [.. Items(values, $"{place}/enum").Select(_json.Exactly)];
            return choices.Length > 0 ? Expression.Either(choices) : throw Wrong($"{place}/enum", "is empty: nothing obeys it");
        }

        foreach (string union in new[] { "anyOf", "oneOf" })
        {
            if (schema.TryGetProperty(union, out JsonElement alternatives))
            {
                Refuse(schema, place, union, "type");
                Expression[] choices = [.. Items(alternatives, $"{place}/{union}").Select((each, i) => Of(each, $"{place}/{union}/{i}"))];
                return choices.Length > 0 ? Expression.Either(choices) : throw Wrong($"{place}/{union}", "is empty: nothing obeys it");
            }
        }

        if (schema.TryGetProperty("allOf", out JsonElement all))
        {
            return AllOf(schema, all, place);
        }

        string[] types = TypesOf(schema, place);
        return types.Length == 0 ? _json.Value : Expression.Either([.. types.Select(type => OfType(type, schema, place, types))]);
    }

    private Expression OfType(string type, JsonElement schema, string place, string[] types)
    {
        string[] known = [.. types.SelectMany(KeywordsOf), "type", "nullable"];
        Refuse(schema, place, known);
        return type switch
        {
            "string" => StringOf(schema, place),
            "integer" => IntegerOf(schema, place),
            "number" => NumberOf(schema, place),
            "boolean" => Expression.Either(_json.True, _json.False),
            "null" => _json.Null,
            "array" => ArrayOf(schema, place),
            "object" => ObjectOf(schema, place),
            _ => throw Wrong($"{place}/type", $"is {type}; expected string, number, integer, boolean, null, array or object"),
        };
    }

    private static string[] KeywordsOf(string type) => type switch
    {
        "string" => ["minLength", "maxLength", "pattern", "format"],
        "integer" or "number" => ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"],
        "array" => ["items", "prefixItems", "minItems", "maxItems", "additionalItems"],
        "object" => ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
        _ => [],
    };

    /// <summary>The types that a schema allows; found from its other keywords where it does not say.</summary>
    private static string[] TypesOf(JsonElement schema, string place)
    {
        string[] types = [];
        if (schema.TryGetProperty("type", out JsonElement type))
        {
            types = type.ValueKind == JsonValueKind.Array ? [.. Items(type, $"{place}/type").Select((each, i) => Text(each, $"{place}/type/{i}"))] : [Text(type, $"{place}/type")];
            types = types.Length > 0 ? types : throw Wrong($"{place}/type", "is empty: nothing obeys it");
        }
        else
        {
            foreach (string candidate in new[] { "object", "array", "string", "number" })
            {
                if (KeywordsOf(candidate).Any(keyword => keyword != "format" && schema.TryGetProperty(keyword, out _)))
                {
                    types = [candidate];
                    break;
                }
            }

            if (types.Length == 0)
            {
                types = schema.TryGetProperty("format", out _) ? ["string"] : [];
                if (types.Length == 0)
                {
                    Refuse(schema, place);
                }
            }
        }

        bool isNullable = types.Length > 0 && schema.TryGetProperty("nullable", out JsonElement nullable) && nullable.ValueKind == JsonValueKind.True;
        return isNullable && !types.Contains("null") ? [.. types, "null"] : types;
    }

    private Expression StringOf(JsonElement schema, string place)
    {
        int least = Count(schema, "minLength", place) ?? 0;
        int? most = Count(schema, "maxLength", place);
        bool hasPattern = schema.TryGetProperty("pattern", out JsonElement pattern), hasFormat = schema.TryGetProperty("format", out JsonElement format);
        if ((hasPattern ? 1 : 0) + (hasFormat ? 1 : 0) + (least > 0 || most is not null ? 1 : 0) > 1)
        {
            throw Wrong(place, "has more than one of pattern, format and lengths; Kidogo holds a string to one of them. Write the lengths into the pattern");
        }

        if (hasPattern)
        {
            return PatternOf(Text(pattern, $"{place}/pattern"), $"{place}/pattern", isSearch: true);
        }

        if (hasFormat)
        {
            string name = Text(format, $"{place}/format");
            return PatternOf(JsonFormats.PatternOf(name) ?? throw Wrong($"{place}/format", $"is {name}; expected {string.Join(", ", JsonFormats.Names)}"), $"{place}/format", isSearch: false);
        }

        if (most < least)
        {
            throw Wrong($"{place}/maxLength", $"is {most}, below minLength {least}: nothing obeys it");
        }

        return least == 0 && most is null ? _json.String : JsonText.Quoted(_grammar.Add("character", JsonText.Character(CharacterSet.All)).Times(least, most));
    }

    private static Expression PatternOf(string pattern, string place, bool isSearch)
    {
        try
        {
            return JsonText.Quoted(RegexReader.Read(pattern, JsonText.Character, isSearch));
        }
        catch (GrammarException failure)
        {
            throw new GrammarException($"The schema's {place}: {failure.Message}", failure);
        }
    }

    private static Expression IntegerOf(JsonElement schema, string place)
    {
        RefuseMultiples(schema, place, 1);
        (decimal? least, bool excludesLeast) = Lowest(schema, place);
        (decimal? most, bool excludesMost) = Highest(schema, place);
        if (least is null && most is null)
        {
            return JsonText.Integer();
        }

        BigInteger? from = least is { } low ? new BigInteger(decimal.Ceiling(low)) + (excludesLeast && decimal.Ceiling(low) == low ? 1 : 0) : null;
        BigInteger? to = most is { } high ? new BigInteger(decimal.Floor(high)) - (excludesMost && decimal.Floor(high) == high ? 1 : 0) : null;
        return JsonNumberRange.Integers(from, to) ?? throw Wrong(place, $"asks for integers from {from} to {to}: there are none");
    }

    private static Expression NumberOf(JsonElement schema, string place)
    {
        RefuseMultiples(schema, place, null);
        (decimal? least, bool excludesLeast) = Lowest(schema, place);
        (decimal? most, bool excludesMost) = Highest(schema, place);
        return least is null && most is null ? JsonText.Number
            : JsonNumberRange.Decimals(least, most, excludesLeast, excludesMost) ?? throw Wrong(place, $"asks for numbers from {least} to {most}: there are none");
    }

    private static void RefuseMultiples(JsonElement schema, string place, decimal? allowed)
    {
        if (schema.TryGetProperty("multipleOf", out JsonElement multiple) && (allowed is null || Decimal(multiple, $"{place}/multipleOf") != allowed))
        {
            throw Wrong($"{place}/multipleOf", "cannot be enforced");
        }
    }

    private static (decimal? Bound, bool IsExcluded) Lowest(JsonElement schema, string place) => BoundOf(schema, place, "minimum", "exclusiveMinimum", decimal.Max);

    private static (decimal? Bound, bool IsExcluded) Highest(JsonElement schema, string place) => BoundOf(schema, place, "maximum", "exclusiveMaximum", decimal.Min);

    private static (decimal? Bound, bool IsExcluded) BoundOf(JsonElement schema, string place, string name, string exclusive, Func<decimal, decimal, decimal> tighter)
    {
        decimal? bound = schema.TryGetProperty(name, out JsonElement value) ? Decimal(value, $"{place}/{name}") : null;
        if (!schema.TryGetProperty(exclusive, out JsonElement excluded) || excluded.ValueKind == JsonValueKind.False)
        {
            return (bound, false);
        }

        if (excluded.ValueKind == JsonValueKind.True) // as in draft 4
        {
            return (bound, true);
        }

        decimal open = Decimal(excluded, $"{place}/{exclusive}");
        return bound is { } closed && tighter(closed, open) == closed && closed != open ? (closed, false) : (open, true);
    }

    private Expression ArrayOf(JsonElement schema, string place)
    {
        int least = Count(schema, "minItems", place) ?? 0;
        int? most = Count(schema, "maxItems", place);
        if (most < least)
        {
            throw Wrong($"{place}/maxItems", $"is {most}, below minItems {least}: nothing obeys it");
        }

        JsonElement[] first = schema.TryGetProperty("prefixItems", out JsonElement prefix) ? [.. Items(prefix, $"{place}/prefixItems")] : [];
        bool hasRest = schema.TryGetProperty("items", out JsonElement items) && items.ValueKind != JsonValueKind.False;
        bool endsAfterFirst = schema.TryGetProperty("items", out JsonElement none) && none.ValueKind == JsonValueKind.False;
        if (first.Length == 0)
        {
            if (endsAfterFirst)
            {
                return least == 0 ? Expression.Text("[]") : throw Wrong($"{place}/items", "is false, and minItems above 0: nothing obeys it");
            }

            return _json.Braced("[", _json.Listed(_grammar.Add("item", hasRest ? Of(items, $"{place}/items") : _json.Value), least, most), "]");
        }

        // A tuple: all of its first items, then the rest where items says what it is.
        if (most < first.Length || (least > first.Length && !hasRest))
        {
            throw Wrong(place, $"has {first.Length} prefixItems, minItems {least} and maxItems {most}; expected as many items as prefixItems, and more only with items");
        }

        List<Expression> parts = [];
        for (int i = 0; i < first.Length; i++)
        {
            parts.Add(i == 0 ? Expression.Empty : Expression.Then(Expression.Text(","), _json.Space));
            parts.Add(Of(first[i], $"{place}/prefixItems/{i}"));
        }

        if (hasRest)
        {
            parts.Add(Expression.Then(Expression.Text(","), _json.Space, _grammar.Add("item", Of(items, $"{place}/items"))).Times(Math.Max(0, least - first.Length), most - first.Length));
        }

        return _json.Braced("[", Expression.Then([.. parts]), "]");
    }

    private Expression ObjectOf(JsonElement schema, string place)
    {
        (List<(string Name, JsonElement Schema)> properties, bool[] isRequired, bool allowsMore, JsonElement more) = MembersOf(schema, place);
        if (properties.Count == 0)
        {
            return !allowsMore ? Expression.Text("{}") : more.ValueKind == JsonValueKind.Object
                ? _json.Braced("{", _json.Listed(_json.Member(_json.String, Of(more, $"{place}/additionalProperties")), 0, null), "}")
                : _json.Object;
        }

        Expression? another = !allowsMore ? null : _json.Member(OtherNames(properties), more.ValueKind == JsonValueKind.Object ? Of(more, $"{place}/additionalProperties") : _json.Value);
        Expression[] members = [.. properties.Select(property => (Expression)_grammar.Add(property.Name, _json.Member(JsonText.Exactly(property.Name), Of(property.Schema, $"{place}/properties/{property.Name}"))))];
        return _json.Braced("{", Members(members, isRequired, another), "}");
    }

    /// <summary>Arguments of a call in Python. Where a schema allows others than its own, there are none: a call without them always obeys.</summary>
    private Expression NamedOf(JsonElement schema)
    {
        (List<(string Name, JsonElement Schema)> properties, bool[] isRequired, bool allowsMore, _) = MembersOf(schema, "#");
        if (properties.Count == 0 && allowsMore)
        {
            return _json.AnyArguments;
        }

        string? unnamable = properties.Select(property => property.Name).FirstOrDefault(name => name.Length == 0 || char.IsAsciiDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'));
        if (unnamable is not null)
        {
            throw Wrong("#/properties", $"names {unnamable}, and this model writes calls as Python, where a name has letters, digits and underscores");
        }

        Expression Named(string name, JsonElement value) => _grammar.Add(name, Expression.Then(Expression.Text($"{name}="), Of(value, $"#/properties/{name}")));
        return Members([.. properties.Select(property => Named(property.Name, property.Schema))], isRequired, null);
    }

    /// <summary>The members that an object may have, whether each has to be there, and whether, and of what schema, there may be others.</summary>
    private static (List<(string Name, JsonElement Schema)> Properties, bool[] IsRequired, bool AllowsMore, JsonElement More) MembersOf(JsonElement schema, string place)
    {
        foreach (string count in new[] { "minProperties", "maxProperties" })
        {
            if (schema.TryGetProperty(count, out _))
            {
                throw Wrong($"{place}/{count}", "cannot be enforced; say which members are required");
            }
        }

        List<(string Name, JsonElement Schema)> properties = [];
        if (schema.TryGetProperty("properties", out JsonElement declared))
        {
            if (declared.ValueKind != JsonValueKind.Object)
            {
                throw Wrong($"{place}/properties", $"is {Kind(declared)}; expected an object");
            }

            properties.AddRange(declared.EnumerateObject().Select(property => (property.Name, property.Value)));
        }

        HashSet<string> required = schema.TryGetProperty("required", out JsonElement names)
            ? [.. Items(names, $"{place}/required").Select((name, i) => Text(name, $"{place}/required/{i}"))] : [];
        bool saysMore = schema.TryGetProperty("additionalProperties", out JsonElement more);
        bool allowsMore = saysMore ? more.ValueKind != JsonValueKind.False : properties.Count == 0;
        foreach (string name in required.Where(name => properties.All(property => property.Name != name)))
        {
            properties.Add(allowsMore || !saysMore ? (name, default) : throw Wrong($"{place}/required", $"names {name}, which is none of the properties, and there are no others"));
        }

        return (properties, [.. properties.Select(property => required.Contains(property.Name))], allowsMore, more);
    }

    /// <summary>Members in their order, those that are not required or not: a rule for what follows each, with or without one before it.</summary>
    private Expression Members(Expression[] members, bool[] isRequired, Expression? another)
    {
        Expression comma = Expression.Then(Expression.Text(","), _json.Space);
        Expression afterOne = another is null ? Expression.Empty : Expression.Then(comma, another).Times(0);
        Expression afterNone = another is null ? Expression.Empty : _json.Listed(another, 0, null);
        for (int i = members.Length - 1; i >= 0; i--)
        {
            Expression first = Expression.Then(members[i], afterOne), later = Expression.Then(comma, members[i], afterOne);
            Expression none = isRequired[i] ? first : Expression.Either(first, afterNone), one = isRequired[i] ? later : Expression.Either(later, afterOne);
            (afterNone, afterOne) = (_grammar.Add($"from {i}", none), _grammar.Add($"after {i}", one));
        }

        return afterNone;
    }

    /// <summary>Names that are none of the declared: a tree of their characters, left where they part.</summary>
    private Expression OtherNames(List<(string Name, JsonElement Schema)> properties) => JsonText.Quoted(Others([.. properties.Select(property => property.Name)]));

    private Expression Others(string[] names)
    {
        if (++_depth > MostDepth * 4)
        {
            throw new GrammarException($"A name of a member has more than {MostDepth * 4} characters, which cannot be told from others.");
        }

        Expression any = JsonText.Character(CharacterSet.All).Times(0);
        List<Expression> choices = [];
        List<(int, int)> taken = [];
        foreach (IGrouping<int, string> group in names.Where(name => name.Length > 0).GroupBy(name => char.ConvertToUtf32(name, 0)))
        {
            taken.Add((group.Key, group.Key));
            string[] rests = [.. group.Select(name => name[(group.Key > char.MaxValue ? 2 : 1)..])];
            choices.Add(Expression.Then(JsonText.Character(CharacterSet.Of((group.Key, group.Key))), _grammar.Add("other", Others(rests))));
        }

        choices.Add(Expression.Then(JsonText.Character(CharacterSet.All.Except(CharacterSet.Of([.. taken]))), any));
        if (!names.Contains(""))
        {
            choices.Add(Expression.Empty);
        }

        _depth--;
        return Expression.Either([.. choices]);
    }

    private Expression AllOf(JsonElement schema, JsonElement all, string place)
    {
        JsonElement[] parts = [.. Items(all, $"{place}/allOf")];
        Refuse(schema, place, "allOf", "type", "properties", "required", "additionalProperties");
        bool isAlone = parts.Length == 1 && !schema.TryGetProperty("properties", out _);
        if (isAlone)
        {
            return Of(parts[0], $"{place}/allOf/0");
        }

        // Objects join to one: all their properties and all that is required.
        using MemoryStream bytes = new();
        using (Utf8JsonWriter writer = new(bytes))
        {
            List<JsonElement> sources = [schema, .. parts.Select((part, i) => Resolved(part, $"{place}/allOf/{i}"))];
            writer.WriteStartObject();
            writer.WriteString("type", "object");
            writer.WriteStartObject("properties");
            HashSet<string> seen = new(StringComparer.Ordinal);
            foreach (JsonProperty property in sources.SelectMany(source => source.TryGetProperty("properties", out JsonElement own) && own.ValueKind == JsonValueKind.Object ? own.EnumerateObject().ToArray() : []))
            {
                if (!seen.Add(property.Name))
                {
                    throw Wrong($"{place}/allOf", $"says two things of the property {property.Name}, which cannot be joined");
                }

                property.WriteTo(writer);
            }

            writer.WriteEndObject();
            writer.WriteStartArray("required");
            foreach (JsonElement name in sources.SelectMany(source => source.TryGetProperty("required", out JsonElement own) ? Items(own, place) : []))
            {
                name.WriteTo(writer);
            }

            writer.WriteEndArray();
            writer.WriteBoolean("additionalProperties", false);
            writer.WriteEndObject();
        }

        using JsonDocument joined = JsonDocument.Parse(bytes.ToArray());
        return Of(joined.RootElement.Clone(), place);
    }

    private JsonElement Resolved(JsonElement part, string place)
    {
        if (part.ValueKind == JsonValueKind.Object && part.TryGetProperty("$ref", out JsonElement reference))
        {
            part = Find(Text(reference, place), place);
        }

        if (part.ValueKind != JsonValueKind.Object)
        {
            throw Wrong(place, $"is {Kind(part)}; expected a schema of an object");
        }

        Refuse(part, place, "type", "properties", "required", "additionalProperties");
        return part;
    }

    private RuleReference Reference(string pointer, string place)
    {
        if (!_references.TryGetValue(pointer, out RuleReference? rule))
        {
            JsonElement target = Find(pointer, place);
            _references.Add(pointer, rule = new RuleReference(_grammar.Declare(pointer)));
            _grammar.Define(rule.Rule, Of(target, pointer));
        }

        return rule;
    }

    /// <summary>What a pointer within the schema points to (RFC 6901).</summary>
    private JsonElement Find(string pointer, string place)
    {
        if (!pointer.StartsWith('#'))
        {
            throw Wrong($"{place}/$ref", $"is {pointer}; expected a place within the schema, such as #/$defs/name: nothing is fetched from elsewhere");
        }

        JsonElement at = _root;
        foreach (string step in pointer[1..].Split('/', StringSplitOptions.RemoveEmptyEntries).Select(step => Uri.UnescapeDataString(step).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)))
        {
            bool found = at.ValueKind == JsonValueKind.Object ? at.TryGetProperty(step, out at)
                : at.ValueKind == JsonValueKind.Array && int.TryParse(step, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < at.GetArrayLength() && (at = at[index]).ValueKind != JsonValueKind.Undefined;
            if (!found)
            {
                throw Wrong($"{place}/$ref", $"is {pointer}, which the schema does not have");
            }
        }

        return at;
    }

    /// <summary>Refuses keywords that would have to be enforced and are not.</summary>
    private static void Refuse(JsonElement schema, string place, params ReadOnlySpan<string> known)
    {
        foreach (JsonProperty property in schema.EnumerateObject())
        {
            if (!known.Contains(property.Name) && !s_descriptions.Contains(property.Name))
            {
                throw Wrong($"{place}/{property.Name}", "cannot be enforced here");
            }
        }
    }

    private static int? Count(JsonElement schema, string name, string place) =>
        !schema.TryGetProperty(name, out JsonElement value) ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count) && count >= 0 ? count
        : throw Wrong($"{place}/{name}", $"is {value}; expected a number from 0 on");

    private static decimal Decimal(JsonElement value, string place) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal number) && Math.Abs(number) < 1e18m ? number
        : throw Wrong(place, $"is {value}; expected a number of at most 18 digits");

    private static string Text(JsonElement value, string place) => value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(place, $"is {Kind(value)}; expected a string");

    private static JsonElement.ArrayEnumerator Items(JsonElement list, string place) => list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : throw Wrong(place, $"is {Kind(list)}; expected an array");

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
        JsonValueKind.Null => "null",
        JsonValueKind.Undefined => "absent",
        _ => $"of the kind {value.ValueKind}",
    };

    private static GrammarException Wrong(string place, string problem) => new($"The schema's {place} {problem}.");
}
