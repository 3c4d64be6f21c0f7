// From a batch of ids to the sequences of a pass. Knows no loss.
using Kidogo.Data;
using Kidogo.Models;

namespace Kidogo.Training;

/// <summary>Puts every segment of a batch into a pass as a sequence of its own, so that none attends across its borders and each counts positions from 0.
/// Padding is left out.</summary>
internal static class BatchSequences
{
    /// <summary>Fills a pass.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="sequences">Emptied, then filled.</param>
    /// <param name="targets">Emptied, then filled: the target of every row that gets logits.</param>
    public static void Fill(TokenBatch batch, SequenceBatch sequences, List<int> targets)
    {
        sequences.Clear();
        targets.Clear();
        foreach (BatchSegment segment in batch.Segments)
        {
            sequences.Add(null, batch.Ids.AsSpan(segment.First, segment.Length), LogitRows.All);
            targets.AddRange(batch.Targets.AsSpan(segment.First, segment.Length));
        }
    }
}
