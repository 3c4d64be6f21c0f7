// The reference adapters of PEFT and the base they hang on, as folders.
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models.Adapters;

internal static class GoldenAdapters
{
    /// <summary>By the reference's README: PEFT's own float32 is within 2.3e-6 of float64.</summary>
    public const float LogitTolerance = 2e-5f;

    public const int Vocabulary = 300, Length = 32;

    private static readonly Lazy<IReadOnlyDictionary<string, FixtureTensor>> s_logits = new(() => SafetensorsFixture.Read(PathOf("logits.safetensors")));

    public static TheoryData<string> Names => ["lora", "rslora-all", "dora", "rank-pattern"];

    public static int[][] Sequences => [.. s_logits.Value["ids"].As<int>().Chunk(Length)];

    public static string PathOf(params string[] parts) => SharedFolder.PathOf(["golden", "adapters", .. parts]);

    public static float[] Expected(string name) => s_logits.Value[name].As<float>();

    /// <summary>The base as a folder, or as a GGUF file, whose rows of queries and keys lie in another order.</summary>
    public static string Base(TestFolder folder, bool isGguf)
    {
        string path = Path.Combine(folder.Path, "base");
        Directory.CreateDirectory(path);
        File.Copy(SharedFolder.PathOf("golden", "training", "config.json"), Path.Combine(path, "config.json"), overwrite: true);
        File.Copy(SharedFolder.PathOf("golden", "training", "final.safetensors"), Path.Combine(path, "model.safetensors"), overwrite: true);
        if (!isGguf)
        {
            return path;
        }

        using ModelHeader header = ModelHeader.Open(path);
        ModelConverter.Convert(header, path + ".gguf");
        return path + ".gguf";
    }

    /// <summary>The logits of both sequences.</summary>
    public static float[] Score(DecoderModel model, ComputeContext context) => [.. Sequences.SelectMany(ids => GoldenDecoder.Score(model, context, ids))];

    public static void AssertNear(string what, ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, float tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            if (!(MathF.Abs(expected[i] - actual[i]) <= tolerance))
            {
                Assert.Fail($"{what}, value {i}: expected {expected[i]:R}, got {actual[i]:R}; more than {tolerance:R} apart.");
            }
        }
    }

    public static Adapter Open(string path, LoadedModel loaded) => AdapterFiles.Open(path, loaded.Header, loaded.Model);
}
