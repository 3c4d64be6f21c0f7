// Adapter files that are wrong, damaged or of another base: one clear refusal each, and never another exception.
using System.Text;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Kidogo.Tests.Models.Files;
using Kidogo.TestSupport;

namespace Kidogo.Tests.Models.Adapters;

public sealed class AdapterFilesTests
{
    [SharedTheory]
    [InlineData("\"r\": 4", "\"r\": 5", "has rank 4")]
    [InlineData("\"r\": 4", "\"r\": -1", "expected an integer")]
    [InlineData("\"LORA\"", "\"IA3\"", "only LORA")]
    [InlineData("\"bias\": \"none\"", "\"bias\": \"all\"", "only \"none\"")]
    [InlineData("\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]", "whole layers")]
    [InlineData("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa_niter_4\"", "changed when training began")]
    [InlineData("\"use_dora\": false", "\"use_dora\": true", "no magnitude")]
    [InlineData("\"use_qalora\": false", "\"use_qalora\": true", "use_qalora")]
    [InlineData("\"lora_alpha\": 8", "\"lora_alpha\": \"x\"", "expected a number")]
    [InlineData("{", "[", "JSON")]
    public void Config_ThatAsksForMore_IsRefused(string old, string changed, string said)
    {
        using TestFolder folder = new();
        string config = File.ReadAllText(Path.Combine(GoldenAdapters.PathOf("lora"), "adapter_config.json"));
        Assert.Contains(old, config, StringComparison.Ordinal);
        folder.Write("a/adapter_config.json", config.Replace(old, changed, StringComparison.Ordinal));
        folder.Write("a/adapter_model.safetensors", File.ReadAllBytes(Path.Combine(GoldenAdapters.PathOf("lora"), "adapter_model.safetensors")));
        Assert.Contains(said, Refusal(folder, folder["a"]), StringComparison.Ordinal);
    }

    [SharedFact]
    public void Adapter_OfOtherShapes_NamesTheTensor()
    {
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(new GoldenDecoder("qwen3").Folder, context);
        ModelFormatException failure = Assert.Throws<ModelFormatException>(() => GoldenAdapters.Open(GoldenAdapters.PathOf("lora"), loaded));
        Assert.Contains("self_attn.q_proj", failure.Message, StringComparison.Ordinal);
        Assert.Contains("another base", failure.Message, StringComparison.Ordinal);
    }

