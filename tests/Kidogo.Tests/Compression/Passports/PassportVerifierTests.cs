// Deriving and verifying: the same inputs give the same bytes, a changed byte is found, what is not there is not checked.
using Kidogo.Compression.Passports;
using Kidogo.Compression.Quantization;
using Kidogo.Models;
using Kidogo.Models.Export;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;
using Kidogo.TestSupport;
using Kidogo.Tests.Models.Files;

namespace Kidogo.Tests.Compression.Passports;

public sealed class PassportVerifierTests
{
    private const string Text = "hello aaaa hello hello aaaa aaaa! The quick brown fox jumps over the lazy dog. ";

    [SharedTheory]
    [InlineData("out.gguf")]
    [InlineData("out")]
    public void Derive_Twice_GivesTheSameBytes(string output)
    {
        using TestFolder one = new(), two = new();
        foreach (TestFolder folder in (TestFolder[])[one, two])
        {
            Derive(folder, output);
        }

        string[] files = Directory.Exists(one[output]) ? [.. Directory.EnumerateFiles(one[output]).Select(Path.GetFileName).Order().Select(name => $"{output}/{name}")] : [output];
        Assert.All(files, file => Assert.Equal(File.ReadAllBytes(one[file]), File.ReadAllBytes(two[file])));
    }

    [SharedTheory]
    [InlineData("out.gguf")]
    [InlineData("out")]
    public void Run_OfWhatWasDerived_HoldsAndMeasuresTheSameBits(string output)
    {
        using TestFolder folder = new();
        Derive(folder, output);
        IReadOnlyList<VerifiedClaim> claims = Verify(folder[output]);
        Assert.All(claims, claim => Assert.True(claim.Holds, $"{claim.Name}: {claim.Note}")); // parent and text lie beside
        Assert.Equal(4, claims.Count(claim => claim.Name.StartsWith(PassportClaim.BitsPerByte, StringComparison.Ordinal)));
        Assert.Contains(claims, claim => claim.Name == "parent in");
        Assert.Contains(claims, claim => claim.Name == "text text.txt");
    }

    [SharedFact]
    public void Run_WithoutParentAndText_ChecksTheRestAndSaysSo()
    {
        using TestFolder folder = new(), other = new();
        Derive(folder, "out.gguf");
        File.Copy(folder["out.gguf"], other["renamed.gguf"]);
        other.Write("text.txt", "another text of the same name");
        IReadOnlyList<VerifiedClaim> claims = Verify(other["renamed.gguf"]);
        Assert.DoesNotContain(claims, claim => claim.Holds == false);
        Assert.Null(claims.Single(claim => claim.Name == "parent in").Holds);
        Assert.Null(claims.Single(claim => claim.Name == "text text.txt").Holds);
        Assert.True(claims.Single(claim => claim.Name == "tensors").Holds);
        Assert.Single(claims, claim => claim.Name == "bits_per_byte after" && claim.Holds == true); // on the sample
        claims = Verify(other["renamed.gguf"], new VerifyOptions { Parents = [folder["in"]], Texts = [folder["text.txt"]] });
        Assert.All(claims, claim => Assert.True(claim.Holds, $"{claim.Name}: {claim.Note}"));
    }

    [SharedFact]
    public void Run_OfAnyTensorWithAChangedByte_NamesIt()
    {
        using TestFolder folder = new();
        Derive(folder, "out.gguf");
        byte[] whole = File.ReadAllBytes(folder["out.gguf"]);
        (string Name, long Last)[] places;
        using (GgufFile file = GgufFile.Open(folder["out.gguf"]))
        {
            places = [.. file.Tensors.Select(tensor => (tensor.Name, tensor.Data.Offset + tensor.Data.Length - 1))];
        }

        foreach ((string name, long last) in places)
        {
            byte[] changed = [.. whole];
            changed[last] ^= 0x40;
            folder.Write("changed.gguf", changed);
            IReadOnlyList<VerifiedClaim> claims = Verify(folder["changed.gguf"], new VerifyOptions { Measures = false });
            Assert.Equal(["tensors", $"tensor {name}"], claims.Where(claim => claim.Holds == false).Select(claim => claim.Name));
        }
    }

    [SharedFact]
    public void Run_OfChangedMetadataOrFiles_FindsThem()
    {
        using TestFolder folder = new();
        Derive(folder, "out.gguf");
        byte[] changed = File.ReadAllBytes(folder["out.gguf"]);
        int place = changed.AsSpan().IndexOf("gpt-2"u8);
        changed[place + 4] = (byte)'3';
        folder.Write("changed.gguf", changed);
        Assert.Equal(["metadata"], Verify(folder["changed.gguf"], new VerifyOptions { Measures = false }).Where(claim => claim.Holds == false).Select(claim => claim.Name));

        Derive(folder, "out");
        File.AppendAllText(folder["out/generation_config.json"], " ");
        File.Delete(folder["out/tokenizer_config.json"]);
        folder.Write("out/chat_template.jinja", "{{ 'obey' }}");
        folder.Write("out/notes.txt", "mine");
        Assert.Equal(["file generation_config.json", "file tokenizer_config.json", "file chat_template.jinja"], Verify(folder["out"]).Where(claim => claim.Holds == false).Select(claim => claim.Name));
    }

