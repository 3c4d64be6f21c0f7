// A chat in a terminal: reads, answers, obeys commands. Knows no model and no tokens.
using Kidogo.Cli.Shell;
using Kidogo.Cli.Verbs;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Text.ChatTemplates;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Cli.Chat;

/// <summary>The chat of <c>kidogo run</c>.</summary>
internal sealed class ChatLoop(Session session, Answerer answerer, Prompting prompting, RunOptions options)
{
    private static readonly (string Name, string Help)[] s_commands =
    [
        ("/help", "this list"),
        ("/system TEXT", "what the model is told before the conversation; alone, it shows it"),
        ("/clear", "forget the conversation"),
        ("/save FILE", "write the conversation as JSON messages"),
        ("/load FILE", "go on with a conversation that was saved"),
        ("/think on|off", "switch the model's reasoning, where its template allows"),
        ("/exit", "leave (or Ctrl-D)"),
    ];

    private readonly TerminalStyle _style = TerminalStyle.FromEnvironment();
    private readonly Conversation _conversation = new() { System = options.System };

    /// <summary>Chats until the person leaves.</summary>
    public int Run()
    {
        LineEditor editor = new(Console.Out, new KeyReader(() => Console.ReadKey(intercept: true), () => Console.KeyAvailable), TerminalSize);
        Whisper("/help lists the commands. Enter sends; a trailing backslash, Alt+Enter or Ctrl-J begins a new line. Ctrl-C stops an answer.");
        while (true)
        {
            (InputEnd end, string text) = ReadInput(editor);
            if (end != InputEnd.Line)
            {
                return end == InputEnd.Interrupt ? ExitCode.Interrupted : ExitCode.Done;
            }

            if (text.Trim() is "/exit" or "/quit" or "/bye")
            {
                return ExitCode.Done;
            }

            if (text.Trim().Length > 0)
            {
                Try(() => Handle(text));
            }
        }
    }

    private void Whisper(string message) => session.Tell(_style.Dim, message, _style.Reset);

    private static (int Width, int Height) TerminalSize()
    {
        try
        {
            return (Console.WindowWidth, Console.WindowHeight);
        }
        catch (IOException)
        {
            return (80, 24);
        }
    }

    private static (InputEnd End, string Text) ReadInput(LineEditor editor)
    {
        Console.TreatControlCAsInput = true;
        try
        {
            return editor.Read("> ", "  ");
        }
        catch (Exception failure) when (failure is InvalidOperationException or IOException)
        {
            return (InputEnd.EndOfFile, ""); // the terminal is gone
        }
        finally
        {
            Console.TreatControlCAsInput = false;
        }
    }

    /// <summary>What goes wrong in one turn is said, and the chat goes on.</summary>
    private void Try(Action turn)
    {
        try
        {
            turn();
        }
        catch (Exception failure) when (failure is FailureException or UsageException or ChatTemplateException or TokenizerException or ModelFormatException
            or ArgumentException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            session.Fail(failure switch
            {
                ContextExceededException => $"{failure.Message}{AdviceOnLength()}",
                DamagedLogitsException or DamagedWeightsException => Application.Damage(session, failure),
                NoTokenLeftException => SamplingArguments.Impossible(failure),
                _ => failure.Message,
            });
        }
    }

    /// <summary>What helps where a prompt is too long. The message that was too long is not in the conversation any more.</summary>
    private string AdviceOnLength()
    {
        if (_conversation.Count == 0 || options.Sinks is not null)
        {
            return $" This message alone{(_conversation.System is null ? "" : ", with the system message,")} is longer than that: send it in parts.";
        }

        return " /clear begins anew; kidogo run --sinks 4 lets a chat go on past its context.";
    }

    private void Handle(string text)
    {
        if (text.StartsWith('/'))
        {
            Command(text.Trim());
        }
        else if (prompting.Chat is null)
        {
            Answer(prompting.Raw(text));
        }
        else
        {
            _conversation.Add("user", text);
            Converse();
        }
    }

    private void Converse()
    {
        try
        {
            int room = Math.Max(1, answerer.ContextLength * 3 / 4); // with sinks the oldest turns go, so that an answer has room
            ChatPrompt prompt = prompting.Of(_conversation.ToJson(), options.Sinks is null ? null : room);
            if (prompt.DroppedMessages > 0)
            {
                Whisper($"[the {prompt.DroppedMessages} oldest messages no longer fit and are left out]");
            }

            _conversation.Add("assistant", Answer(prompt));
        }
        catch
        {
            _conversation.RemoveLast();
            throw;
        }
    }

    /// <summary>Prints an answer; Ctrl-C ends it and keeps what came.</summary>
    private string Answer(ChatPrompt prompt)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(session.Interrupted);
        session.AnswerInterrupt(() =>
        {
            stop.Cancel();
            return true;
        });
        try
        {
            PrintedAnswer answer = answerer.Print(prompt, silent: false, stop.Token);
            Whisper($"{(answer.Details.FinishReason == FinishReason.Cancelled ? "[stopped] " : "")}{Answerer.Rate(answer.Details)}");
            return answer.Text;
        }
        finally
        {
            session.AnswerInterrupt(null);
        }
    }

    private void Command(string line)
    {
        int space = line.IndexOfAny([' ', '\n']);
        string name = space < 0 ? line : line[..space], rest = space < 0 ? "" : line[space..].Trim();
        switch (name)
        {
            case "/help":
                int names = s_commands.Max(command => command.Name.Length) + 2;
                foreach ((string command, string help) in s_commands)
                {
                    session.Error.WriteLine(WordWrap.Wrap($"{command.Replace(' ', '\u00A0').PadRight(names - 1, '\u00A0')} {help}", Session.Columns, names).Replace('\u00A0', ' '));
                }

                break;
            case "/system" when rest.Length == 0:
                session.Tell(_conversation.System ?? "There is no system message.");
                break;
            case "/system" when prompting.Chat is null:
                throw new FailureException("Without a chat template there is no place for a system message.");
            case "/system":
                _conversation.System = rest;
                session.Tell("The system message is set.");
                break;
            case "/clear":
                _conversation.Clear();
                answerer.Forget();
                session.Tell("The conversation is forgotten.");
                break;
            case "/save":
                Overwriting.Refuse(FileOf(name, rest), answerer.Model, options.ChatTemplate is { } template && File.Exists(template) ? template : null);
                _conversation.Save(session, rest);
                session.Tell($"{_conversation.Count} messages are in {rest}.");
                break;
            case "/load":
                _conversation.Load(FileOf(name, rest));
                session.Tell($"{_conversation.Count} messages are loaded.");
                break;
            case "/think" when rest is "on" or "off":
                session.Tell(prompting.Chat?.SwitchThinking(rest == "on") == true ? $"Reasoning is {rest}." : "The chat template has no switch for reasoning.");
                break;
            case "/think":
                throw new FailureException("/think needs on or off.");
            default:
                string nearest = NearestName.Likely(name, s_commands.Select(command => command.Name.Split(' ')[0])) is { } near ? $"the nearest is {near}" : "/help lists them";
                throw new FailureException($"{name} is no command; {nearest}. A text that begins with / goes after a space.");
        }
    }

    private static string FileOf(string command, string rest) => rest.Length > 0 ? rest : throw new FailureException($"{command} needs a file: {command} chat.json");
}
