// The options that let answers be guessed ahead. Knows their names, not how guesses are judged.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Machine;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Models.Files;

namespace Kidogo.Cli.Verbs;

/// <summary>Declares <c>--speculate</c> and <c>--draft</c>, and reads them.</summary>
internal sealed class SpeculationArguments
{
    private readonly Option<string?> _speculate = Opt.Choice("--speculate", "Guess tokens ahead by looking up how the text went on before; it stops where that loses (default: off, or by --draft)", "lookup", "off");
    private readonly Option<string?> _draft = Opt.Text("--draft", "MODEL", "Guess tokens ahead with a smaller model of the same vocabulary; it stops where that loses");

    /// <summary>Adds the options to a verb.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_speculate);
        command.Options.Add(_draft);
    }

    /// <summary>Whether the command line says anything about guessing.</summary>
    public bool AreGiven(ParseResult parsed) => parsed.GetValue(_speculate) is not null || parsed.GetValue(_draft) is not null;

    /// <summary>What guesses, for a model that is loaded; null for nothing.</summary>
    /// <param name="session">Where the bar goes.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="open">The model that decides.</param>
    /// <param name="contextLength">Tokens of a text at most.</param>
    /// <exception cref="UsageException">Two ways were given.</exception>
    /// <exception cref="FailureException">The draft model has other words.</exception>
    public Guessing? Read(Session session, ParseResult parsed, OpenModel open, int contextLength)
    {
        if (LooksUp(parsed))
        {
            return new Guessing(new PromptLookup(), null);
        }

        if (DraftName(parsed) is not { } name)
        {
            return null;
        }

        LoadedModel draft = LoadDraft(session, name, open, contextLength);
        try
        {
            return new Guessing(new DraftModel(draft, open.Loaded, open.Context, contextLength), draft);
        }
        catch (ArgumentException failure)
        {
            draft.Dispose();
            throw new FailureException($"--draft {ModelFormatException.Quote(name, 200)}: {failure.Message}");
        }
    }

    /// <summary>Whether texts are looked up.</summary>
    public bool LooksUp(ParseResult parsed) => parsed.GetValue(_speculate) == "lookup" && (parsed.GetValue(_draft) is null ? true
        : throw new UsageException("--speculate lookup and --draft are two ways to guess; give one of them."));

    /// <summary>The model that guesses; null for none.</summary>
    public string? DraftName(ParseResult parsed) => parsed.GetValue(_speculate) == "off" ? null : parsed.GetValue(_draft);

    /// <summary>Loads the model that guesses.</summary>
    /// <param name="session">Where it is noted.</param>
    /// <param name="name">What was named.</param>
    /// <param name="open">The model that decides.</param>
    /// <param name="contextLength">Tokens of a text at most.</param>
    /// <param name="sequences">Texts at once.</param>
    /// <exception cref="FailureException">It would not fit.</exception>
    public static LoadedModel LoadDraft(Session session, string name, OpenModel open, int contextLength, int sequences = 1)
    {
        ModelHeader header = ModelHeader.Open(ModelChoice.Locate(name));
        if (MemoryCheck.Refusal(header, contextLength, open.Context.CacheFormat, MachineMemory.Read(), sequences) is { } refusal)
        {
            header.Dispose();
            throw new FailureException($"--draft: {refusal}");
        }

        session.Models.Add(header.Path);
        return ModelLoader.Load(header, open.Context);
    }
}

/// <summary>What guesses, and the model that it needs for that.</summary>
/// <param name="Drafter">What guesses.</param>
/// <param name="Model">Its model; null for none.</param>
internal sealed record Guessing(IDrafter Drafter, LoadedModel? Model) : IDisposable
{
    public void Dispose()
    {
        (Drafter as IDisposable)?.Dispose();
        Model?.Dispose();
    }
}
