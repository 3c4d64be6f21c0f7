// The inner loops of optimisers: weights, gradients and up to two states in one pass. Knows no schedules and no names.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Kidogo.Tensors.Kernels;

/// <summary>How one weight changes by its gradient. The vector form does to every lane, operation by operation, what the scalar form does.</summary>
internal interface IUpdate
{
    /// <summary>Values kept for each weight: 0, 1 or 2.</summary>
    static abstract int States { get; }

    /// <summary>Changes a vector of weights <paramref name="w"/> and their states.</summary>
    void Apply(ref Vector<float> w, Vector<float> g, ref Vector<float> m, ref Vector<float> v);

    /// <summary>The twin for one weight.</summary>
    void ApplyScalar(ref float w, float g, ref float m, ref float v);
}

/// <summary>Runs an update over spans.</summary>
internal static class UpdateKernel
{
    /// <summary>Changes weights and states by the gradients, and clears the gradients.</summary>
    /// <param name="update">The rule.</param>
    /// <param name="w">[n]</param>
    /// <param name="g">[n]; zeros afterwards.</param>
    /// <param name="m">[n], or empty where the rule keeps nothing.</param>
    /// <param name="v">[n], or empty where the rule keeps one value.</param>
    /// <remarks>
    /// A lane is one weight, and no lane looks at another; nothing is fused and the order of operations is the scalar twin's, so every width gives the same bits.
    /// What does not fill a vector goes through the twin.
    /// </remarks>
    public static void Run<TUpdate>(TUpdate update, Span<float> w, Span<float> g, Span<float> m, Span<float> v)
        where TUpdate : struct, IUpdate
    {
        Check<TUpdate>(w, g, m, v);
        ref float rw = ref MemoryMarshal.GetReference(w);
        ref float rg = ref MemoryMarshal.GetReference(g);
        ref float rm = ref MemoryMarshal.GetReference(m);
        ref float rv = ref MemoryMarshal.GetReference(v);
        int i = 0;
        for (; i <= w.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            nuint at = (nuint)i;
            Vector<float> weight = Vector.LoadUnsafe(ref rw, at);
            Vector<float> first = TUpdate.States > 0 ? Vector.LoadUnsafe(ref rm, at) : default;
            Vector<float> second = TUpdate.States > 1 ? Vector.LoadUnsafe(ref rv, at) : default;
            update.Apply(ref weight, Vector.LoadUnsafe(ref rg, at), ref first, ref second);
            weight.StoreUnsafe(ref rw, at);
            Vector<float>.Zero.StoreUnsafe(ref rg, at);
            if (TUpdate.States > 0)
            {
                first.StoreUnsafe(ref rm, at);
            }

            if (TUpdate.States > 1)
            {
                second.StoreUnsafe(ref rv, at);
            }
        }

        RunScalar(update, w[i..], g[i..], TUpdate.States > 0 ? m[i..] : default, TUpdate.States > 1 ? v[i..] : default);
    }

