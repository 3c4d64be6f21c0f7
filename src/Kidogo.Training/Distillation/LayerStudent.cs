// A student that begins as every so manieth layer of its teacher (DistilBERT). Knows no files.
using Kidogo.Models;
using Kidogo.Models.Families;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>Takes layers over (Sanh et al., arXiv 1910.01108, section 3): the first of every N, with embedding, last norm and head.</summary>
internal static class LayerStudent
{
    /// <summary>What the student does.</summary>
    /// <param name="teacher">The teacher.</param>
    /// <param name="every">N, 1 or more.</param>
    /// <exception cref="RecipeException">The teacher has too few layers.</exception>
    public static DecoderConfig ConfigOf(DecoderConfig teacher, int every) => every <= teacher.NumLayers
        ? teacher with { Layers = [.. teacher.Layers.Where((_, layer) => layer % every == 0)] }
        : throw new RecipeException($"student: every {every} layers are more than the {teacher.NumLayers} that the teacher has. Take a smaller step.");

    /// <summary>The student, ready to be trained.</summary>
    /// <param name="teacher">The teacher, with all weights made trainable.</param>
    /// <param name="every">N.</param>
    public static DecoderModel Make(DecoderModel teacher, int every)
    {
        DecoderModel student = RandomModel.Create(ConfigOf(teacher.Config, every), 0);
        Dictionary<string, ModelParameter> theirs = ModelParameters.Of(teacher).ToDictionary(parameter => parameter.Name, StringComparer.Ordinal);
        foreach (ModelParameter parameter in ModelParameters.Of(student))
        {
            theirs[Source(parameter.Name, every)].Values.Span.CopyTo(parameter.Values.Span);
        }

        return student;
    }

    /// <summary>The name in the teacher of a weight of the student.</summary>
    private static string Source(string name, int every) =>
        CanonicalNames.TrySplitLayer(name, out int layer, out string rest) ? CanonicalNames.InLayer(layer * every, rest) : name;
}
