// The fields that hold an answer to a form: JSON, a schema, a pattern, a grammar. Knows no model but its vocabulary.
using System.Text.Json;
using Kidogo.Inference.Constraints;

namespace Kidogo.Serving.Api;

/// <summary>Reads <c>response_format</c> as OpenAI has it, and <c>json_schema</c>, <c>grammar</c> (GBNF) as llama.cpp has them, and <c>regex</c>.</summary>
internal static class AnswerFormat
{
    /// <summary>The form that is asked for; null for none.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="model">Who answers.</param>
    /// <param name="isChat">Whether <c>response_format</c> is one of the request's fields.</param>
    public static TokenGrammar? Read(RequestFields fields, ServedModel model, bool isChat)
    {
        List<(string Field, Func<TokenGrammar> Make)> asked = [];
        if (isChat && OfResponseFormat(fields, model) is { } format)
        {
            asked.Add(format);
        }

        if (fields.Element("json_schema") is { } schema)
        {
            asked.Add(("json_schema", () => model.Grammars.OfSchema(schema)));
        }

        if (fields.Text("grammar") is { } grammar)
        {
            asked.Add(("grammar", () => model.Grammars.OfGrammar(grammar)));
        }

        if (fields.Text("regex") is { } pattern)
        {
            asked.Add(("regex", () => model.Grammars.OfPattern(pattern)));
        }

        if (asked.Count > 1)
        {
            throw ApiException.Field(asked[1].Field, $"`{asked[0].Field}` and `{asked[1].Field}` exclude each other; give one of them.", "invalid_value");
        }

        try
        {
            return asked.Count == 0 ? null : asked[0].Make();
        }
        catch (GrammarException failure)
        {
            throw ApiException.Field(asked[0].Field, $"`{asked[0].Field}` cannot be used. {failure.Message}", "invalid_value");
        }
    }

    /// <summary>Reads <c>format</c> of the Responses API's <c>text</c>.</summary>
    public static TokenGrammar? ReadText(RequestFields text, ServedModel model)
    {
        if (text.Object("format") is not { } format)
        {
            return null;
        }

        string type = format.RequiredText("type");
        if (type is not ("text" or "json_object" or "json_schema"))
        {
            throw ApiException.Field(format.PathOf("type"), $"`{format.PathOf("type")}` has to be text, json_object or json_schema.", "invalid_value");
        }

        JsonElement? schema = type == "json_schema" ? Described(format, isRequired: true) : null;
        format.RejectUnknown();
        try
        {
            return type == "text" ? null : schema is { } told ? model.Grammars.OfSchema(told) : model.Grammars.OfAnyObject();
        }
        catch (GrammarException failure)
        {
            throw ApiException.Field(format.PathOf("schema"), $"`{format.PathOf("schema")}` cannot be used. {failure.Message}", "invalid_value");
        }
    }

    /// <summary>A schema with its name.</summary>
    private static JsonElement? Described(RequestFields described, bool isRequired)
    {
        described.Text("name");
        described.Text("description");
        described.Flag("strict"); // answers always obey
        return described.Element("schema") ?? (isRequired ? throw described.Missing("schema", "an object: a JSON schema") : null);
    }

    private static (string Field, Func<TokenGrammar> Make)? OfResponseFormat(RequestFields fields, ServedModel model)
    {
        const string Name = "response_format";
        if (fields.Object(Name) is not { } format)
        {
            return null;
        }

        string type = format.RequiredText("type");
        switch (type)
        {
            case "text":
                format.RejectUnknown();
                return null;
            case "json_object":
                JsonElement? loose = format.Element("schema"); // as llama.cpp has it
                format.RejectUnknown();
                return (Name, () => loose is { } given ? model.Grammars.OfSchema(given) : model.Grammars.OfAnyObject());
            case "json_schema":
                RequestFields described = format.Object("json_schema") ?? throw format.Missing("json_schema", "an object with a name and a schema");
                JsonElement? schema = Described(described, isRequired: false);
                described.RejectUnknown();
                format.RejectUnknown();
                return (Name, () => schema is { } told ? model.Grammars.OfSchema(told) : model.Grammars.OfAnyObject());
            default:
                throw ApiException.Field(format.PathOf("type"), $"`{format.PathOf("type")}` has to be text, json_object or json_schema.", "invalid_value");
        }
    }
}
