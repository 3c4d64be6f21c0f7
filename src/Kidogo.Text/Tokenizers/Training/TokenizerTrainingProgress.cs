// How far the training of a tokenizer is. Knows not who looks.
namespace Kidogo.Text.Tokenizers.Training;

/// <summary>The parts of training a tokenizer.</summary>
public enum TokenizerTrainingStage
{
    /// <summary>Texts are read and their words counted. Done is in bytes; the total is not known (0).</summary>
    Counting,

    /// <summary>Pairs are merged. Done and total are in entries of the vocabulary.</summary>
    Merging,

    /// <summary>Pieces are weighed and thrown out. Done and total are in rounds.</summary>
    Pruning,
}

/// <summary>How far training is.</summary>
/// <param name="Stage">What is going on.</param>
/// <param name="Done">How much of it is done, in the stage's unit.</param>
/// <param name="Total">How much there is to do, or 0 where that is not known.</param>
public readonly record struct TokenizerTrainingProgress(TokenizerTrainingStage Stage, long Done, long Total);
