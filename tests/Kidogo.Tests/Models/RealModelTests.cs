// What the header of the real SmolLM2 says. What it computes is tested in RealModel/.
using Kidogo.Models;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models;

public sealed class RealModelTests
{
    private const string FileName = "SmolLM2-135M-Instruct.Q4_1.gguf";

    [SharedFact]
    public void Header_OfTheRealModel_SaysWhatItIsAndWhatItTakes()
    {
        using ModelHeader header = ModelHeader.Open(SharedFolder.PathOf("models", FileName));
        Assert.Equal("Llama", header.Family.Name);
        Assert.Equal(134_515_008, header.Config.ParameterCount);
        Assert.Equal([2], header.Generation.EndTokens);
        MemoryEstimate estimate = header.Estimate(8192);
        Assert.InRange(estimate.WeightBytes, 96_000_000, new FileInfo(header.Path).Length);
        Assert.Equal(8192 * 30 * 2 * 192 * 2, estimate.CacheBytes);
        Assert.Equal(30 * 2 * 192 * 2, header.Config.KvBytesPerToken(2));
    }
}
