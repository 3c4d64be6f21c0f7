// kidogo explain attention: who looks at whom, by layer and head.
using System.CommandLine;
using System.Text.Json;
using Kidogo.Cli.Shell;
using Kidogo.Evaluation.Explanations;
using Kidogo.Models;
using Kidogo.Tensors;

namespace Kidogo.Cli.Explain;

internal static class ExplainAttentionVerb
{
    private sealed record Options(ModelRequest Request, string Text, int? Layer, int? Head, bool Json);

    public static Command Create(Session session)
    {
        Argument<string[]> words = new("[MODEL] TEXT") { Description = "A short text, after the model where one is named", Arity = new ArgumentArity(1, 2) };
        Option<int?> layer = Opt.Int("--layer", "Show a head of this layer, counted from 0 (default: the head that picks out other words most)", 0);
        Option<int?> head = Opt.Int("--head", "Show this head of the layer, counted from 0", 0);
        Option<int?> threads = Opt.Threads();
        Option<string?> loadAs = Opt.LoadAs();
        Option<string?> adapter = Opt.Adapter();
        Option<bool> exact = Opt.Exact();
        Option<bool> json = Opt.Json();
        Command command = new("attention", "Who looks at whom in a text, by layer and head") { words, layer, head, threads, exact, loadAs, adapter, json };
        command.SetAction(parsed =>
        {
            string[] given = parsed.GetRequiredValue(words);
            if (given.Length == 1 && ModelLocator.LooksLikeModel(given[0]))
            {
                throw new UsageException($"kidogo explain attention {given[0]} names a model but no text; the text is missing: kidogo explain attention {given[0]} \"Asha gave Juma her book\"");
            }

            if (parsed.GetValue(head) is not null && parsed.GetValue(layer) is null)
            {
                throw new UsageException("--head is one of a layer; give --layer too.");
            }

            ModelRequest request = new(given.Length == 2 ? given[0] : null, parsed.GetValue(threads), parsed.GetValue(exact), parsed.GetValue(loadAs)) { Adapter = parsed.GetValue(adapter) };
            return Run(session, new Options(request, given[^1], parsed.GetValue(layer), parsed.GetValue(head), parsed.GetValue(json)));
        });
        return command;
    }

    private static int Run(Session session, Options options)
    {
        using ModelHeader header = OpenModel.OpenHeader(options.Request);
        int[] ids = ModelText.Of(header).Tokenizer.Encode(options.Text, addSpecial: true);
        CheckPlace(header.Config, options);
        using OpenModel open = OpenModel.Load(session, options.Request, header, Math.Clamp(ids.Length, 1, AttentionWeights.MostTokens), options.Request.Exact ? KvFormat.F32 : KvFormat.F16);
        AttentionWeights attention = AttentionWeights.Of(open.Model, open.Context, ids);
        string[] pieces = [.. ids.Select(id => id < open.Text.Tokenizer.VocabularySize ? open.Text.Tokenizer.TokenText(id) : "")];
        if (options.Json)
        {
            JsonOutput.Write(session, json => Write(json, attention, ids, pieces, options, session.Interrupted));
            return ExitCode.Done;
        }

        AttentionHabit[][] habits = [.. Enumerable.Range(0, attention.Layers).Select(layer => Enumerable.Range(0, attention.HeadsOf(layer)).Select(head =>
        {
            session.Interrupted.ThrowIfCancellationRequested();
            return AttentionWeights.HabitOf(attention.Of(layer, head));
        }).ToArray())];
        AttentionPicture.WriteHabits(session, habits);
        (int shownLayer, int shownHead) = Choose(habits, options);
        session.Output.WriteLine();
        AttentionPicture.WriteHead(session, attention.Of(shownLayer, shownHead), pieces, shownLayer, shownHead);
        return ExitCode.Done;
    }

    private static void CheckPlace(DecoderConfig config, Options options)
    {
        if (options.Layer >= config.NumLayers)
        {
            throw new FailureException($"--layer is {options.Layer}, but the model has {config.NumLayers} layers, 0 to {config.NumLayers - 1}.");
        }

        if (options is { Layer: { } layer, Head: { } head } && head >= config.Layers[layer].NumHeads)
        {
            throw new FailureException($"--head is {head}, but layer {layer} has {config.Layers[layer].NumHeads} heads, 0 to {config.Layers[layer].NumHeads - 1}.");
        }
    }

    /// <summary>What was asked for; else the head that most picks out a word that is neither the first, the one before nor itself.</summary>
    private static (int Layer, int Head) Choose(AttentionHabit[][] habits, Options options) =>
        options is { Layer: { } layer, Head: { } head } ? (layer, head)
            : (from at in options.Layer is { } only ? [only] : Enumerable.Range(0, habits.Length)
               from each in Enumerable.Range(0, habits[at].Length)
               select (Layer: at, Head: each)).MaxBy(place => habits[place.Layer][place.Head].Picked);

    private static void Write(Utf8JsonWriter json, AttentionWeights attention, int[] ids, string[] pieces, Options options, CancellationToken cancellation)
    {
        json.WriteNumbers("ids", ids);
        json.WriteStartArray("pieces");
        Array.ForEach(pieces, json.WriteStringValue);
        json.WriteEndArray();
        json.WriteStartArray("heads");
        for (int layer = options.Layer ?? 0; layer < (options.Layer + 1 ?? attention.Layers); layer++)
        {
            for (int head = options.Head ?? 0; head < (options.Head + 1 ?? attention.HeadsOf(layer)); head++)
            {
                cancellation.ThrowIfCancellationRequested();
                double[,] weights = attention.Of(layer, head);
                AttentionHabit habit = AttentionWeights.HabitOf(weights);
                json.WriteStartObject();
                json.WriteNumber("layer", layer);
                json.WriteNumber("head", head);
                json.WriteFinite("first", habit.First);
                json.WriteFinite("previous", habit.Previous);
                json.WriteFinite("itself", habit.Itself);
                json.WriteFinite("others", habit.Others);
                json.WriteFinite("picked", habit.Picked);
                json.WriteStartArray("weights");
                for (int row = 0; row < ids.Length; row++)
                {
                    json.WriteStartArray();
                    for (int seen = 0; seen <= row; seen++)
                    {
                        json.WriteNumberValue(Math.Round(double.IsFinite(weights[row, seen]) ? weights[row, seen] : 0, 6));
                    }

                    json.WriteEndArray();
                }

                json.WriteEndArray();
                json.WriteEndObject();
                json.Flush();
            }
        }

        json.WriteEndArray();
    }
}