    [SharedFact]
    public void Adapter_OfAnotherModelOfTheSameShapes_IsRefused()
    {
        using TestFolder folder = new(), second = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using (LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf: false), context))
        {
            Adapter made = GoldenAdapters.Open(GoldenAdapters.PathOf("lora"), loaded);
            Adapter known = new("known", made.Changes.Values, new AdapterOrigin { BaseName = "the first", BaseSha256 = new string('a', 64), Fingerprint = BaseFingerprint.Of(loaded.Model) });
            PeftFolder.Write(folder["known"], known, loaded.Config, loaded.Family);
            folder.Write("known.gguf", GgufAdapter.ToBytes(known, loaded.Config, loaded.Family).ToArray());
            GoldenAdapters.Open(folder["known"], loaded);
        }

        using (LoadedModel gguf = ModelLoader.Load(GoldenAdapters.Base(second, isGguf: true), context))
        {
            GoldenAdapters.Open(folder["known"], gguf);
            GoldenAdapters.Open(folder["known.gguf"], gguf);
        }

        File.Copy(SharedFolder.PathOf("golden", "training", "init.safetensors"), second["base/model.safetensors"], overwrite: true); // before it was trained
        using LoadedModel other = ModelLoader.Load(second["base"], context);
        foreach (string path in (string[])[folder["known"], folder["known.gguf"]])
        {
            ModelFormatException failure = Assert.Throws<ModelFormatException>(() => GoldenAdapters.Open(path, other));
            Assert.Contains("the first", failure.Message, StringComparison.Ordinal);
            Assert.Contains("another base", failure.Message, StringComparison.Ordinal);
        }
    }

    [SharedFact]
    public void Files_WithAnyByteChanged_AreReadOrRefused()
    {
        const int Tries = 300;
        using TestFolder folder = new();
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf: false), context);
        byte[] gguf = GgufAdapter.ToBytes(GoldenAdapters.Open(GoldenAdapters.PathOf("lora"), loaded), loaded.Config, loaded.Family).ToArray();
        byte[] weights = File.ReadAllBytes(Path.Combine(GoldenAdapters.PathOf("lora"), "adapter_model.safetensors")), config = File.ReadAllBytes(Path.Combine(GoldenAdapters.PathOf("lora"), "adapter_config.json"));
        Random random = new(5);
        for (int i = 0; i < Tries; i++)
        {
            folder.Write("a/adapter_config.json", i % 3 == 0 ? Damaged(config, config.Length) : config);
            folder.Write("a/adapter_model.safetensors", i % 3 == 1 ? Damaged(weights, 2048) : weights);
            string path = i % 3 == 2 ? folder.Write("a.gguf", Damaged(gguf, 2048)) : folder["a"];
            try
            {
                GoldenAdapters.Open(path, loaded);
            }
            catch (ModelFormatException)
            {
                // Refused: the one exception there may be.
            }
        }

        byte[] Damaged(byte[] bytes, int front)
        {
            byte[] changed = random.Next(4) == 0 ? bytes[..random.Next(bytes.Length)] : [.. bytes];
            for (int n = random.Next(1, 4); n > 0 && changed.Length > 0; n--)
            {
                changed[random.Next(Math.Min(front, changed.Length))] = (byte)random.Next(256);
            }

            return changed;
        }
    }

    [SharedFact]
    public void Weights_ThatAreNoNumbersOrLackAPart_AreRefused()
    {
        using TestFolder folder = new();
        string source = GoldenAdapters.PathOf("lora");
        byte[] weights = File.ReadAllBytes(Path.Combine(source, "adapter_model.safetensors"));
        BitConverter.GetBytes(float.NaN).CopyTo(weights, weights.Length - 4);
        folder.Write("a/adapter_config.json", File.ReadAllBytes(Path.Combine(source, "adapter_config.json")));
        folder.Write("a/adapter_model.safetensors", weights);
        Assert.Contains("no number", Refusal(folder, folder["a"]), StringComparison.Ordinal);
        weights = File.ReadAllBytes(Path.Combine(source, "adapter_model.safetensors"));
        string header = Encoding.UTF8.GetString(weights, 8, (int)BitConverter.ToInt64(weights));
        Encoding.UTF8.GetBytes(header.Replace("layers.0.self_attn.q_proj.lora_A", "layers.9.self_attn.q_proj.lora_A", StringComparison.Ordinal)).CopyTo(weights, 8);
        folder.Write("a/adapter_model.safetensors", weights);
        Assert.Contains("only one of its two", Refusal(folder, folder["a"]), StringComparison.Ordinal);
        File.Delete(folder["a/adapter_model.safetensors"]);
        folder.Write("a/adapter_model.bin", "x");
        Assert.Contains("pickled", Refusal(folder, folder["a"]), StringComparison.Ordinal);
    }

    [SharedFact]
    public void Open_AModelInPlaceOfAnAdapter_SaysSo()
    {
        using TestFolder folder = new();
        Assert.Contains("not an adapter", Refusal(folder, GoldenAdapters.Base(folder, isGguf: true)), StringComparison.Ordinal);
        Assert.Contains("adapter_config.json", Refusal(folder, folder["base"]), StringComparison.Ordinal);
    }

    private static string Refusal(TestFolder folder, string path)
    {
        using ComputeContext context = ComputeContext.Inference(1, ComputePrecision.Exact);
        using LoadedModel loaded = ModelLoader.Load(GoldenAdapters.Base(folder, isGguf: false), context);
        return Assert.Throws<ModelFormatException>(() => GoldenAdapters.Open(path, loaded)).Message;
    }
}
