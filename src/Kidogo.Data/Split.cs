// Which documents of a source are held out. Knows hashes and lengths, not texts.
using Kidogo.Data.Shards;

namespace Kidogo.Data;

/// <summary>The two sides of a source.</summary>
/// <param name="Starts">The first token of each document of the store, and the number of tokens at the end.</param>
/// <param name="Training">Documents that are trained on, ascending.</param>
/// <param name="HeldOut">Documents that are held out, ascending.</param>
/// <param name="LongConversations">Conversations left out.</param>
internal sealed record Split(long[] Starts, int[] Training, int[] HeldOut, long LongConversations)
{
    /// <summary>Splits a source by document.</summary>
    /// <remarks>
    /// A document's number is a hash of its content and the seed. Held out are those whose number lies in the lowest share; where that is none, the one with
    /// the lowest number that is not more than twice the share of all tokens, or the shortest.
    /// </remarks>
    /// <exception cref="DataFormatException">A conversation is longer than the context.</exception>
    public static Split Of(SourceShards source, DataOptions options)
    {
        TokenStore store = source.Store!;
        if (store.Documents > Array.MaxLength - 1)
        {
            throw new DataFormatException(source.Source.Path, 0, $"the source has {store.Documents} documents, more than the {Array.MaxLength - 1} that can "
                + "be counted; split it into several sources");
        }

        long[] starts = new long[store.Documents + 1];
        ulong[] numbers = new ulong[store.Documents];
        long[] lines = new long[source.Kind == SourceKind.Conversations ? store.Documents : 0];
        int[] files = new int[lines.Length];
        int count = 0;
        foreach (ShardEntry entry in store.ReadIndex())
        {
            starts[count] = entry.First;
            numbers[count] = Mix.Hash(options.Seed, entry.Hash);
            if (lines.Length > 0)
            {
                lines[count] = entry.Line;
                files[count] = entry.File;
            }

            count++;
        }

        starts[count] = store.Tokens;
        List<int> usable = [];
        long tooLong = 0;
        for (int i = 0; i < count; i++)
        {
            long tokens = starts[i + 1] - starts[i];
            if (lines.Length > 0 && tokens > options.Context)
            {
                if (!options.SkipLongConversations)
                {
                    string file = files[i] < source.Files.Count ? source.Files[files[i]].Path : source.Source.Path;
                    throw new DataFormatException(file, lines[i], $"the conversation has {tokens} tokens, more than the context of {options.Context}; "
                        + "conversations are never cut, so raise the context, shorten it, or leave long ones out (skip_long_conversations: true)");
                }

                tooLong++;
            }
            else if (tokens > 1)
            {
                usable.Add(i);
            }
        }

        HashSet<int> heldOut = [.. Choose(usable, numbers, starts, options)];
        return new Split(starts, [.. usable.Where(document => !heldOut.Contains(document))], [.. usable.Where(heldOut.Contains)], tooLong);
    }

    private static IEnumerable<int> Choose(List<int> usable, ulong[] numbers, long[] starts, DataOptions options)
    {
        if (usable.Count < 2 || (options.HeldOutDocuments ?? options.HeldOut) <= 0)
        {
            return [];
        }

        ulong limit;
        if (options.HeldOutDocuments is { } wanted)
        {
            limit = usable.Select(document => numbers[document]).Order().ElementAt(Math.Min(wanted, usable.Count) - 1);
        }
        else
        {
            limit = (ulong)(options.HeldOut * (1UL << 53)) << 11;
        }

        List<int> chosen = [.. usable.Where(document => options.HeldOutDocuments is null ? numbers[document] < limit : numbers[document] <= limit)];
        if (chosen.Count > 0)
        {
            return chosen;
        }

        double enough = 2 * options.HeldOut * usable.Sum(document => starts[document + 1] - starts[document]);
        List<int> small = [.. usable.Where(document => starts[document + 1] - starts[document] <= enough)];
        ulong lowest = small.Count > 0 ? small.Min(document => numbers[document]) : numbers[usable.MinBy(document => starts[document + 1] - starts[document])];
        return usable.Where(document => numbers[document] == lowest); // with its copies
    }
}
