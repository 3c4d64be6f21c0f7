// From a recipe with lists to the recipes of a sweep: every combination. Reads no data and makes no step.
using System.Text;
using System.Text.Json;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Sweeps;

/// <summary>One run of a sweep.</summary>
/// <param name="Name">Its folder in OUT.</param>
/// <param name="Values">What it has where others have something else: field and value.</param>
/// <param name="Recipe">Its recipe.</param>
public sealed record SweepRun(string Name, IReadOnlyList<KeyValuePair<string, string>> Values, Recipe Recipe)
{
    /// <summary>The values in words: <c>learning_rate 0.003, batch 8</c>.</summary>
    public string Label => string.Join(", ", Values.Select(value => $"{value.Key} {value.Value}"));
}

/// <summary>Reads recipes of sweeps.</summary>
public sealed class SweepGrid
{
    /// <summary>The most runs of a sweep.</summary>
    public const int MostRuns = 256;

    private const string Judged = "all runs are judged on the same held-out texts";
    private const string Length = "all runs read the same number of tokens, as many as the time allows";
    private const string Same = "it changes no weight";

    // Fields that may not be lists of values, with the reason.
    private static readonly Dictionary<string, string> s_single = new(StringComparer.Ordinal)
    {
        ["data"] = Judged, ["field"] = Judged, ["documents"] = Judged, ["held_out"] = Judged, ["strict"] = Judged, ["skip_long_conversations"] = Judged, ["seed"] = Judged, ["eval_tokens"] = Judged, ["task"] = Judged,
        ["steps"] = Length, ["tokens"] = Length, ["minutes"] = Length, ["patience"] = Length,
        ["cache"] = Same, ["threads"] = Same, ["out"] = Same, ["checkpoint_every"] = Same, ["keep"] = Same, ["eval_every"] = Same, ["sample_every"] = Same, ["sample_prompt"] = Same, ["measure"] = Same,
        ["compare"] = Same, ["teacher_outputs"] = "one file holds one teacher's answers",
    };

    private SweepGrid(string key, IReadOnlyList<SweepRun> runs, IReadOnlyList<string> fields) => (Key, Runs, Fields) = (key, runs, fields);

    /// <summary>What the sweep is, as one text: two with the same key are the same.</summary>
    public string Key { get; }

    /// <summary>The runs, 2 or more; the last list changes fastest.</summary>
    public IReadOnlyList<SweepRun> Runs { get; }

    /// <summary>The fields that have lists.</summary>
    public IReadOnlyList<string> Fields { get; }

    /// <summary>Reads a recipe with lists.</summary>
    /// <param name="verb">What each run is: <c>train</c>, <c>distil</c>, <c>adapt</c>; null to tell by the fields.</param>
    /// <param name="file">A YAML file, or null.</param>
    /// <param name="options">Fields given as options, lists in brackets.</param>
    /// <param name="output">OUT.</param>
    /// <exception cref="RecipeException">A list stands where none may be, nothing is to choose from, or one of the runs cannot be.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SweepGrid Read(string? verb, string? file, IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> options, string output)
    {
        RecipeField[] known = [.. RecipeFields.Every];
        RecipeMap map = RecipeReader.Fields(file, options);
        List<(string Name, IReadOnlyList<RecipeNode> Values)> lists = [.. map.Fields.Where(IsSwept).Select(field => (field.Key, Values(field.Key, (RecipeList)field.Value)))];
        foreach ((string name, IReadOnlyList<RecipeNode> values) in lists)
        {
            if (s_single.TryGetValue(name, out string? reason))
            {
                throw values[0].Refuse($"{name} is a list of values, but a sweep has one of it: {reason}. Give one value.");
            }
        }

        long count = lists.Aggregate(1L, (product, list) => Math.Min(product * list.Values.Count, int.MaxValue));
        if (count is < 2 or > MostRuns)
        {
            throw new RecipeException(count < 2
                ? $"There is nothing to choose from: {(lists.Count == 0 ? "no field has a list of values" : $"{string.Join(" and ", lists.Select(list => list.Name))} has one value")}. Give two or more, such as learning_rate: [1e-3, 3e-3], or use kidogo {verb ?? "train"}."
                : $"The lists make {(count == int.MaxValue ? "too many" : $"{count}")} runs ({string.Join(" x ", lists.Select(list => $"{list.Values.Count} of {list.Name}"))}); at most {MostRuns} are run. Give shorter lists.");
        }

        HashSet<string> names = [.. map.Fields.Select(field => field.Key)];
        verb ??= RecipeFields.OfDistillation.Any(field => names.Contains(field.Name)) ? "distil" : RecipeFields.OfAdapters.Concat(RecipeFields.OfPreferences).Any(field => names.Contains(field.Name)) ? "adapt" : "train";
        Recipe start = verb switch { "distil" => new Recipe { Distillation = new DistillationRecipe() }, "adapt" => new Recipe { Adapter = new AdapterRecipe() }, _ => new Recipe() };
        List<SweepRun> runs = [];
        for (int number = 0; number < count; number++)
        {
            runs.Add(RunOf(number, (int)count, map, lists, start, output));
        }

        return new SweepGrid($"{verb} {Text(map with { Fields = [.. map.Fields.Where(field => field.Key != "threads")] })}", runs, [.. lists.Select(list => list.Name)]);

        bool IsSwept(KeyValuePair<string, RecipeNode> field) => field.Value is RecipeList list
            && (known.FirstOrDefault(candidate => candidate.Name == field.Key) is not { IsList: true } || (list.Items.Count > 0 && list.Items.All(item => item is RecipeList)));

        IReadOnlyList<RecipeNode> Values(string name, RecipeList list)
        {
            if (known.All(field => field.Name != name))
            {
                throw RecipeFields.Unknown(list, name, known.Select(field => field.Name));
            }

            return list.Items.Count == 0 ? throw list.Refuse($"{name} is an empty list. Give two or more values.")
                : list.Items.Select(Text).Distinct().Count() < list.Items.Count ? throw list.Refuse($"{name} has the same value twice. Give each once.") : list.Items;
        }
    }

