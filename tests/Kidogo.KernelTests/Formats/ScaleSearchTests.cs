// The searches of the encoders: eight lanes find to the bit what the scalar twin finds for each group alone. Knows no formats' layouts.
using System.Runtime.Intrinsics;
using Kidogo.Tensors.Formats;
using Kidogo.Tensors.Formats.Encoding;

namespace Kidogo.KernelTests.Formats;

public sealed class ScaleSearchTests
{
    private const int Trials = 60;

    public static TheoryData<int, int> SymmetricGrids => new() { { 32, 8 }, { 32, 16 }, { 16, 4 }, { 16, 32 } };

    [Theory]
    [MemberData(nameof(SymmetricGrids))]
    public void SymmetricScale_EightGroups_EqualTheScalarTwin(int size, int limit)
    {
        Vector256<float>[] x = new Vector256<float>[size];
        Vector256<float>[] w = new Vector256<float>[size];
        Vector256<int>[] lanes = new Vector256<int>[size];
        byte[] expected = new byte[size];
        byte[] actual = new byte[8 * size];
        for (int trial = 0; trial < Trials; trial++)
        {
            float[] weights = Groups(size, trial);
            float[] importance = Importance(size, trial);
            GroupLanes.Load(weights, x);
            GroupLanes.Load(importance, w);
            Vector256<float> scales = SymmetricScale.Search(x, w, limit, lanes);
            GroupLanes.Store(lanes, actual);
            for (int group = 0; group < 8; group++)
            {
                float scale = SymmetricScale.SearchScalar(weights.AsSpan(group * size, size), importance.AsSpan(group * size, size), limit, expected);
                AssertBits.Equal([scale], [scales[group]], $"trial {trial}, group {group}");
                Assert.Equal(expected, actual[(group * size)..((group + 1) * size)]);
            }
        }
    }

    [Fact]
    public void SymmetricDescent_EightGroups_EqualTheScalarTwin()
    {
        const int Size = 16;
        Vector256<float>[] x = new Vector256<float>[Size];
        Vector256<int>[] lanes = new Vector256<int>[Size];
        byte[] expected = new byte[Size];
        byte[] actual = new byte[8 * Size];
        for (int trial = 0; trial < Trials; trial++)
        {
            float[] weights = Groups(Size, trial);
            GroupLanes.Load(weights, x);
            Vector256<float> scales = SymmetricDescent.Search(x, 4, lanes);
            GroupLanes.Store(lanes, actual);
            for (int group = 0; group < 8; group++)
            {
                float scale = SymmetricDescent.SearchScalar(weights.AsSpan(group * Size, Size), 4, expected);
                AssertBits.Equal([scale], [scales[group]], $"trial {trial}, group {group}");
                Assert.Equal(expected, actual[(group * Size)..((group + 1) * Size)]);
            }
        }
    }

    [Theory]
    [InlineData(16, 3, -0.5f, 0.1f, 15, true)]
    [InlineData(16, 3, -0.9f, 0.05f, 36, false)]
    [InlineData(32, 15, -1f, 0.1f, 20, false)]
    [InlineData(32, 31, -0.9f, 0.05f, 36, false)]
    public void AffineScale_EightGroups_EqualTheScalarTwin(int size, int top, float first, float delta, int count, bool absolute)
    {
        AffineSteps steps = new(top, first, delta, count, absolute);
        Vector256<float>[] x = new Vector256<float>[size];
        Vector256<float>[] w = new Vector256<float>[size];
        Vector256<int>[] lanes = new Vector256<int>[size];
        byte[] expected = new byte[size];
        byte[] actual = new byte[8 * size];
        for (int trial = 0; trial < Trials; trial++)
        {
            float[] weights = Groups(size, trial);
            float[] importance = Importance(size, trial);
            GroupLanes.Load(weights, x);
            GroupLanes.Load(importance, w);
            Vector256<float> scales = AffineScale.Search(x, w, steps, lanes, out Vector256<float> depths);
            GroupLanes.Store(lanes, actual);
            for (int group = 0; group < 8; group++)
            {
                float scale = AffineScale.SearchScalar(weights.AsSpan(group * size, size), importance.AsSpan(group * size, size), steps, expected,
                    out float depth);
                AssertBits.Equal([scale, depth], [scales[group], depths[group]], $"trial {trial}, group {group}");
                Assert.Equal(expected, actual[(group * size)..((group + 1) * size)]);
            }
        }
    }

