// The options that say which stories of the village: shared by the verbs that write them and that ask about them. Knows no stories.
using System.CommandLine;
using Kidogo.Cli.Shell;
using Kidogo.Data.Village;
using Kidogo.Models;
using Kidogo.Models.Files;

namespace Kidogo.Cli.Verbs;

internal sealed class VillageArguments
{
    private readonly Option<string?> _language = Opt.Text("--language", "NAME|FILE", $"The language: {string.Join(", ", VillageLanguage.BuiltInCodes)}, or the file of another one (default en)");
    private readonly Option<string?> _level = Opt.Choice("--level", "simple: up to five sentences and who and where; full: all that may happen and be asked (default full)", "simple", "full");
    private readonly Option<string?> _split;
    private readonly Option<int?> _questions = Opt.Int("--questions", "Questions a story at most (default 5)", 1, 20);
    private readonly Option<ulong?> _seed = Opt.Seed();
    private readonly VillageSplit _usual;

    public VillageArguments(VillageSplit usual)
    {
        _usual = usual;
        _split = Opt.Choice("--split", $"Which part: no story is in both, whatever the seeds (default {(usual == VillageSplit.Test ? "test" : "training")})", "training", "test");
        _seed.Description = "Decides the stories (default 0)";
    }

    /// <summary>The options, for a verb's list.</summary>
    public IEnumerable<Option> All => [_language, _level, _split, _questions, _seed];

    /// <summary>What they say.</summary>
    public VillageOptions Read(ParseResult parsed) => new()
    {
        Language = LanguageOf(parsed.GetValue(_language) ?? "en"),
        Level = parsed.GetValue(_level) == "simple" ? VillageLevel.Simple : VillageLevel.Full,
        Split = (parsed.GetValue(_split) ?? (_usual == VillageSplit.Test ? "test" : "training")) == "test" ? VillageSplit.Test : VillageSplit.Training,
        Questions = parsed.GetValue(_questions) ?? 5,
        Seed = parsed.GetValue(_seed) ?? 0,
    };

    private static VillageLanguage LanguageOf(string name)
    {
        if (VillageLanguage.BuiltIn(name) is { } builtIn)
        {
            return builtIn;
        }

        if (File.Exists(name))
        {
            return VillageLanguage.Read(InputFile.Existing(name));
        }

        string nearest = NearestName.Likely(name, VillageLanguage.BuiltInCodes) is { } likely ? $" The nearest is {likely}." : "";
        throw new UsageException($"--language is {ModelFormatException.Quote(name)}, which is neither one of {string.Join(", ", VillageLanguage.BuiltInCodes)} nor a file.{nearest} docs/how-to/village.md says how to write one.");
    }
}
