using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;

namespace Kidogo.Tests.Inference;

public sealed class SamplerOptionsTests
{
    public static TheoryData<string, SamplerOptions> BadOptions()
    {
        SamplerOptions good = new();
        TheoryData<string, SamplerOptions> data = [];
        foreach (double bad in new[] { double.NaN, -0.1, double.PositiveInfinity, 1e9 })
        {
            data.Add(nameof(good.Temperature), good with { Temperature = bad });
            data.Add(nameof(good.DynamicTemperatureRange), good with { DynamicTemperatureRange = bad });
            data.Add(nameof(good.DynamicTemperatureExponent), good with { DynamicTemperatureExponent = bad });
            data.Add(nameof(good.TopP), good with { TopP = bad });
            data.Add(nameof(good.MinP), good with { MinP = bad });
            data.Add(nameof(good.TypicalP), good with { TypicalP = bad });
            data.Add(nameof(good.TopNSigma), good with { TopNSigma = bad });
            data.Add(nameof(good.XtcProbability), good with { XtcProbability = bad });
            data.Add(nameof(good.XtcThreshold), good with { XtcThreshold = bad });
            data.Add(nameof(good.RepetitionPenalty), good with { RepetitionPenalty = bad });
            data.Add(nameof(good.DryMultiplier), good with { DryMultiplier = bad });
            data.Add(nameof(good.DryBase), good with { DryBase = bad });
            data.Add(nameof(good.MirostatTau), good with { MirostatTau = bad });
            data.Add(nameof(good.MirostatEta), good with { MirostatEta = bad });
        }

        data.Add(nameof(good.FrequencyPenalty), good with { FrequencyPenalty = double.NaN });
        data.Add(nameof(good.PresencePenalty), good with { PresencePenalty = -101 });
        data.Add(nameof(good.TopK), good with { TopK = -1 });
        data.Add(nameof(good.MinKeep), good with { MinKeep = -1 });
        data.Add(nameof(good.PenaltyLastN), good with { PenaltyLastN = -2 });
        data.Add(nameof(good.DryPenaltyLastN), good with { DryPenaltyLastN = -2 });
        data.Add(nameof(good.DryAllowedLength), good with { DryAllowedLength = -1 });
        data.Add(nameof(good.DrySequenceBreakers), good with { DrySequenceBreakers = [[1], []] });
        data.Add(nameof(good.Mirostat), good with { Mirostat = 3 });
        data.Add(nameof(good.LogitBias), good with { LogitBias = new Dictionary<int, float> { [1] = float.NaN } });
        data.Add(nameof(good.LogitBias), good with { LogitBias = new Dictionary<int, float> { [1] = float.PositiveInfinity } });
        data.Add(nameof(good.LogitBias), good with { LogitBias = new Dictionary<int, float> { [-1] = 1 } });
        data.Add(nameof(good.Order), good with { Order = [SamplerStep.TopK, SamplerStep.TopK] });
        data.Add(nameof(good.Order), good with { Order = [(SamplerStep)99] });
        return data;
    }

    [Theory]
    [MemberData(nameof(BadOptions), DisableDiscoveryEnumeration = true)]
    public void Validate_FieldOutsideItsRange_NamesTheField(string field, SamplerOptions options)
    {
        Assert.Contains(field, Assert.Throws<ArgumentException>(options.Validate).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new Sampler(options, 100, 100));
        Assert.Throws<ArgumentException>(() => new GenerationOptions { Sampling = options }.Validate());
    }

    [Fact]
    public void Validate_NegativeTemperature_SaysRangeAndValue()
    {
        ArgumentException error = Assert.Throws<ArgumentException>((new SamplerOptions { Temperature = -0.5 }).Validate);
        Assert.Equal("Temperature is -0.5; it has to be from 0 to 100.", error.Message);
    }

    [Fact]
    public void Defaults_AreThePromisedOnes()
    {
        SamplerOptions options = new();
        options.Validate();
        Assert.Equal((0.8, 0.95, 40), (options.Temperature, options.TopP, options.TopK));
        Assert.Equal((0, 1, 1), (options.MinP, options.TypicalP, options.RepetitionPenalty));
        Assert.Equal((0, 0, 0), (options.FrequencyPenalty, options.PresencePenalty, options.DryMultiplier));
        Assert.Equal((0, 0, 0), (options.Mirostat, options.XtcProbability, options.TopNSigma));
        Assert.Equal(Enum.GetValues<SamplerStep>(), options.Order);
    }

    [Fact]
    public void WithModelDefaults_Given_ReplacesOnlyThose()
    {
        SamplerOptions merged = new SamplerOptions { Seed = 5 }.WithModelDefaults(new ModelSamplingDefaults { Temperature = 0.6, TopK = -1, RepetitionPenalty = 1.05 });
        Assert.Equal(new SamplerOptions { Seed = 5, LogitBias = merged.LogitBias, DrySequenceBreakers = merged.DrySequenceBreakers, Temperature = 0.6, TopK = 0, RepetitionPenalty = 1.05 }, merged);
    }

    [Fact]
    public void WithModelDefaults_DoSampleFalse_IsGreedy() =>
        Assert.True(new SamplerOptions().WithModelDefaults(new ModelSamplingDefaults { DoSample = false, Temperature = 0.6 }).IsGreedy);

    [Fact]
    public void WithModelDefaults_BadValue_IsIgnoredWithAWarning()
    {
        List<string> warnings = [];
        SamplerOptions merged = new SamplerOptions().WithModelDefaults(new ModelSamplingDefaults { TopP = 17, Temperature = double.NaN, MinP = 0.1 }, warnings.Add);
        Assert.Equal((0.95, 0.8, 0.1), (merged.TopP, merged.Temperature, merged.MinP));
        Assert.Equal(2, warnings.Count);
        Assert.Contains("TopP is 17", warnings[1], StringComparison.Ordinal);
    }

    [Fact]
    public void DryBreakers_FromStrings_FindsHoldersAndSplits()
    {
        // A word may hold the breaker, end with its beginning, or have nothing to do with it.
        string[] pieces = ["a", "\n", "x\ny", "<", "p</", "</s>", "s"];
        IReadOnlyList<IReadOnlyList<int>> found = DryBreakers.FromStrings(["\n", "</s>"], pieces, rest => [.. rest.Select(c => 100 + c)]);
        Assert.Equal([[1], [2], [3, 100 + '/', 100 + 's', 100 + '>'], [4, 100 + 's', 100 + '>'], [5]], found);
        Assert.Throws<ArgumentException>(() => DryBreakers.FromStrings([""], pieces, _ => []));
    }
}
