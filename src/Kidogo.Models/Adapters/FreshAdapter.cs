// An adapter before its first step of training. Knows no files and no optimiser.
using Kidogo.Models.Families;
using Kidogo.Models.Layers;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models.Adapters;

/// <summary>Which kind of adapter.</summary>
public enum AdapterMethod
{
    /// <summary>LoRA (Hu et al., arXiv 2106.09685): ΔW = α / r · B A.</summary>
    Lora,

    /// <summary>Rank-stabilised LoRA (Kalajdzievski, arXiv 2312.03732): ΔW = α / √r · B A.</summary>
    RankStabilized,

    /// <summary>DoRA (Liu et al., arXiv 2402.09353): LoRA for the directions of rows, and their lengths beside.</summary>
    Dora,

    /// <summary>PiSSA (Meng et al., arXiv 2404.02948): LoRA that begins at the matrix's own principal components. They are taken off again, so the base stays as it is.</summary>
    Pissa,
}

/// <summary>What a new adapter is.</summary>
public sealed record FreshAdapterOptions
{
    /// <summary>The kind. Default LoRA.</summary>
    public AdapterMethod Method { get; init; } = AdapterMethod.Lora;

    /// <summary>r, 1 or more. Default 8. A matrix with a shorter side gets that.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>α, above 0. Default 16.</summary>
    public double Alpha { get; init; } = 16;

    /// <summary>Which linear layers: names of modules (<c>q_proj</c>) or slots (<c>attn_q</c>), whole names (<c>blk.0.attn_q</c>), patterns with <c>*</c>, or <c>all</c>: all but the head. Default all.</summary>
    public IReadOnlyList<string> Targets { get; init; } = ["all"];
}

/// <summary>Makes adapters that change nothing yet.</summary>
public static class FreshAdapter
{
    /// <summary>An adapter whose weights depend on the seed and the names of slots only.</summary>
    /// <param name="model">The base.</param>
    /// <param name="family">Its family, which knows the names of modules.</param>
    /// <param name="options">What it is.</param>
    /// <param name="seed">Any number.</param>
    /// <param name="context">Lends its threads.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="origin">What is known of the base.</param>
    /// <exception cref="ArgumentException">A target matches no linear layer, or a number is out of range.</exception>
    public static Adapter Create(DecoderModel model, ModelFamily family, FreshAdapterOptions options, ulong seed, ComputeContext context, string name, AdapterOrigin? origin = null)
    {
        if (options.Rank < 1 || !(options.Alpha > 0))
        {
            throw new ArgumentException($"An adapter of rank {options.Rank} and alpha {options.Alpha}: the rank must be 1 or more, and alpha above 0.", nameof(options));
        }

        Linear[] slots = [.. Targets(model, family, options)];
        SlotChange[] changes = new SlotChange[slots.Length];
        Parallel.For(0, slots.Length, new ParallelOptions { MaxDegreeOfParallelism = context.Team.Threads }, i => changes[i] = Start(slots[i], options, seed));
        for (int i = 0; i < slots.Length && options.Method == AdapterMethod.Dora; i++)
        {
            Tensor lengths = MagnitudeOp.RowLengths(context, slots[i].Weight, changes[i].Change); // by the very sums that they will be divided by: the quotients are 1
            changes[i] = changes[i] with { Magnitudes = new Tensor(lengths.Span) };
        }

        if (context.IsTraining)
        {
            context.Forget();
        }

        return new Adapter(name, changes, origin);
    }

    private static SlotChange Start(Linear slot, FreshAdapterOptions options, ulong seed)
    {
        (int outputs, int inputs) = (slot.Weight.Rows, slot.Weight.Columns);
        int rank = Math.Min(options.Rank, Math.Min(outputs, inputs));
        float scale = (float)(options.Alpha / (options.Method == AdapterMethod.RankStabilized ? Math.Sqrt(rank) : rank));
        if (options.Method == AdapterMethod.Pissa)
        {
            (Tensor principalA, Tensor principalB) = PrincipalComponents.Of(slot.Weight, rank, scale, PlacedDraws.Stream($"{slot.Name}.pissa", seed));
            return new SlotChange(slot.Name, new LowRankChange(Copy(principalA), Copy(principalB), scale, principalA, principalB));
        }

        Tensor a = new(rank, inputs);
        PlacedDraws.Uniform(a.Span, PlacedDraws.Stream($"{slot.Name}.lora_a", seed), 1 / Math.Sqrt(inputs)); // Kaiming's, with a = √5, as PEFT
        return new SlotChange(slot.Name, new LowRankChange(a, new Tensor(outputs, rank), scale));
    }

    private static Tensor Copy(Tensor values)
    {
        Tensor copy = new(values.Rows, values.Columns);
        values.Span.CopyTo(copy.Span);
        return copy;
    }

    /// <summary>The linear layers that are meant. Where the family's files fuse matrices, all parts of one are meant together: files could not say otherwise.</summary>
    private static List<Linear> Targets(DecoderModel model, ModelFamily family, FreshAdapterOptions options)
    {
        Linear[] all = [.. model.Slots().OfType<Linear>()];
        Dictionary<string, string[]> names = all.ToDictionary(slot => slot.Name, slot => Names(family.ForHuggingFace(model.Config), slot.Name), StringComparer.Ordinal);
        HashSet<string> meant = new(StringComparer.Ordinal);
        foreach (string target in options.Targets)
        {
            string[] found = target is "all" or "all-linear" ? [.. all.Where(slot => slot.Name != "output").Select(slot => slot.Name)]
                : [.. names.Where(pair => pair.Value.Any(each => IsMatch(each, target))).Select(pair => pair.Key)];
            if (found.Length == 0)
            {
                string[] known = [.. names.Values.SelectMany(each => each).Where(each => !each.Contains('.', StringComparison.Ordinal)).Distinct()];
                throw new ArgumentException($"No linear layer of the model is called {target}.{(NearestName.Likely(target, known) is { } nearest ? $" The nearest is {nearest}." : "")} Names: all, {string.Join(", ", known)}; or whole names and patterns such as blk.0.attn_q and blk.*.ffn_*.", nameof(options));
            }

            meant.UnionWith(found);
        }

        HashSet<string> modules = [.. meant.Select(slot => names[slot][0])];
        return [.. all.Where(slot => modules.Contains(names[slot.Name][0]))];
    }

    /// <summary>What a slot is called: the whole name of its module first.</summary>
    private static string[] Names(ModelFamily family, string slot)
    {
        string stored = slot;
        if (CanonicalNames.TrySplitLayer($"{slot}.", out int layer, out string rest))
        {
            bool isQkv = rest is "attn_q." or "attn_k." or "attn_v.", isGate = rest is "ffn_gate.";
            stored = isQkv && family.FusesQkv ? CanonicalNames.InLayer(layer, "attn_qkv") : isGate && family.FusesGate ? CanonicalNames.InLayer(layer, "ffn_up") : slot;
        }

        string module = family.HuggingFaceName($"{stored}.weight")[..^".weight".Length];
        return [module, module[(module.LastIndexOf('.') + 1)..], slot, slot[(slot.LastIndexOf('.') + 1)..]];
    }

    /// <summary>Whether a name is, or ends after a dot with, what may have <c>*</c> for any letters.</summary>
    private static bool IsMatch(string name, string pattern) => !pattern.Contains('*', StringComparison.Ordinal)
        ? name == pattern || name.EndsWith($".{pattern}", StringComparison.Ordinal)
        : System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);
}