    /// <summary>The scalar twin of <see cref="Run"/>.</summary>
    public static void RunScalar<TUpdate>(TUpdate update, Span<float> w, Span<float> g, Span<float> m, Span<float> v)
        where TUpdate : struct, IUpdate
    {
        Check<TUpdate>(w, g, m, v);
        float none = 0;
        for (int i = 0; i < w.Length; i++)
        {
            ref float first = ref TUpdate.States > 0 ? ref m[i] : ref none;
            ref float second = ref TUpdate.States > 1 ? ref v[i] : ref none;
            update.ApplyScalar(ref w[i], g[i], ref first, ref second);
            g[i] = 0;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Check<TUpdate>(Span<float> w, Span<float> g, Span<float> m, Span<float> v)
        where TUpdate : struct, IUpdate
    {
        if (g.Length != w.Length || (TUpdate.States > 0 && m.Length != w.Length) || (TUpdate.States > 1 && v.Length != w.Length))
        {
            throw new ArgumentException($"{w.Length} weights meet {g.Length} gradients and states of {m.Length} and {v.Length}.");
        }
    }
}

/// <summary>AdamW (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2).</summary>
/// <param name="Scale">What gradients are multiplied by.</param>
/// <param name="Keep">1 - learning rate · decay.</param>
/// <param name="Beta1">Share of the first moment that stays.</param>
/// <param name="Beta2">Share of the second moment that stays.</param>
/// <param name="StepSize">learning rate / (1 - β₁ᵗ)</param>
/// <param name="RootFactor">1 / √(1 - β₂ᵗ)</param>
/// <param name="Epsilon">Added to the root.</param>
internal readonly record struct AdamWUpdate(float Scale, float Keep, float Beta1, float Beta2, float StepSize, float RootFactor, float Epsilon) : IUpdate
{
    public static int States => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply(ref Vector<float> w, Vector<float> g, ref Vector<float> m, ref Vector<float> v)
    {
        g *= new Vector<float>(Scale);
        m = (m * new Vector<float>(Beta1)) + (g * new Vector<float>(1 - Beta1));
        v = (v * new Vector<float>(Beta2)) + (g * g * new Vector<float>(1 - Beta2));
        Vector<float> root = (Vector.SquareRoot(v) * new Vector<float>(RootFactor)) + new Vector<float>(Epsilon);
        w = (w * new Vector<float>(Keep)) - (new Vector<float>(StepSize) * (m / root));
    }

    public void ApplyScalar(ref float w, float g, ref float m, ref float v)
    {
        g *= Scale;
        m = (m * Beta1) + (g * (1 - Beta1));
        v = (v * Beta2) + (g * g * (1 - Beta2));
        float root = (MathF.Sqrt(v) * RootFactor) + Epsilon;
        w = (w * Keep) - (StepSize * (m / root));
    }
}

/// <summary>Gradient descent without momentum; decay is added to the gradient.</summary>
/// <param name="Scale">What gradients are multiplied by.</param>
/// <param name="Decay">Times the weight is added to the gradient.</param>
/// <param name="Rate">The learning rate.</param>
internal readonly record struct DescentUpdate(float Scale, float Decay, float Rate) : IUpdate
{
    public static int States => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply(ref Vector<float> w, Vector<float> g, ref Vector<float> m, ref Vector<float> v) =>
        w -= new Vector<float>(Rate) * ((g * new Vector<float>(Scale)) + (w * new Vector<float>(Decay)));

    public void ApplyScalar(ref float w, float g, ref float m, ref float v) => w -= Rate * ((g * Scale) + (w * Decay));
}

/// <summary>Gradient descent with momentum (Sutskever et al. 2013, in PyTorch's form): b ← μ b + g, w ← w - rate · b, or with Nesterov w ← w - rate · (g + μ b).</summary>
/// <param name="Scale">What gradients are multiplied by.</param>
/// <param name="Decay">Times the weight is added to the gradient.</param>
/// <param name="Rate">The learning rate.</param>
/// <param name="Momentum">μ.</param>
/// <param name="Nesterov">1 to look ahead, 0 not to.</param>
internal readonly record struct MomentumUpdate(float Scale, float Decay, float Rate, float Momentum, bool Nesterov) : IUpdate
{
    public static int States => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply(ref Vector<float> w, Vector<float> g, ref Vector<float> m, ref Vector<float> v)
    {
        g = (g * new Vector<float>(Scale)) + (w * new Vector<float>(Decay));
        m = (m * new Vector<float>(Momentum)) + g;
        w -= new Vector<float>(Rate) * (Nesterov ? g + (m * new Vector<float>(Momentum)) : m);
    }

    public void ApplyScalar(ref float w, float g, ref float m, ref float v)
    {
        g = (g * Scale) + (w * Decay);
        m = (m * Momentum) + g;
        w -= Rate * (Nesterov ? g + (m * Momentum) : m);
    }
}

/// <summary>Lion (Chen et al., arXiv 2302.06675, algorithm 2): the sign of a blend of momentum and gradient. The sign of 0 is 0.</summary>
/// <param name="Scale">What gradients are multiplied by.</param>
/// <param name="Keep">1 - learning rate · decay.</param>
/// <param name="Rate">The learning rate.</param>
/// <param name="Beta1">Share of the momentum in the blend.</param>
/// <param name="Beta2">Share of the momentum that stays.</param>
internal readonly record struct LionUpdate(float Scale, float Keep, float Rate, float Beta1, float Beta2) : IUpdate
{
    public static int States => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply(ref Vector<float> w, Vector<float> g, ref Vector<float> m, ref Vector<float> v)
    {
        g *= new Vector<float>(Scale);
        Vector<float> blend = (m * new Vector<float>(Beta1)) + (g * new Vector<float>(1 - Beta1));
        Vector<float> rate = new(Rate);
        Vector<float> change = Vector.ConditionalSelect(Vector.GreaterThan(blend, Vector<float>.Zero), rate, Vector.ConditionalSelect(Vector.LessThan(blend, Vector<float>.Zero), -rate, Vector<float>.Zero));
        w = (w * new Vector<float>(Keep)) - change;
        m = (m * new Vector<float>(Beta2)) + (g * new Vector<float>(1 - Beta2));
    }

    public void ApplyScalar(ref float w, float g, ref float m, ref float v)
    {
        g *= Scale;
        float blend = (m * Beta1) + (g * (1 - Beta1));
        float change = blend > 0 ? Rate : blend < 0 ? -Rate : 0;
        w = (w * Keep) - change;
        m = (m * Beta2) + (g * (1 - Beta2));
    }
}

/// <summary>The momentum of Muon: m ← μ m + (1 - μ) g, and in place of the gradient the direction (1 - μ) g + μ m. The weight is not touched.</summary>
/// <param name="Scale">What gradients are multiplied by.</param>
/// <param name="Momentum">μ.</param>
internal readonly record struct BlendUpdate(float Scale, float Momentum) : IUpdate
{
    public static int States => 1;

    // Here w is the direction that comes out, so the gradient may be cleared as in every update.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply(ref Vector<float> w, Vector<float> g, ref Vector<float> m, ref Vector<float> v)
    {
        g *= new Vector<float>(Scale);
        m = (m * new Vector<float>(Momentum)) + (g * new Vector<float>(1 - Momentum));
        w = (g * new Vector<float>(1 - Momentum)) + (m * new Vector<float>(Momentum));
    }

    public void ApplyScalar(ref float w, float g, ref float m, ref float v)
    {
        g *= Scale;
        m = (m * Momentum) + (g * (1 - Momentum));
        w = (g * (1 - Momentum)) + (m * Momentum);
    }
}
