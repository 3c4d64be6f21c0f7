// Models with fewer tokens: the logits of those that stay are the same to the bit, in every form of file and every family.
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Tensors;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;
using Kidogo.Text.Tokenizers.Trimming;

namespace Kidogo.Tests.Models.Export;

public sealed class VocabularyChangeTests
{
    [SharedTheory]
    [MemberData(nameof(GoldenDecoder.Names), MemberType = typeof(GoldenDecoder))]
    public void Convert_OfAFamilyWithFewerTokens_KeepsTheLogitsOfThoseThatStay(string name)
    {
        GoldenDecoder golden = new(name);
        using TestFolder folder = new();
        int[] sequence = golden.Sequences[0];
        VocabularySelection selection = new(golden.Vocabulary, sequence.Concat(Enumerable.Range(0, golden.Vocabulary).Where(id => id % 3 == 0)));
        using ModelHeader header = ModelHeader.Open(golden.Folder);
        foreach (string output in (string[])["out", "out.gguf"])
        {
            ModelConverter.Convert(header, folder[output], tokens: selection);
            string whole = golden.Folder;
            if (output == "out.gguf")
            {
                ModelConverter.Convert(header, whole = folder["whole.gguf"]);
            }

            AssertSameLogits(whole, folder[output], sequence, selection, ComputePrecision.Exact);
        }
    }

    private static void AssertSameLogits(string whole, string trimmed, int[] sequence, VocabularySelection selection, ComputePrecision precision)
    {
        using ComputeContext context = ComputeContext.Inference(1, precision);
        using LoadedModel before = ModelLoader.Load(whole, context);
        using LoadedModel after = ModelLoader.Load(trimmed, context);
        Assert.Equal(selection.Count, after.Config.VocabSize);
        float[] expected = GoldenDecoder.Score(before.Model, context, sequence);
        float[] actual = GoldenDecoder.Score(after.Model, context, selection.NewIds(sequence));
        for (int token = 0; token < sequence.Length; token++)
        {
            for (int id = 0; id < selection.Count; id++)
            {
                float was = expected[(token * before.Config.VocabSize) + selection.Kept[id]], now = actual[(token * selection.Count) + id];
                Assert.True(BitConverter.SingleToUInt32Bits(was) == BitConverter.SingleToUInt32Bits(now), $"the logit of token {selection.Kept[id]} was {was:R} and is {now:R}");
            }
        }
    }
}
