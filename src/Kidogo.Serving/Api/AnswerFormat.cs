// The fields that hold an answer to a form: JSON, a schema, a pattern, a grammar. Knows no model but its vocabulary.
using System.Text.Json;
using Kidogo.Inference.Constraints;

namespace Kidogo.Serving.Api;

/// <summary>What an answer is held to, as a request says.</summary>
/// <param name="Field">The field that says so.</param>
/// <param name="Form">The form.</param>
internal sealed record AskedForm(string Field, AnswerForm Form)
{
    /// <summary>What the answer is for, in words that the model reads; null for none.</summary>
    public string? Description { get; init; }

    /// <summary>The form for a model's tokens.</summary>
    /// <param name="model">Who answers.</param>
    /// <exception cref="ApiException">It cannot be enforced.</exception>
    public TokenGrammar For(ServedModel model)
    {
        try
        {
            return model.Grammars.Of(Form);
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
    public static AskedForm? Read(RequestFields fields, bool isChat)
    {
        List<AskedForm> asked = [];
        if (isChat && fields.Object(Format) is { } format && OfResponseFormat(format) is { } form)
        {
            asked.Add(form);
        }

        if (fields.Element("json_schema") is { } schema)
        {
            asked.Add(new AskedForm("json_schema", AnswerForm.Schema(schema)));
        }

        if (fields.Text("grammar") is { } grammar)
        {
            asked.Add(new AskedForm("grammar", AnswerForm.Gbnf(grammar)));
        }

        if (fields.Text("regex") is { } pattern)
        {
            asked.Add(new AskedForm("regex", AnswerForm.Pattern(pattern)));
        }

        return asked.Count <= 1
            ? asked.FirstOrDefault()
            : throw ApiException.Field(asked[1].Field, $"`{asked[0].Field}` and `{asked[1].Field}` exclude each other; give one of them.", "invalid_value");
    }

    /// <summary>Reads <c>format</c> of the Responses API's <c>text</c>.</summary>
    public static AskedForm? ReadText(RequestFields text)
    {
        if (text.Object("format") is not { } format)
        {
            return null;
        }

        string type = TypeOf(format);
        (JsonElement? schema, string? description) = type == "json_schema" ? Described(format) : (null, null);
        if (type == "json_schema" && schema is null)
        {
            throw format.Missing("schema", "an object: a JSON schema");
        }

        format.RejectUnknown();
        return type == "text" ? null : new AskedForm(format.PathOf(schema is null ? "type" : "schema"), FormOf(schema)) { Description = description };
    }

    private static AskedForm? OfResponseFormat(RequestFields format)
    {
        JsonElement? schema = null;
        string? description = null;
        string type = TypeOf(format);
        if (type == "json_object")
        {
            schema = format.Element("schema"); // as llama.cpp has it
        }
        else if (type == "json_schema")
        {
            RequestFields described = format.Object("json_schema") ?? throw format.Missing("json_schema", "an object with a name and a schema");
            (schema, description) = Described(described);
            described.RejectUnknown();
        }

        format.RejectUnknown();
        return type == "text" ? null : new AskedForm(Format, FormOf(schema)) { Description = description };
    }

    private static AnswerForm FormOf(JsonElement? schema) => schema is { } told ? AnswerForm.Schema(told) : AnswerForm.AnyObject;

    private static string TypeOf(RequestFields format)
    {
        string type = format.RequiredText("type");
        return type is "text" or "json_object" or "json_schema" ? type : throw ApiException.Field(format.PathOf("type"), $"`{format.PathOf("type")}` has to be text, json_object or json_schema.", "invalid_value");
    }

    /// <summary>A schema with its name, and what it describes.</summary>
    private static (JsonElement? Schema, string? Description) Described(RequestFields described)
    {
        described.Text("name");
        described.Flag("strict"); // answers always obey
        return (described.Element("schema"), described.Text("description"));
    }
}
