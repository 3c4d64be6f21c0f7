// Runs the workers that tokenise a source. Knows how work is handed out and put together in order, not what it is.
using Kidogo.Data.Readers;
using Kidogo.Data.Shards;

namespace Kidogo.Data;

/// <summary>What was read of a source.</summary>
/// <param name="EmptyDocuments">Documents left out.</param>
/// <param name="InvalidBytes">Bytes replaced.</param>
internal readonly record struct ReadCounts(long EmptyDocuments, long InvalidBytes);

/// <summary>Reads on the calling thread, encodes on others, writes in the order of reading.</summary>
internal static class SourceTokenizer
{
    /// <summary>Tokenises all of a source.</summary>
    /// <param name="chunks">The source.</param>
    /// <param name="encoder">What workers do.</param>
    /// <param name="writer">Where to.</param>
    /// <param name="workers">How many, at least 1; changes nothing in the result.</param>
    /// <param name="report">Told bytes read, documents and tokens so far.</param>
    /// <param name="cancellation">Stops between chunks.</param>
    /// <exception cref="DataFormatException">The first thing that is wrong in the order of the files, whichever worker finds it.</exception>
    public static ReadCounts Run(ChunkReader chunks, ChunkEncoder encoder, ShardWriter writer, int workers, Action<long, long, long> report,
        CancellationToken cancellation)
    {
        TaskScheduler scheduler = new ConcurrentExclusiveSchedulerPair(TaskScheduler.Default, workers).ConcurrentScheduler;
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Queue<Task<EncodedChunk>> pending = new();
        long empty = 0;
        long invalid = 0;

        void WriteFirst()
        {
            EncodedChunk encoded = pending.Dequeue().GetAwaiter().GetResult();
            writer.Write(encoded);
            empty += encoded.EmptyDocuments;
            invalid += encoded.InvalidBytes;
            report(encoded.BytesRead, writer.Documents, writer.Tokens);
        }

        try
        {
            // What is wrong further on in the files must not hide what is wrong before it.
            Exception? readFailure = null;
            while (readFailure is null)
            {
                TextChunk? chunk = null;
                try
                {
                    chunk = chunks.Next(cancellation);
                }
                catch (Exception failure) when (failure is DataFormatException or IOException)
                {
                    readFailure = failure;
                }

                if (chunk is null)
                {
                    break;
                }

                pending.Enqueue(Task.Factory.StartNew(() => encoder.Encode(chunk, stop.Token), stop.Token, TaskCreationOptions.DenyChildAttach, scheduler));
                if (pending.Count > 2 * workers)
                {
                    WriteFirst();
                }
            }

            while (pending.Count > 0)
            {
                WriteFirst();
            }

            if (readFailure is not null)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(readFailure);
            }

            writer.Finish();
            return new ReadCounts(empty, invalid);
        }
        catch
        {
            stop.Cancel();
            Task.WhenAll(pending).ContinueWith(static done => _ = done.Exception, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default).Wait(CancellationToken.None);
            throw;
        }
    }
}
