using System.Text.Json;
using Kidogo.Inference.Sampling;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Inference;

public sealed class SamplerGoldenTests
{
    /// <summary>The reference computes in float32 and its README states this tolerance.</summary>
    private const double ProbabilityTolerance = 1e-5;

    /// <summary>Mu is compared after one step from the reference's mu: only float32 rounding of one probability lies between.</summary>
    private const double MuTolerance = 2e-5;

    private const int ContextLength = 1024;

    [SharedFact]
    public void Distribution_EveryLlamaCase_EqualsTheReference()
    {
        int compared = 0;
        foreach (string name in GoldenSampling.Names("llama"))
        {
            foreach (string vector in GoldenSampling.Vectors)
            {
                float[] logits = GoldenSampling.Logits(vector);
                Sampler sampler = new(GoldenSampling.Options(name), logits.Length, ContextLength);
                sampler.AcceptPrompt(GoldenSampling.History("llama", name));
                float[] actual = new float[logits.Length];
                sampler.Distribution(logits, actual);
                Assert.True(actual.Count(p => p > 0) == GoldenSampling.Case("llama", name).GetProperty("kept").GetProperty(vector).GetInt32(),
                    $"{name}/{vector}: {actual.Count(p => p > 0)} tokens are left.");
                if (GoldenSampling.Distribution("llama", name, vector) is { } expected)
                {
                    AssertEqual(expected, actual, $"{name}/{vector}");
                    compared++;
                }
            }
        }

        Assert.True(compared > 100, $"Only {compared} distributions were compared.");
    }

    [SharedTheory]
    [InlineData("temperature_0.7")]
    [InlineData("top_k_10")]
    [InlineData("top_p_0.9")]
    [InlineData("top_p_0.5")]
    [InlineData("top_p_0.1_keep_4")]
    [InlineData("min_p_0.05")]
    [InlineData("typical_0.9")]
    [InlineData("typical_0.4")]
    [InlineData("repetition_1.3")]
    public void Distribution_CaseSharedWithTransformers_EqualsItsProcessor(string name)
    {
        foreach (string vector in GoldenSampling.Vectors.Where(v => v != "ties"))
        {
            float[] logits = GoldenSampling.Logits(vector);
            Sampler sampler = new(GoldenSampling.Options(name), logits.Length, ContextLength);
            sampler.AcceptPrompt(GoldenSampling.History("transformers", name));
            float[] actual = new float[logits.Length];
            sampler.Distribution(logits, actual);
            AssertEqual(GoldenSampling.Distribution("transformers", name, vector)!, actual, $"{name}/{vector}");
        }
    }

    [SharedTheory]
    [InlineData("mirostat", 1)]
    [InlineData("mirostat_v2", 2)]
    [InlineData("mirostat_v2_fast", 2)]
    public void Mirostat_GivenTheReferencesDraws_KeepsAndLearnsTheSame(string name, int version)
    {
        JsonElement golden = GoldenSampling.Case("mirostat", name);
        foreach (JsonProperty vector in golden.GetProperty("steps").EnumerateObject())
        {
            float[] logits = GoldenSampling.Logits(vector.Name);
            float[] actual = new float[logits.Length];
            Sampler sampler = new(
                new SamplerOptions
                {
                    Temperature = 1, Mirostat = version, MirostatTau = golden.GetProperty("tau").GetDouble(), MirostatEta = golden.GetProperty("eta").GetDouble(),
                },
                logits.Length,
                ContextLength);
            foreach (JsonElement step in vector.Value.EnumerateArray())
            {
                Assert.Equal(step.GetProperty("mu").GetDouble(), sampler.MirostatMu, MuTolerance * 8); // eight steps add up
                sampler.Distribution(logits, actual);
                Assert.Equal(step.GetProperty("kept").GetInt32(), actual.Count(p => p > 0));
                sampler.ObserveDraw(actual[step.GetProperty("chosen").GetInt32()]);
                Assert.Equal(step.GetProperty("mu_after").GetDouble(), sampler.MirostatMu, MuTolerance * 8);
            }
        }
    }

    private static void AssertEqual(float[] expected, float[] actual, string what)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= ProbabilityTolerance && (expected[i] == 0) == (actual[i] == 0),
                $"{what}: token {i} has {actual[i]:g9}, expected {expected[i]:g9}.");
        }
    }
}
