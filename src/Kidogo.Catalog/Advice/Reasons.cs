// What an answer means for the advice, in words. Decides nothing.
using System.Globalization;

namespace Kidogo.Catalog.Advice;

internal static class Reasons
{
    /// <summary>The part of an answer, in half a sentence.</summary>
    public static string For(int question, Answers answers, Advisor.Decision decision) => question switch
    {
        0 => answers.Task == TaskDifficulty.Expert
            ? "no small model is to be trusted with it alone"
            : $"it needs a model of level {Advisor.LevelOf(answers.Task)}{(decision.Model is { } model ? $"; {model.Name} has {model.Level}" : "")}",
        1 => string.Create(CultureInfo.InvariantCulture, $"{decision.Machine.AvailableBytes / 1e9:0.0} GB of memory, {decision.Machine.BandwidthBytesPerSecond / 1e9:0.0} GB/s, {decision.Machine.FloatsPerSecond / 1e9:0} GFLOP/s{(decision.Machine.IsMeasured ? ", measured" : ", typical of its kind")}{(answers.Computer is Computer.Battery or Computer.Board or Computer.Phone ? "; the model of least energy that will do" : "; the best model that is fast enough")}"),
        2 => answers.Place switch
        {
            Place.Here => "nothing is sent elsewhere",
            Place.Shared => "four conversations at once share memory and speed; a large model elsewhere may help",
            _ => "a large model elsewhere may help",
        },
        3 => answers.Connection switch
        {
            Connection.None => $"nothing elsewhere can be reached{(decision.Model is { IsHere: false } ? "; carry the model there on a stick (kidogo export, kidogo import)" : "")}",
            Connection.Poor => "what is elsewhere cannot be relied on alone",
            _ => "a large model can be reached at any time",
        },
        4 => answers.Privacy switch
        {
            Privacy.Secret => "no question may leave the computer",
            Privacy.Personal => "questions with personal data stay, or leave masked",
            _ => "questions may leave",
        },
        _ => string.Create(CultureInfo.InvariantCulture, $"{Advisor.LimitsOf(answers.Speed).TokensPerSecond} tokens a second are wanted{(decision.Expected is { } expected ? $", {expected.DecodeTokensPerSecond:0.0} expected" : "")}"),
    };
}