    [SharedFact]
    public void Run_OfAChangedPassport_Refuses()
    {
        using TestFolder folder = new();
        Derive(folder, "out");
        File.WriteAllText(folder["out/kidogo.json"], File.ReadAllText(folder["out/kidogo.json"]).Replace("Q8_0", "Q4_0", StringComparison.Ordinal).Replace("convert", "cooked", StringComparison.Ordinal));
        Assert.Contains("changed after it was written", Assert.Throws<ModelFormatException>(() => Verify(folder["out"])).Message, StringComparison.Ordinal);
    }

    [SharedFact]
    public void Run_OfALieInAWholePassport_FindsIt()
    {
        using TestFolder folder = new();
        Derive(folder, "out");
        Passport truth = PassportJson.Read(File.ReadAllBytes(folder["out/kidogo.json"]), "x");
        void Lie(Passport lie, params string[] wrong)
        {
            folder.Write("out/kidogo.json", PassportJson.Write(lie));
            Assert.Equal(wrong, Verify(folder["out"]).Where(claim => claim.Holds == false).Select(claim => claim.Name));
        }

        Lie(truth);
        Lie(truth with { Measured = [truth.Measured[0] with { After = Math.BitIncrement(truth.Measured[0].After!.Value) }] }, "bits_per_byte after");
        Lie(truth with { Tensors = [.. truth.Tensors, truth.Tensors[0] with { Name = "ghost.weight" }] }, "tensors", "tensor ghost.weight");
        Lie(truth with { Tensors = [.. truth.Tensors.Skip(1)] }, "tensors", $"tensor {truth.Tensors[0].Name}");
        Lie(truth with { Tensors = [.. truth.Tensors, truth.Tensors[0]] }, "tensors", $"tensor {truth.Tensors[0].Name}");
        Lie(truth with { Files = [.. truth.Files, new PassportSource("file", "../text.txt", truth.Tensors[0].Sha256, 1)] }, "file ../text.txt");
        Lie(truth with { Parents = [new PassportSource("model", "../../etc", truth.Tensors[0].Sha256, 1)], Data = [new PassportSource("text", "/etc/passwd", truth.Tensors[0].Sha256, 1)] }); // not looked for, so not checked
        Lie(truth with { Measured = [new PassportClaim("tokens_per_second", "sample", 7, 1, 2), new PassportClaim(PassportClaim.BitsPerByte, Passport.SampleText, int.MaxValue, null, null), new PassportClaim(PassportClaim.BitsPerByte, "nothing", 1, 1, 1)] });
    }

    [SharedFact]
    public void Begin_OfAModelWithAPassport_CarriesItsStepsOn()
    {
        using TestFolder folder = new();
        Derive(folder, "out");
        using (ModelHeader header = ModelHeader.Open(folder["out"]))
        {
            Quantizer.Run(header, folder["q.gguf"], new QuantizeOptions { Mix = FormatMix.ForName("Q8_0", pure: true)! }, new ModelWriteOptions
            {
                Passport = Derivation.Begin(header, new DerivationOptions { Verb = "quantize", Options = [("format", "Q8_0"), ("pure", null)], Seed = 5 }),
            });
        }

        using ModelHeader quantised = ModelHeader.Open(folder["q.gguf"]);
        Passport passport = PassportJson.Of(quantised)!;
        Assert.Equal("quantize", passport.Recipe.Verb);
        Assert.Equal([new("format", "Q8_0")], passport.Recipe.Options);
        PassportAncestor step = Assert.Single(passport.Lineage);
        Assert.Equal("convert", step.Recipe.Verb);
        Assert.Equal(passport.Parents[0].Sha256, step.Model);
        Assert.Equal("in", step.Parents[0].Name);
        Assert.All(Verify(folder["q.gguf"]), claim => Assert.True(claim.Holds));
    }

    [SharedFact]
    public void Convert_WithoutARequest_PassesNoParentsPassportOff()
    {
        using TestFolder folder = new();
        Derive(folder, "out.gguf");
        using (ModelHeader header = ModelHeader.Open(folder["out.gguf"]))
        {
            ModelConverter.Convert(header, folder["plain"]);
            ModelConverter.Convert(header, folder["plain.gguf"]);
        }

        foreach (string path in (string[])["plain", "plain.gguf"])
        {
            using ModelHeader plain = ModelHeader.Open(folder[path]);
            Assert.Null(PassportVerifier.Run(plain, new VerifyOptions()));
        }
    }

    /// <summary>Converts the small model, measuring on a text that lies beside it.</summary>
    private static void Derive(TestFolder folder, string output)
    {
        string source = SmallModels.Folder(folder, "in");
        folder.Write("text.txt", string.Concat(Enumerable.Repeat(Text, 70))); // more than the sample
        using ModelHeader header = ModelHeader.Open(source);
        ModelConverter.Convert(header, folder[output], options: new ModelWriteOptions
        {
            Passport = Derivation.Begin(header, new DerivationOptions { Verb = "convert", Measure = [folder["text.txt"]] }),
        });
    }

    private static IReadOnlyList<VerifiedClaim> Verify(string path, VerifyOptions? options = null)
    {
        using ModelHeader header = ModelHeader.Open(path);
        return PassportVerifier.Run(header, options ?? new VerifyOptions())!;
    }
}
