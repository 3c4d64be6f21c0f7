// The passport of a trained model: recipe, data, the model gone on from, what was measured. Knows no weights.
using System.Text;
using System.Text.Json;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Passports;
using Kidogo.Training.Recipes;

namespace Kidogo.Training;

/// <summary>Makes passports of checkpoints and finished models. What is known only at the beginning is carried from checkpoint to checkpoint.</summary>
internal static class TrainingPassport
{
    /// <summary>What held-out documents are called in claims.</summary>
    private const string HeldOut = "held-out documents";

    // Places on a disk, and what changes no weight.
    private static readonly string[] s_left = ["data", "out", "cache", "threads", "seed", "checkpoint_every", "keep", "eval_every", "eval_tokens", "sample_every", "sample_prompt", "measure", "compare"];

    /// <summary>At step 0.</summary>
    /// <param name="recipe">The recipe with all that was chosen.</param>
    /// <param name="from">The path of the model gone on from; null for none.</param>
    public static Passport Begin(Recipe recipe, string? from)
    {
        Passport begun = new() { Recipe = Describe(recipe, 0, 0) };
        if (from is null)
        {
            return begun;
        }

        using ModelHeader parent = ModelHeader.Open(from);
        string hash = ModelHash.Of(ModelHash.Tensors(parent));
        (IReadOnlyList<PassportAncestor> lineage, int older) = PassportJson.LineageOf(parent, hash);
        return begun with { Parents = [new PassportSource("model", NameOf(from), hash, parent.WeightBytes)], Lineage = lineage, OlderSteps = older };
    }

    /// <summary>After a step.</summary>
    /// <param name="begun">That of the checkpoint before.</param>
    /// <param name="recipe">The recipe.</param>
    /// <param name="step">Steps that were made.</param>
    /// <param name="tokens">Tokens that were read.</param>
    public static Passport At(Passport begun, Recipe recipe, long step, long tokens) => begun with { Recipe = Describe(recipe, step, tokens) };

    /// <summary>With the data that it is trained on.</summary>
    public static Passport With(Passport begun, PreparedData data) =>
        begun with { Data = [.. data.Sources.Where(source => source.Kind != SourceKind.Random).Select(source => new PassportSource("training", NameOf(source.Path), source.Sha256, source.Bytes))] };

    /// <summary>With the first and the last evaluation on held-out documents.</summary>
    public static Passport With(Passport passport, IReadOnlyList<StepRecord> records)
    {
        EvaluationRecord? last = records.LastOrDefault(record => record.Evaluation is not null)?.Evaluation;
        return last is null ? passport : passport with
        {
            Measured = [new PassportClaim("held_out_loss", HeldOut, 0, null, Finite(last.Loss)), new PassportClaim("held_out_bits_per_byte", HeldOut, 0, null, Finite(last.BitsPerByte))],
        };
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private static PassportRecipe Describe(Recipe recipe, long step, long tokens)
    {
        List<KeyValuePair<string, string>> options = [new("step", $"{step}"), new("trained_tokens", $"{tokens}")];
        foreach ((string name, RecipeNode value) in RecipeFields.Write(recipe).Fields.Where(field => !s_left.Contains(field.Key)))
        {
            string text = TextOf(value);
            options.Add(new(name, name is "from" or "tokenizer" or "chat_template" or "teacher" or "teacher_outputs" && value is RecipeText ? NameOf(text) : text));
        }

        return new PassportRecipe(PassportRecipe.ThisProgram, "train", [.. options.OrderBy(option => option.Key, StringComparer.Ordinal)], recipe.Output.Seed);
    }

    private static string TextOf(RecipeNode value)
    {
        if (value is RecipeText text)
        {
            return text.Text;
        }

        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            value.WriteTo(json);
        }

        const int Longest = 4096; // of a model that is given layer by layer
        string whole = Encoding.UTF8.GetString(bytes.ToArray());
        return whole.Length <= Longest ? whole : whole[..Longest];
    }

    private static string NameOf(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(path));
}
