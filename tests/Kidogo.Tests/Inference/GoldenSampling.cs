// Reads the reference cases of llama.cpp's samplers. Only for tests.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Inference.Sampling;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Inference;

internal static class GoldenSampling
{
    public static readonly string[] Vectors = ["normal", "peaked", "flat", "two_modes", "ties"];

    private static readonly Lazy<JsonDocument> Cases = new(() => JsonDocument.Parse(File.ReadAllBytes(SharedFolder.PathOf("golden", "sampling", "sampling.json"))));
    private static readonly Lazy<Dictionary<string, float[]>> LogitTensors = new(() => ReadSafetensors("logits.safetensors"));
    private static readonly Lazy<Dictionary<string, float[]>> DistributionTensors = new(() => ReadSafetensors("distributions.safetensors"));

    public static float[] Logits(string vector) => LogitTensors.Value[vector];

    public static float[]? Distribution(string engine, string name, string vector) => DistributionTensors.Value.GetValueOrDefault($"{engine}/{name}/{vector}");

    public static JsonElement Case(string engine, string name) => Cases.Value.RootElement.GetProperty(engine).GetProperty(name);

    public static IEnumerable<string> Names(string engine) => Cases.Value.RootElement.GetProperty(engine).EnumerateObject().Select(p => p.Name);

    public static int[] History(string engine, string name) => [.. Case(engine, name).GetProperty("history").EnumerateArray().Select(e => e.GetInt32())];

    /// <summary>The options of a llama.cpp case, in its order. XTC's probability is 1 in all of them.</summary>
    public static SamplerOptions Options(string name)
    {
        SamplerOptions options = new() { Temperature = 1, TopK = 0, TopP = 1 };
        List<SamplerStep> order = [];
        foreach (JsonElement step in Case("llama", name).GetProperty("chain").EnumerateArray())
        {
            double[] a = [.. step.EnumerateArray().Skip(1).Select(e => e.ValueKind == JsonValueKind.String ? double.NegativeInfinity : e.GetDouble())];
            switch (step[0].GetString())
            {
                case "temp":
                    options = options with { Temperature = a[0] };
                    order.Add(SamplerStep.Temperature);
                    break;
                case "temp_ext":
                    options = options with { Temperature = a[0], DynamicTemperatureRange = a[1], DynamicTemperatureExponent = a[2] };
                    order.Add(SamplerStep.Temperature);
                    break;
                case "top_k":
                    options = options with { TopK = (int)a[0] };
                    order.Add(SamplerStep.TopK);
                    break;
                case "top_p":
                    options = options with { TopP = a[0], MinKeep = (int)a[1] };
                    order.Add(SamplerStep.TopP);
                    break;
                case "min_p":
                    options = options with { MinP = a[0], MinKeep = (int)a[1] };
                    order.Add(SamplerStep.MinP);
                    break;
                case "typical":
                    options = options with { TypicalP = a[0], MinKeep = (int)a[1] };
                    order.Add(SamplerStep.Typical);
                    break;
                case "top_n_sigma":
                    options = options with { TopNSigma = a[0] };
                    order.Add(SamplerStep.TopNSigma);
                    break;
                case "xtc":
                    options = options with { XtcProbability = a[0], XtcThreshold = a[1], MinKeep = (int)a[2] };
                    order.Add(SamplerStep.Xtc);
                    break;
                case "penalties":
                    options = options with { PenaltyLastN = (int)a[0], RepetitionPenalty = a[1], FrequencyPenalty = a[2], PresencePenalty = a[3] };
                    order.Add(SamplerStep.Penalties);
                    break;
                case "dry":
                    options = options with
                    {
                        DryMultiplier = a[0], DryBase = a[1], DryAllowedLength = (int)a[2], DryPenaltyLastN = (int)a[3],
                        DrySequenceBreakers = [.. a.Skip(4).Select(id => (IReadOnlyList<int>)[(int)id])],
                    };
                    order.Add(SamplerStep.Dry);
                    break;
                case "bias":
                    options = options with { LogitBias = a.Chunk(2).ToDictionary(p => (int)p[0], p => (float)p[1]) };
                    break;
                default:
                    throw new InvalidDataException($"An unknown step in the case {name}: {step}.");
            }
        }

        return options with { Order = order };
    }

    private static Dictionary<string, float[]> ReadSafetensors(string file)
    {
        byte[] bytes = File.ReadAllBytes(SharedFolder.PathOf("golden", "sampling", file));
        int header = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        using JsonDocument json = JsonDocument.Parse(bytes.AsMemory(8, header));
        Dictionary<string, float[]> tensors = [];
        foreach (JsonProperty tensor in json.RootElement.EnumerateObject().Where(p => p.Name != "__metadata__"))
        {
            JsonElement offsets = tensor.Value.GetProperty("data_offsets");
            int begin = 8 + header + offsets[0].GetInt32();
            int end = 8 + header + offsets[1].GetInt32();
            tensors[tensor.Name] = MemoryMarshal.Cast<byte, float>(bytes.AsSpan(begin, end - begin)).ToArray();
        }

        return tensors;
    }
}
