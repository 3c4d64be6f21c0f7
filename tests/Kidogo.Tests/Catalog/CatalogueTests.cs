// The catalogue: every size follows from its shape, and a file that says nonsense is refused with its line.
using Kidogo.Catalog.Entries;
using Kidogo.Catalog.Hub;
using Kidogo.Models.Export;

namespace Kidogo.Tests.Catalog;

public sealed class CatalogueTests
{
    private const string Entry = """
        models:
          - name: tiny
            title: Tiny
            repository: org/tiny
            gguf: null
            licence: mit
            gated: false
            languages: [en, sw]
            level: 2
            good_at: "little"
            bad_at: "much"
            context: 1024
            parameters: 1000000
            shape: {layers: 2, width: 64, feed_forward: 128, heads: 4, kv_heads: 2, head_dim: 16, vocabulary: 1000}
            bytes: {Q8_0: 1062500, Q4_0: 562500}
        """;

    public static TheoryData<string> Names => [.. Catalogue.BuiltIn().Entries.Select(entry => entry.Name)];

    [Fact]
    public void BuiltIn_HasTheWellKnown()
    {
        Catalogue catalogue = Catalogue.BuiltIn();
        foreach (string part in (string[])["pawa", "gemma-2-2b", "llama-3.1-8b", "tinyllama", "phi-3-mini", "mistral-7b", "biomistral", "smollm2", "qwen"])
        {
            Assert.Contains(catalogue.Entries, entry => entry.Name.Contains(part, StringComparison.Ordinal));
        }

        Assert.Equal("gemma-2-2b", catalogue.Find("GEMMA-2-2B")!.Name);
        Assert.Equal("gemma-2-2b", catalogue.OfRepository("google/gemma-2-2b-it")!.Name);
        Assert.Null(catalogue.Find("nothing"));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Parameters_FollowFromTheShape(string name)
    {
        CatalogueEntry entry = Catalogue.BuiltIn().Find(name)!;
        long tied = Tensors(entry, isTied: true).Sum(tensor => tensor.Rows * tensor.Columns), apart = Tensors(entry, isTied: false).Sum(tensor => tensor.Rows * tensor.Columns);
        const double NormsAndBiases = 1e-3;
        Assert.True(new[] { tied, apart }.Any(sum => Math.Abs(sum - entry.Parameters) <= entry.Parameters * NormsAndBiases), $"{tied} or {apart}, not {entry.Parameters}");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Bytes_AreWhatTheQuantiserWouldWrite(string name)
    {
        CatalogueEntry entry = Catalogue.BuiltIn().Find(name)!;
        bool isTied = entry.Parameters < Tensors(entry, isTied: false).Sum(tensor => tensor.Rows * tensor.Columns) - 1;
        MixModel model = new(name.Contains("phi", StringComparison.Ordinal) ? "phi3" : "llama", entry.Shape.Layers, entry.Shape.Heads / entry.Shape.KvHeads, !isTied, HasImportance: false);
        foreach (CatalogueFormat format in entry.Formats)
        {
            FormatMix mix = FormatMix.ForName(format.Format)!;
            long bytes = Tensors(entry, isTied).Sum(tensor => tensor.Rows * mix.Choose(tensor.Name, (int)tensor.Columns, model).Format.RowBytes(tensor.Columns));
            Assert.InRange(format.Bytes, bytes * 0.97, bytes * 1.03);
        }
    }

    [Fact]
    public void Memory_IsWeightsCacheAndActivations()
    {
        CatalogueEntry entry = Catalogue.Parse(Entry, "x.yaml").Entries[0];
        Assert.Equal(2L * 2 * 2 * 16 * 2, entry.Shape.CacheBytesPerToken);
        Assert.Equal("Q4_0", entry.Formats[0].Format); // the smallest first
        Assert.Equal(entry.Formats[0].Bytes + (1024 * 256) + entry.Shape.WorkspaceBytes(1024), entry.MemoryBytes(entry.Formats[0], 4096)); // no more tokens than it was made for
        Assert.Equal(3 * 1024 * 256, entry.MemoryBytes(entry.Formats[0], 1024, 4) - entry.MemoryBytes(entry.Formats[0], 1024));
    }

    [Theory]
    [InlineData("level: 2", "level: 9")]
    [InlineData("level: 2", "levle: 2")]
    [InlineData("    level: 2\n", "")]
    [InlineData("org/tiny", "../tiny")]
    [InlineData("org/tiny", "tiny")]
    [InlineData("gated: false", "gated: perhaps")]
    [InlineData("[en, sw]", "[]")]
    [InlineData("[en, sw]", "[English]")]
    [InlineData("heads: 4", "heads: 0")]
    [InlineData("kv_heads: 2", "kv_heads: 3")]
    [InlineData("Q8_0: 1062500", "Q8_0: 106250000000")]
    [InlineData("Q8_0: 1062500", "Q8_0: -5")]
    [InlineData("bytes: {Q8_0: 1062500, Q4_0: 562500}", "bytes: {}")]
    [InlineData("parameters: 1000000", "parameters: many")]
    [InlineData("models:", "model:")]
    [InlineData("title: Tiny", "title: &a Tiny")]
    [InlineData("title: Tiny", "title: Tiny\n    title: Tiny")]
    public void Nonsense_IsRefused(string right, string wrong)
    {
        Assert.Contains(right, Entry, StringComparison.Ordinal);
        Assert.Contains("x.yaml", Assert.Throws<HubException>(() => Catalogue.Parse(Entry.Replace(right, wrong, StringComparison.Ordinal), "x.yaml")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SameNameTwice_IsRefused() =>
        Assert.Throws<HubException>(() => Catalogue.Parse(Entry + "\n" + Entry["models:\n".Length..], "x.yaml"));

    /// <summary>The matrices by GGUF's names; Phi-3 has its queries, keys and values in one.</summary>
    private static IEnumerable<(string Name, long Rows, long Columns)> Tensors(CatalogueEntry entry, bool isTied)
    {
        CatalogueShape shape = entry.Shape;
        long queries = (long)shape.Heads * shape.HeadDim, keys = (long)shape.KvHeads * shape.HeadDim;
        yield return ("token_embd.weight", shape.Vocabulary, shape.Width);
        if (!isTied)
        {
            yield return ("output.weight", shape.Vocabulary, shape.Width);
        }

        for (int layer = 0; layer < shape.Layers; layer++)
        {
            if (entry.Name.StartsWith("phi", StringComparison.Ordinal))
            {
                yield return ($"blk.{layer}.attn_qkv.weight", queries + (2 * keys), shape.Width);
            }
            else
            {
                yield return ($"blk.{layer}.attn_q.weight", queries, shape.Width);
                yield return ($"blk.{layer}.attn_k.weight", keys, shape.Width);
                yield return ($"blk.{layer}.attn_v.weight", keys, shape.Width);
            }

            yield return ($"blk.{layer}.attn_output.weight", shape.Width, queries);
            yield return ($"blk.{layer}.ffn_gate.weight", shape.FeedForward, shape.Width);
            yield return ($"blk.{layer}.ffn_up.weight", shape.FeedForward, shape.Width);
            yield return ($"blk.{layer}.ffn_down.weight", shape.Width, shape.FeedForward);
        }
    }
}
