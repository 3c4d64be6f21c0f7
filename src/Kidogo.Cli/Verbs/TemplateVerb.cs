// kidogo template: a conversation as the model will see it.
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Models;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Cli.Verbs;

internal static class TemplateVerb
{
    private sealed record Options(string Model, string Messages, string? Tools, string? Variables, bool AddGenerationPrompt, string? Now, string? Template);

    public static Command Create(Session session)
    {
        Argument<string> model = new("MODEL|FILE.jinja") { Description = "A model, whose own template is rendered, or a template in a .jinja file" };
        Option<string> messages = Opt.RequiredFile("--messages", "The conversation: a JSON array of messages with role and content");
        Option<string?> tools = Opt.Text("--tools", "FILE", "The tools: a JSON array of function descriptions");
        Option<string?> variables = Opt.Text("--variables", "FILE", "Further variables: a JSON object");
        Option<bool> prompt = Opt.Flag("--add-generation-prompt", "End with the opening of the assistant's turn");
        Option<string?> now = Opt.Text("--now", "DATE", "The date and time for templates that ask, such as 2026-11-22 (default: now)");
        Option<string?> template = Opt.ChatTemplate();
        Command command = new("template", "Render a chat template") { model, messages, tools, variables, prompt, now, template };
        command.SetAction(parsed => Run(session, new Options(
            parsed.GetRequiredValue(model), parsed.GetRequiredValue(messages), parsed.GetValue(tools), parsed.GetValue(variables), parsed.GetValue(prompt), parsed.GetValue(now), parsed.GetValue(template))));
        return command;
    }

    private static int Run(Session session, Options options)
    {
        bool isTemplate = options.Model.EndsWith(".jinja", StringComparison.OrdinalIgnoreCase) && !Directory.Exists(options.Model);
        using ModelText? text = isTemplate ? null : ModelChoice.OpenText(options.Model);
        ChatTemplate template = isTemplate && options.Template is null
            ? ModelChoice.ParseFile(InputFile.Existing(options.Model))
            : ModelChoice.Template(options.Template, text) ?? throw new FailureException($"{options.Model} has no chat template. Name one: --chat-template NAME|FILE ({string.Join(", ", ChatTemplate.BuiltInNames)}).");
        IReadOnlyList<JsonElement> messages = JsonFile.ReadMessages(options.Messages);
        ChatTemplateInput input = (text?.Input(messages, options.AddGenerationPrompt) ?? new ChatTemplateInput { Messages = messages, AddGenerationPrompt = options.AddGenerationPrompt }) with
        {
            Tools = options.Tools is null ? null : JsonFile.Read(options.Tools),
            Variables = options.Variables is null ? new Dictionary<string, JsonElement>() : JsonFile.ReadObject(options.Variables),
            Now = options.Now is null ? null : Time(options.Now),
        };
        try
        {
            session.Output.Write(template.Render(input).Text);
        }
        catch (ChatTemplateException failure) when (isTemplate && options.Template is null)
        {
            throw new FailureException($"{options.Model}: {failure.Message}");
        }

        return ExitCode.Done;
    }

    private static DateTimeOffset Time(string text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
            ? time
            : throw new UsageException($"--now is \"{text}\"; it has to be a date such as 2026-11-22, or with a time 2026-11-22T09:30:00.");
}
