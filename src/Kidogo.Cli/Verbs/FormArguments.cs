// The options that hold an answer to a form: one line each. Knows their names, not how forms are kept.
using System.CommandLine;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Inference.Constraints;
using Kidogo.Models;
using Kidogo.Text;

namespace Kidogo.Cli.Verbs;

/// <summary>Declares <c>--json-schema</c>, <c>--grammar</c> and <c>--regex</c>, and reads them.</summary>
internal sealed class FormArguments
{
    private const long MostBytes = 1 << 20;

    private readonly Option<string?> _schema = Opt.Text("--json-schema", "FILE|JSON", "Answer with JSON that obeys this schema: a file, or the schema itself, such as {} for any JSON");
    private readonly Option<string?> _grammar = Opt.Text("--grammar", "FILE", "Answer with a text of this grammar, in GBNF");
    private readonly Option<string?> _regex = Opt.Text("--regex", "PATTERN", "Answer with a text that this regular expression matches as a whole");

    /// <summary>Adds the options to a verb.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_schema);
        command.Options.Add(_grammar);
        command.Options.Add(_regex);
    }

    /// <summary>The form that answers are held to; null for none.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="text">The model's words.</param>
    /// <param name="endTokens">Ids that end an answer beside the vocabulary's own.</param>
    /// <exception cref="UsageException">Two were given, or the model has no words.</exception>
    /// <exception cref="FailureException">The form cannot be used.</exception>
    public TokenGrammar? Read(ParseResult parsed, ModelText text, IReadOnlyList<int> endTokens)
    {
        (Option<string?> Option, Func<AnswerGrammars, string, TokenGrammar> Make)[] forms =
        [
            (_schema, (grammars, given) => grammars.OfSchema(Schema(given))),
            (_grammar, (grammars, given) => grammars.OfGrammar(System.Text.Encoding.UTF8.GetString(InputFile.ReadAll(given, MostBytes)).TrimStart('\uFEFF'))),
            (_regex, (grammars, given) => grammars.OfPattern(given)),
        ];
        forms = [.. forms.Where(form => parsed.GetValue(form.Option) is not null)];
        if (forms.Length > 1)
        {
            throw new UsageException($"{forms[0].Option.Name} and {forms[1].Option.Name} exclude each other; give one of them.");
        }

        if (forms.Length == 0)
        {
            return null;
        }

        if (!text.HasTokenizer)
        {
            throw new UsageException($"{forms[0].Option.Name} holds a text to a form, and the model has no tokenizer: its answer is ids.");
        }

        try
        {
            return forms[0].Make(new AnswerGrammars(text.Tokenizer, endTokens), parsed.GetValue(forms[0].Option)!);
        }
        catch (GrammarException failure)
        {
            throw new FailureException($"{forms[0].Option.Name} cannot be used. {failure.Message}");
        }
    }

    /// <summary>A schema is JSON where it begins like an object, else a file.</summary>
    private static JsonElement Schema(string given)
    {
        if (!given.TrimStart().StartsWith('{'))
        {
            return JsonFile.Read(given);
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(given);
            return document.RootElement.Clone();
        }
        catch (JsonException failure)
        {
            throw new UsageException($"--json-schema is no JSON: {JsonProblem.Of(failure)}.");
        }
    }
}
