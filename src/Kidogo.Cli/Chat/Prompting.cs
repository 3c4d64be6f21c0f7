// How prompts become ids in this run: with a template, raw, or given as ids. Knows no sampling and no terminal.
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Cli.Verbs;
using Kidogo.Inference;
using Kidogo.Models;
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Cli.Chat;

/// <summary>Builds prompts.</summary>
internal sealed class Prompting
{
    private readonly DecoderConfig _config;
    private readonly bool _special;
    private ChatPrompt? _oneShot;

    private Prompting(ModelText text, ChatPrompter? chat, bool special, DecoderConfig config)
    {
        Text = text;
        Chat = chat;
        _special = special;
        _config = config;
    }

    /// <summary>The model's words.</summary>
    public ModelText Text { get; }

    /// <summary>Renders conversations; null where prompts are continued as they are.</summary>
    public ChatPrompter? Chat { get; }

    /// <summary>Decides how, and says where the model leaves no choice.</summary>
    public static Prompting Create(Session session, RunOptions options, ModelHeader header, bool chats)
    {
        ModelText text = ModelText.Of(header);
        ChatTemplate? template = options.Raw || options.IdsFile is not null ? null : ModelChoice.Template(options.ChatTemplate, text);
        if (template is null && options.ChatTemplate is not null)
        {
            ModelChoice.Template(options.ChatTemplate, text); // a name that does not exist is a mistake all the same
            session.Warn($"--chat-template has no effect with {(options.Raw ? "--raw" : "--ids")}: the prompt is continued as it is.");
        }

        if (template is null && !options.Raw && options.IdsFile is null)
        {
            string advice = $"--chat-template NAME gives it one ({string.Join(", ", ChatTemplate.BuiltInNames)}), --raw says that this is meant.";
            if (options.System is not null)
            {
                throw new FailureException($"The model has no chat template, so --system has no place. {advice}");
            }

            session.Warn($"The model has no chat template: {(chats ? "each input" : "the prompt")} is continued as it is. {advice}");
        }

        foreach (string warning in text.HasTokenizer ? text.Tokenizer.Warnings : [])
        {
            session.Warn(warning);
        }

        ChatPrompter? chat = template is null ? null : new ChatPrompter(text, template);
        if (options.Think is { } on && chat?.SwitchThinking(on) != true)
        {
            session.Warn("--think has no effect: the chat template has no switch for reasoning.");
        }

        return new Prompting(text, chat, options.Special, header.Config);
    }

    /// <summary>The prompt of a run that answers once.</summary>
    public ChatPrompt OneShot(RunOptions options)
    {
        if (_oneShot is null && options.IdsFile is not null)
        {
            int context = options.Context ?? _config.LongestSequence;
            _oneShot = new ChatPrompt(IdFile.ReadAll(options.IdsFile, _config.VocabSize, context, "which are all that the context holds. Shorten the prompt."), null, false);
        }
        else if (_oneShot is null)
        {
            List<ChatMessage> messages = options.System is null ? [] : [new ChatMessage("system", options.System)];
            int most = ChatTemplateLimits.Default.MaxOutputBytes;
            if (Chat is not null && System.Text.Encoding.UTF8.GetByteCount(options.Prompt!) is var size && size > most)
            {
                throw new FailureException($"The prompt is too long: it has {size} bytes, and a conversation may have {most}. Shorten it, or give it with --raw.");
            }

            _oneShot = Chat is null ? Raw(options.Prompt!) : Chat.Build([.. messages.Append(new ChatMessage("user", options.Prompt!)).Select(message => message.ToJson())]);
        }

        if (_oneShot.Ids.Count == 0 && Chat is not null)
        {
            throw new FailureException("The chat template renders nothing, so the prompt has no tokens. Name another: --chat-template NAME|FILE, or --raw for none.");
        }

        return _oneShot.Ids.Count > 0 ? _oneShot : throw new FailureException($"The prompt has no tokens{(options.IdsFile is null ? "" : $": {options.IdsFile} holds no ids")}. Give at least one.");
    }

    /// <summary>The prompt of a text that is continued as it is.</summary>
    public ChatPrompt Raw(string text) => new(Text.Tokenizer.Encode(text, addSpecial: true, parseSpecial: _special), null, false);

    /// <summary>The prompt of a conversation; with <paramref name="limit"/> the oldest turns go where it does not fit.</summary>
    public ChatPrompt Of(IReadOnlyList<JsonElement> messages, int? limit) => limit is { } most ? Chat!.BuildWithin(messages, most) : Chat!.Build(messages);
}
