// From files to a tokenizer and what it costs in each of them. Knows not how tokenizers are trained.
using Kidogo.Text.Tokenizers.Training;

namespace Kidogo.Data;

/// <summary>The parts of training a tokenizer on files.</summary>
public enum TokenizerStage
{
    /// <summary>Files are read and words counted; in bytes as stored.</summary>
    Reading,

    /// <summary>Pairs are merged; in entries of the vocabulary.</summary>
    Merging,

    /// <summary>Pieces are weighed and thrown out; in rounds.</summary>
    Pruning,

    /// <summary>Files are read again and tokenised; in bytes as stored.</summary>
    Measuring,
}

/// <summary>How far training a tokenizer on files is.</summary>
/// <param name="Stage">What is going on.</param>
/// <param name="Done">How much of it is done, in the stage's unit.</param>
/// <param name="Total">How much there is to do.</param>
public readonly record struct TokenizerStageProgress(TokenizerStage Stage, long Done, long Total);

/// <summary>A tokenizer that was trained on files.</summary>
/// <param name="Trained">The tokenizer and its files.</param>
/// <param name="Files">What it costs in each file, in the order of the sources; files without text are left out. Empty if that was not asked for.</param>
/// <param name="InvalidBytes">Bytes that were no UTF-8 and were replaced.</param>
public sealed record TokenizerOfSources(TrainedTokenizer Trained, IReadOnlyList<Fertility> Files, long InvalidBytes)
{
    /// <summary>All files together.</summary>
    public Fertility Total => Fertility.Sum("all", Files);
}

/// <summary>Trains a tokenizer on the sources of training data.</summary>
public static class TokenizerFromSources
{
    /// <summary>Reads the sources once for training and, if asked to, once more for what the tokenizer costs in each file.</summary>
    /// <param name="sources">Files and folders; of conversations the contents of messages are read. Weights do not count: each text is read once.</param>
    /// <param name="kind">Which kind of tokenizer.</param>
    /// <param name="options">Its settings; <see cref="TokenizerTrainingOptions.Strict"/> and <see cref="TokenizerTrainingOptions.Threads"/> hold for reading
    /// too.</param>
    /// <param name="measure">Whether fertility is measured.</param>
    /// <param name="progress">Told now and then, while measuring from any thread but never from two at once.</param>
    /// <param name="cancellation">Ends it; nothing was written.</param>
    /// <exception cref="DataFormatException">A source has no texts, a line is malformed, a field is missing; the message has file and line.</exception>
    /// <exception cref="TokenizerTrainingException">Settings out of range, texts without a word, or a vocabulary larger than the texts support.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static TokenizerOfSources Train(
        IReadOnlyList<DataSource> sources, TokenizerKind kind, TokenizerTrainingOptions options, bool measure = true,
            IProgress<TokenizerStageProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(sources);
        ArgumentNullException.ThrowIfNull(options);
        List<SourceTextFile> files = SourceTextFile.FindAll(sources, cancellation);
        long total = files.Sum(file => file.File.Length), invalidBytes = 0;

        IEnumerable<ReadOnlyMemory<byte>> ReadAll()
        {
            long before = 0;
            foreach (SourceTextFile file in files)
            {
                void Report(long done, long invalid)
                {
                    invalidBytes += invalid;
                    progress?.Report(new TokenizerStageProgress(TokenizerStage.Reading, before + done, total));
                }

                foreach (ReadOnlyMemory<byte> text in file.Read(options.Strict, Report, cancellation))
                {
                    yield return text;
                }

                before += file.File.Length;
            }
        }

        TrainedTokenizer trained = TokenizerTrainer.Train(kind, ReadAll(), options, progress is null ? null : new StageProgress(progress), cancellation);
        return new TokenizerOfSources(trained, measure ? Measure(trained, files, options, progress, cancellation) : [], invalidBytes);
    }

    private static List<Fertility> Measure(
        TrainedTokenizer trained, List<SourceTextFile> files, TokenizerTrainingOptions options, IProgress<TokenizerStageProgress>? progress,
            CancellationToken cancellation)
    {
        Fertility[] measured = new Fertility[files.Count];
        long total = files.Sum(file => file.File.Length), done = 0;
        Lock gate = new();
        Parallel.For(0, files.Count, new ParallelOptions { MaxDegreeOfParallelism = options.Threads, CancellationToken = cancellation }, i =>
        {
            long before = 0;
            void Report(long read, long invalid)
            {
                lock (gate)
                {
                    done += read - before;
                    before = read;
                    progress?.Report(new TokenizerStageProgress(TokenizerStage.Measuring, done, total));
                }
            }

            measured[i] = Fertility.Measure(trained.Tokenizer, files[i].Name, files[i].Read(options.Strict, Report, cancellation), null, cancellation);
        });
        return [.. measured.Where(file => file.Tokens > 0)];
    }

    private sealed class StageProgress(IProgress<TokenizerStageProgress> progress) : IProgress<TokenizerTrainingProgress>
    {
        public void Report(TokenizerTrainingProgress value)
        {
            if (value.Stage != TokenizerTrainingStage.Counting) // reading says that with a total
            {
                TokenizerStage stage = value.Stage == TokenizerTrainingStage.Merging ? TokenizerStage.Merging : TokenizerStage.Pruning;
                progress.Report(new TokenizerStageProgress(stage, value.Done, value.Total));
            }
        }
    }
}
