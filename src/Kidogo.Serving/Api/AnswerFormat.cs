// The fields that hold an answer to a form: JSON, a schema, a pattern, a grammar. Knows no model but its vocabulary.
using System.Text.Json;
using Kidogo.Inference.Constraints;

namespace Kidogo.Serving.Api;

/// <summary>What an answer is held to.</summary>
/// <param name="Field">The field that says so.</param>
/// <param name="Key">What tells it from other forms.</param>
/// <param name="Read">Makes the grammar.</param>
internal sealed record AnswerForm(string Field, string Key, Func<Grammar> Read)
{
    /// <summary>The form for a model's tokens.</summary>
    /// <param name="model">Who answers.</param>
    /// <param name="reasoning">What closes reasoning that the prompt has opened, which comes first; null where it has not.</param>
    /// <exception cref="ApiException">It cannot be enforced.</exception>
    public TokenGrammar For(ServedModel model, string? reasoning)
    {
        try
        {
            return reasoning is null ? model.Grammars.Of(Key, Read) : model.Grammars.OfMarked($"{reasoning}\n{Key}", model.Hosted.Markers, () => CallGrammar.AfterReasoning(reasoning, Read()));
        }
        catch (GrammarException failure)
        {
            throw ApiException.Field(Field, $"`{Field}` cannot be used. {failure.Message}", "invalid_value");
        }
    }
}

/// <summary>Reads <c>response_format</c> as OpenAI has it, and <c>json_schema</c>, <c>grammar</c> (GBNF) as llama.cpp has them, and <c>regex</c>.</summary>
internal static class AnswerFormat
{
    private const string Format = "response_format";

    /// <summary>The form that is asked for; null for none.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="isChat">Whether <c>response_format</c> is one of the request's fields.</param>
    public static AnswerForm? Read(RequestFields fields, bool isChat)
    {
        List<AnswerForm> asked = [];
        if (isChat && fields.Object(Format) is { } format && OfResponseFormat(format) is { } form)
        {
            asked.Add(form);
        }

        if (fields.Element("json_schema") is { } schema)
        {
            asked.Add(OfSchema("json_schema", schema));
        }

        if (fields.Text("grammar") is { } grammar)
        {
            asked.Add(new AnswerForm("grammar", $"grammar {grammar}", () => GbnfReader.Read(grammar)));
        }

        if (fields.Text("regex") is { } pattern)
        {
            asked.Add(new AnswerForm("regex", $"pattern {pattern}", () => RegexReader.Read(pattern)));
        }

        return asked.Count <= 1
            ? asked.FirstOrDefault()
            : throw ApiException.Field(asked[1].Field, $"`{asked[0].Field}` and `{asked[1].Field}` exclude each other; give one of them.", "invalid_value");
    }

    /// <summary>Reads <c>format</c> of the Responses API's <c>text</c>.</summary>
    public static AnswerForm? ReadText(RequestFields text)
    {
        if (text.Object("format") is not { } format)
        {
            return null;
        }

        string type = TypeOf(format);
        JsonElement? schema = type == "json_schema" ? Described(format) ?? throw format.Missing("schema", "an object: a JSON schema") : null;
        format.RejectUnknown();
        return type == "text" ? null : schema is { } told ? OfSchema(format.PathOf("schema"), told) : AnyObject(format.PathOf("type"));
    }

    private static AnswerForm? OfResponseFormat(RequestFields format)
    {
        JsonElement? schema = null;
        string type = TypeOf(format);
        if (type == "json_object")
        {
            schema = format.Element("schema"); // as llama.cpp has it
        }
        else if (type == "json_schema")
        {
            RequestFields described = format.Object("json_schema") ?? throw format.Missing("json_schema", "an object with a name and a schema");
            schema = Described(described);
            described.RejectUnknown();
        }

        format.RejectUnknown();
        return type == "text" ? null : schema is { } told ? OfSchema(Format, told) : AnyObject(Format);
    }

    private static string TypeOf(RequestFields format)
    {
        string type = format.RequiredText("type");
        return type is "text" or "json_object" or "json_schema" ? type : throw ApiException.Field(format.PathOf("type"), $"`{format.PathOf("type")}` has to be text, json_object or json_schema.", "invalid_value");
    }

    /// <summary>A schema with its name.</summary>
    private static JsonElement? Described(RequestFields described)
    {
        described.Text("name");
        described.Text("description");
        described.Flag("strict"); // answers always obey
        return described.Element("schema");
    }

    private static AnswerForm OfSchema(string field, JsonElement schema)
    {
        string text = schema.GetRawText();
        return new AnswerForm(field, $"schema {text}", () => JsonSchemaReader.Read(text));
    }

    private static AnswerForm AnyObject(string field) => new(field, "object", JsonSchemaReader.AnyObject);
}