    [Fact]
    public void LevelScale_EightGroups_EqualTheScalarTwin()
    {
        const int Size = 32;
        Vector256<float>[] x = new Vector256<float>[Size];
        Vector256<float>[] w = new Vector256<float>[Size];
        for (int trial = 0; trial < Trials; trial++)
        {
            float[] weights = Groups(Size, trial);
            float[] importance = Importance(Size, trial);
            GroupLanes.Load(weights, x);
            GroupLanes.Load(importance, w);
            Vector256<float> scales = LevelScale.Search(x, w);
            for (int group = 0; group < 8; group++)
            {
                float scale = LevelScale.SearchScalar(weights.AsSpan(group * Size, Size), importance.AsSpan(group * Size, Size));
                AssertBits.Equal([scale], [scales[group]], $"trial {trial}, group {group}");
            }
        }
    }

    /// <summary>Every half from -128 to 128 and its neighbours: the nearest level, at a middle the upper one.</summary>
    [Fact]
    public void LevelScale_Nearest_IsTheNearestLevel()
    {
        for (int half = -256; half <= 256; half++)
        {
            foreach (float value in (float[])[MathF.BitDecrement(half / 2f), half / 2f, MathF.BitIncrement(half / 2f)])
            {
                int nearest = 0;
                for (int code = 1; code < 16; code++)
                {
                    nearest = Math.Abs((double)value - IQ4_NL.Levels[code]) <= Math.Abs((double)value - IQ4_NL.Levels[nearest]) ? code : nearest;
                }

                Assert.Equal(nearest, LevelScale.NearestScalar(value));
                Assert.Equal(Vector256.Create(nearest), LevelScale.Nearest(Vector256.Create(value)));
            }
        }
    }

    [Fact]
    public void Round_AnyBits_EqualsTheScalarTwin()
    {
        Pseudorandom random = new(3);
        for (int i = 0; i < 20_000; i++)
        {
            float value = i < 2000 ? (i - 1000) / 2f : BitConverter.UInt32BitsToSingle((uint)random.Next());
            Assert.Equal(Vector256.Create(GroupLanes.Round(value)), GroupLanes.Round(Vector256.Create(value)));
            if (Math.Abs(value) < 4e6f)
            {
                Assert.Equal((int)MathF.Round(value), GroupLanes.Round(value));
            }
        }
    }

    [Fact]
    public void PlainRounding_EqualsTheScalarTwins()
    {
        Pseudorandom random = new(4);
        byte[] expected = new byte[32];
        byte[] actual = new byte[32];
        sbyte[] expectedSigned = new sbyte[32];
        sbyte[] actualSigned = new sbyte[32];
        for (int trial = 0; trial < 2000; trial++)
        {
            float[] x = random.Floats(32, 8);
            if (trial % 2 == 0)
            {
                for (int i = 0; i < 32; i++)
                {
                    x[i] = MathF.Round(x[i] * 2) / 2; // ties
                }

                x[3] = 0.49999997f;
                x[4] = -0.49999997f;
            }

            PlainRounding.RoundScalar(x, 0, 1, 8.5f, 15, expected);
            PlainRounding.Round(x, 0, 1, 8.5f, 15, actual);
            Assert.Equal(expected, actual);
            PlainRounding.RoundAwayFromZeroScalar(x, trial % 2 == 0 ? 1 : 15.7f, expectedSigned);
            PlainRounding.RoundAwayFromZero(x, trial % 2 == 0 ? 1 : 15.7f, actualSigned);
            Assert.Equal(expectedSigned, actualSigned);
            FourBitFloat.RoundScalar(x, 0.5f, expected);
            FourBitFloat.Round(x, 0.5f, actual);
            Assert.Equal(expected, actual);
        }
    }

    public static TheoryData<string> Lattices => new("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1");

