// What a machine can do, measured here in under a second or typical of its kind, and what it draws. Knows no models.
using Kidogo.Evaluation.Machine;

namespace Kidogo.Catalog.Advice;

/// <summary>What speed, memory and energy are computed from.</summary>
/// <param name="AvailableBytes">Memory that a model may take.</param>
/// <param name="BandwidthBytesPerSecond">How fast memory is read.</param>
/// <param name="FloatsPerSecond">Float32 operations a second of all cores.</param>
/// <param name="Watts">What it draws at work: an estimate, with what it is based on in <paramref name="WattsSource"/>.</param>
/// <param name="WattsSource">Where the watts come from.</param>
/// <param name="IsMeasured">Whether memory, bandwidth and operations were measured on this machine; else they are typical of a kind.</param>
public sealed record AdvisedMachine(long AvailableBytes, double BandwidthBytesPerSecond, double FloatsPerSecond, double Watts, string WattsSource, bool IsMeasured)
{
    /// <summary>Share of the bandwidth that decoding reaches; docs/how-to/advise.md has the measurements.</summary>
    private const double DecodeShare = 0.65;

    /// <summary>Operations of a prompt for each float32 operation of the probe: weights of few bits are multiplied as whole numbers, which are faster.</summary>
    private const double PrefillShare = 1.0;

    private const double IdleWatts = 10, WattsPerCore = 5;
    private const double GiB = 1024.0 * 1024 * 1024;
    private static readonly TimeSpan s_measuring = TimeSpan.FromMilliseconds(300);

    /// <summary>Measures this machine: memory for 0.3 seconds, arithmetic for about as long.</summary>
    /// <param name="threads">Threads to compute with.</param>
    public static AdvisedMachine Measure(int threads)
    {
        MachineMemory memory = MachineMemory.Read();
        double bandwidth = MemoryBandwidth.Measure(threads, memory, s_measuring);
        return new AdvisedMachine(
            memory.AvailableBytes, bandwidth, FmaPeak.Measure(threads) * 1e9, IdleWatts + (WattsPerCore * threads), FormattableString.Invariant($"estimated: {IdleWatts} W and {WattsPerCore} W for each of {threads} cores"), IsMeasured: true);
    }

    /// <summary>The machine that is meant by an answer.</summary>
    /// <param name="computer">The answer.</param>
    /// <param name="here">This machine.</param>
    public static AdvisedMachine Of(Computer computer, AdvisedMachine here) => computer switch
    {
        Computer.Board => Typical(2.5, 6e9, 20e9, 7),
        Computer.Phone => Typical(3, 15e9, 60e9, 5),
        Computer.Laptop => Typical(10, 35e9, 300e9, 30),
        Computer.Server => Typical(56, 120e9, 1500e9, 200),
        _ => here,
    };

    /// <summary>What running a candidate would be like.</summary>
    /// <param name="candidate">The model.</param>
    /// <param name="conversations">Conversations at once.</param>
    public Expectation Expect(Candidate candidate, int conversations)
    {
        long cache = candidate.Context(Expectation.ContextTokens) * candidate.CacheBytesPerToken;
        double read = candidate.WeightBytes + (conversations * cache / 2.0); // the cache is half full on the average
        double step = Math.Max(read / (BandwidthBytesPerSecond * DecodeShare), 2.0 * candidate.Parameters * conversations / (FloatsPerSecond * PrefillShare));
        double first = 2.0 * candidate.Parameters * Expectation.PromptTokens / (FloatsPerSecond * PrefillShare);
        double joules = Watts * step / conversations;
        return new Expectation(1 / step, Expectation.PromptTokens / first, first + step, candidate.WeightBytes + (conversations * cache) + candidate.WorkspaceBytes, joules, Watts * ((first / conversations) + (Expectation.AnswerTokens * step / conversations)));
    }

    /// <summary>Energy of a token for which so many bytes are read: an estimate, as the watts are.</summary>
    public double JoulesPerToken(long bytes) => Watts * bytes / (BandwidthBytesPerSecond * DecodeShare);

    private static AdvisedMachine Typical(double gibibytes, double bandwidth, double floats, double watts) =>
        new((long)(gibibytes * GiB), bandwidth, floats, watts, FormattableString.Invariant($"estimated: {watts} W are typical of its kind"), IsMeasured: false);
}

/// <summary>Speed, memory and energy of a model on a machine.</summary>
/// <param name="DecodeTokensPerSecond">Tokens a second of one conversation.</param>
/// <param name="PrefillTokensPerSecond">Tokens of a prompt a second.</param>
/// <param name="FirstTokenSeconds">Until the first word after a prompt of <see cref="PromptTokens"/>.</param>
/// <param name="MemoryBytes">Weights, cache of <see cref="ContextTokens"/>, activations.</param>
/// <param name="JoulesPerToken">Energy of a token.</param>
/// <param name="JoulesPerAnswer">Energy of a prompt of <see cref="PromptTokens"/> and an answer of <see cref="AnswerTokens"/>.</param>
public sealed record Expectation(double DecodeTokensPerSecond, double PrefillTokensPerSecond, double FirstTokenSeconds, long MemoryBytes, double JoulesPerToken, double JoulesPerAnswer)
{
    /// <summary>Tokens of the context that memory is counted for.</summary>
    public const int ContextTokens = 4096;

    /// <summary>Tokens of the question that times and costs are counted for.</summary>
    public const int PromptTokens = 256;

    /// <summary>Tokens of the answer.</summary>
    public const int AnswerTokens = 200;
}
