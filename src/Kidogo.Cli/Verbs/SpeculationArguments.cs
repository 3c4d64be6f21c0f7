// The options that let answers be guessed ahead. Knows their names, not how guesses are judged.
using System.CommandLine;
using Kidogo.Cli.Shell;
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
        string? way = parsed.GetValue(_speculate);
        string? name = parsed.GetValue(_draft);
        if (way == "lookup" && name is not null)
        {
            throw new UsageException("--speculate lookup and --draft are two ways to guess; give one of them.");
        }

        if (way == "off" || (way is null && name is null))
        {
            return null;
        }

        if (name is null)
        {
            return new Guessing(new PromptLookup(), null);
        }

        string path = ModelChoice.Locate(name);
        session.Models.Add(path);
        LoadedModel draft = ModelLoader.Load(path, open.Context);
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
