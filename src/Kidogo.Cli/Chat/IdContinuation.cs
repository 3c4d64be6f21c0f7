// The ids that follow a prompt of ids, for models without a vocabulary. Knows no text.
using System.Diagnostics;
using System.Globalization;
using Kidogo.Cli.Shell;
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;

namespace Kidogo.Cli.Chat;

/// <summary>Continues ids with ids.</summary>
internal static class IdContinuation
{
    /// <summary>Prints the ids as they come, on one line; with <c>--json</c> the object of every answer, whose text is null.</summary>
    public static int Run(Session session, OpenModel open, IReadOnlyList<int> prompt, AnswerOptions how, int context, Tensors.KvFormat cache, bool json)
    {
        if (how.Generation.StopStrings.Count > 0)
        {
            throw new UsageException("--stop looks for a text, and the model has no tokenizer: its answer is ids.");
        }

        using CachedSequence sequence = new(open.Model, context, cache);
        using Generator generator = new(open.Model, open.Context);
        Sampler sampler = new(how.Generation.Sampling, open.Config.VocabSize, sequence.ContextLength);
        GeneratorOptions options = new() { MaxTokens = how.Generation.MaxTokens, Sinks = how.Sinks, IsEnd = how.EndTokens.Contains, Drafter = how.Drafter };
        List<int> ids = [];
        long start = Stopwatch.GetTimestamp();
        TimeSpan first = TimeSpan.Zero, last = TimeSpan.Zero;
        foreach (int id in generator.Generate(sequence, prompt, sampler, options, session.Interrupted))
        {
            last = Stopwatch.GetElapsedTime(start);
            first = ids.Count == 0 ? last : first;
            if (!json)
            {
                session.Output.Write(string.Create(CultureInfo.InvariantCulture, $"{(ids.Count == 0 ? "" : " ")}{id}"));
                session.Output.Flush();
            }

            ids.Add(id);
        }

        if (json)
        {
            JsonOutput.Write(session, writer =>
            {
                writer.WriteNull("text");
                writer.WriteNumbers("ids", [.. ids]);
                Answerer.WriteEnd(writer, generator.FinishReason, prompt.Count, ids.Count, first, ids.Count > 1 ? (ids.Count - 1) / (last - first).TotalSeconds : 0);
                if (how.Drafter is not null)
                {
                    Answerer.WriteGuesses(writer, generator.Speculation);
                }
            });
        }
        else
        {
            session.Output.WriteLine();
        }

        return generator.FinishReason == FinishReason.Cancelled ? ExitCode.Interrupted : ExitCode.Done;
    }
}