    private static SweepRun RunOf(int number, int count, RecipeMap map, List<(string Name, IReadOnlyList<RecipeNode> Values)> lists, Recipe start, string output)
    {
        Dictionary<string, RecipeNode> chosen = new(StringComparer.Ordinal);
        int rest = number;
        foreach ((string name, IReadOnlyList<RecipeNode> values) in Enumerable.Reverse(lists))
        {
            chosen[name] = values[rest % values.Count];
            rest /= values.Count;
        }

        string runName = $"run-{(number + 1).ToString(count > 99 ? "000" : "00", System.Globalization.CultureInfo.InvariantCulture)}";
        KeyValuePair<string, string>[] own = [.. lists.Select(list => KeyValuePair.Create(list.Name, Words(chosen[list.Name])))];
        Recipe recipe;
        try
        {
            recipe = RecipeFields.Apply(start, map with { Fields = [.. map.Fields.Select(field => KeyValuePair.Create(field.Key, chosen.GetValueOrDefault(field.Key, field.Value)))] });
            recipe = recipe with
            {
                Data = recipe.Data with { Cache = recipe.Data.Cache ?? Path.Combine(output, Sweep.ShardsName) },
                Output = recipe.Output with { Folder = Path.Combine(output, runName), SampleEvery = recipe.Output.SampleEvery ?? 0, EvalEvery = recipe.Output.EvalEvery ?? SweepPlan.Never },
            };
            RecipeCheck.Contradictions(recipe);
        }
        catch (RecipeException failure)
        {
            throw new RecipeException($"{runName} ({string.Join(", ", own.Select(value => $"{value.Key} {value.Value}"))}) cannot be: {failure.Message}", failure);
        }

        Check(recipe);
        return new SweepRun(runName, own, recipe);
    }

    private static void Check(Recipe recipe)
    {
        if (recipe.Output.EvalEvery == 0 || recipe.Data.HeldOut == 0 || recipe.IsRandom)
        {
            throw new RecipeException("A sweep goes by the loss on held-out texts, but there are none (held_out, eval_every, or data: random). Hold some out, and leave eval_every out or above 0.");
        }

        if (recipe.Stop.Minutes is not null || recipe.Stop.Patience is not null)
        {
            throw new RecipeException(recipe.Stop.Minutes is not null ? "minutes is the time of one run; a sweep shares out its own among all of them. Leave it out of the recipe: kidogo sweep RECIPE --minutes N."
                : "patience ends a run early, and so does a sweep: leave patience out.");
        }

        if (recipe.Distillation is { Compares: true })
        {
            throw new RecipeException("compare belongs to one run: leave it out, and compare the best recipe afterwards with kidogo distil.");
        }
    }

    /// <summary>A value as it may be written.</summary>
    private static string Words(RecipeNode node) => node is RecipeText text ? text.Text : Text(node);

    private static string Text(RecipeNode node)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            node.WriteTo(json);
        }

        return Encoding.UTF8.GetString(bytes.ToArray());
    }
}