    [Theory]
    [MemberData(nameof(Lattices))]
    public void CodebookLattice_Nearest_EqualsTheScalarTwin(string name)
    {
        CodebookLattice lattice = Lattice(name);
        Pseudorandom random = new(5);
        byte[] digits = new byte[lattice.Dimensions];
        int offGrid = 0;
        for (int trial = 0; trial < 20_000; trial++)
        {
            for (int i = 0; i < digits.Length; i++)
            {
                digits[i] = (byte)random.Below(lattice.Levels);
            }

            int place = lattice.Place(digits);
            if (lattice.TryGetPoint(place, out int point))
            {
                byte[] own = new byte[digits.Length];
                lattice.CopyDigits(point, own);
                Assert.Equal(digits, own);
                Assert.Equal(digits.Select(digit => (2f * digit) + 1), lattice.OddCoordinates(point).ToArray());
                continue;
            }

            float[] x = [.. digits.Select(digit => (2 * digit) + 1 + random.Float())];
            float[] w = [.. digits.Select(_ => trial % 5 == 0 ? 0 : Math.Abs(random.Float()))];
            Assert.Equal(lattice.NearestScalar(place, x, w, 1.01f, 2, 1), lattice.Nearest(place, x, w, 1.01f, 2, 1));
            offGrid++;
        }

        Assert.True(offGrid > 1000);
    }

    /// <summary>The one neighbour that errs least for a place itself is at the least distance of all points.</summary>
    [Theory]
    [MemberData(nameof(Lattices))]
    public void CodebookLattice_Neighbours_HoldTheNearestPoint(string name)
    {
        CodebookLattice lattice = Lattice(name);
        Pseudorandom random = new(6);
        byte[] digits = new byte[lattice.Dimensions];
        byte[] other = new byte[lattice.Dimensions];
        float[] ones = [.. Enumerable.Repeat(1f, lattice.Dimensions)];
        for (int trial = 0; trial < 100; trial++)
        {
            for (int i = 0; i < digits.Length; i++)
            {
                digits[i] = (byte)random.Below(lattice.Levels);
            }

            if (lattice.TryGetPoint(lattice.Place(digits), out _))
            {
                continue;
            }

            int Distance(int point)
            {
                lattice.CopyDigits(point, other);
                return digits.Zip(other, (a, b) => (a - b) * (a - b)).Sum();
            }

            int nearest = Enumerable.Range(0, lattice.Points).MinBy(Distance);
            Assert.Equal(nearest, lattice.Nearest(lattice.Place(digits), [.. digits.Select(digit => (float)digit)], ones, 1, 1, 0));
        }
    }

    private static CodebookLattice Lattice(string name) => name switch
    {
        "IQ2_XXS" => CodebookLattice.IQ2_XXS,
        "IQ2_XS" => CodebookLattice.IQ2_XS,
        "IQ2_S" => CodebookLattice.IQ2_S,
        "IQ3_XXS" => CodebookLattice.IQ3_XXS,
        "IQ3_S" => CodebookLattice.IQ3_S,
        _ => CodebookLattice.IQ1,
    };

    /// <summary>Eight groups of as many kinds: zeros, one weight, ties, all negative, tiny, large, denormal, common.</summary>
    private static float[] Groups(int size, int trial)
    {
        Pseudorandom random = new((ulong)trial);
        float[] weights = new float[8 * size];
        for (int i = 0; i < weights.Length; i++)
        {
            float value = random.Float() * random.Float();
            weights[i] = ((i / size) + trial) % 8 switch
            {
                0 => 0,
                1 => i % size == trial % size ? value : 0,
                2 => MathF.Round(value * 8) / 8,
                3 => -Math.Abs(value) - 0.01f,
                4 => value * 1e-7f,
                5 => value * 1e4f,
                6 => value * 1e-20f * 1e-20f,
                _ => value,
            };
        }

        return weights;
    }

    private static float[] Importance(int size, int trial)
    {
        Pseudorandom random = new((ulong)(1000 + trial));
        float[] importance = new float[8 * size];
        for (int i = 0; i < importance.Length; i++)
        {
            importance[i] = trial % 9 == 0 && i % 3 == 0 ? 0 : Math.Abs(random.Float());
        }

        return importance;
    }
}
