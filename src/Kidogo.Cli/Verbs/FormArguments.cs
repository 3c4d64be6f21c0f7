// The options that hold an answer to a form: one line each. Knows their names, not how forms are kept.
using System.CommandLine;
using System.Text.Json;
using Kidogo.Cli.Chat;
using Kidogo.Cli.Shell;
using Kidogo.Inference.Constraints;
using Kidogo.Text;
using Kidogo.Text.Tokenizers;

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

    /// <summary>What answers are held to; null for nothing.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="prompting">The model's words, and its template.</param>
    /// <param name="endTokens">Ids that end an answer beside the vocabulary's own.</param>
    /// <exception cref="UsageException">Two were given, or the model has no words.</exception>
    /// <exception cref="FailureException">The form cannot be used.</exception>
    public HeldForm? Read(ParseResult parsed, Prompting prompting, IReadOnlyList<int> endTokens)
    {
        (Option<string?> Option, Func<string, AnswerForm> Read)[] forms =
        [
            (_schema, given => AnswerForm.Schema(Schema(given))),
            (_grammar, given => AnswerForm.Gbnf(System.Text.Encoding.UTF8.GetString(InputFile.ReadAll(given, MostBytes)).TrimStart('\uFEFF'))),
            (_regex, AnswerForm.Pattern),
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

        if (!prompting.Text.HasTokenizer)
        {
            throw new UsageException($"{forms[0].Option.Name} holds a text to a form, and the model has no tokenizer: its answer is ids.");
        }

        Tokenizer tokenizer = prompting.Text.Tokenizer;
        AnswerGrammars grammars = new(tokenizer, endTokens, [.. prompting.Chat?.Template.ReasoningTags?.Ids(tokenizer) ?? []]);
        HeldForm form = new(forms[0].Option.Name, grammars, forms[0].Read(parsed.GetValue(forms[0].Option)!));
        form.After(null); // what cannot be used is told before the model is loaded
        return form;
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

/// <summary>What answers are held to.</summary>
/// <param name="option">The option that says so.</param>
/// <param name="grammars">Makes grammars of the model's vocabulary.</param>
/// <param name="form">The form.</param>
internal sealed class HeldForm(string option, AnswerGrammars grammars, AnswerForm form)
{
    /// <summary>The form of an answer.</summary>
    /// <param name="reasoningClose">What closes reasoning that the prompt has opened, which comes first; null where it has not.</param>
    /// <exception cref="UsageException">The form cannot be used.</exception>
    public TokenGrammar After(string? reasoningClose)
    {
        try
        {
            return grammars.Of(form.After(reasoningClose));
        }
        catch (GrammarException failure)
        {
            throw new UsageException($"{option}: {failure.Message}");
        }
    }
}
