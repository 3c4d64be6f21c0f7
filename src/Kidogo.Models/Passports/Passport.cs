// What a derived model says of itself: of what it was made, how, and what was measured. Knows no files and checks nothing.
namespace Kidogo.Models.Passports;

/// <summary>A tensor as the file has it.</summary>
/// <param name="Name">Its name there.</param>
/// <param name="Format">How it is stored, as files spell it: <c>Q4_K</c>, <c>BF16</c>.</param>
/// <param name="Shape">Row-major: outermost dimension first.</param>
/// <param name="Sha256">Of its bytes, in lower-case hex.</param>
public sealed record PassportTensor(string Name, string Format, IReadOnlyList<long> Shape, string Sha256);

/// <summary>Anything with a hash that lies in the model's folder or came into its making.</summary>
/// <param name="Role">What it was for: <c>model</c>, <c>text</c>, <c>calibration</c>, <c>file</c>.</param>
/// <param name="Name">Its file name, without folders.</param>
/// <param name="Sha256">Of a model <see cref="ModelHash.Of"/>, of a file its bytes; lower-case hex.</param>
/// <param name="Bytes">Bytes of it.</param>
public sealed record PassportSource(string Role, string Name, string Sha256, long Bytes);

/// <summary>Something that was measured on the parent and on the model.</summary>
/// <param name="Name">What: <c>bits_per_byte</c>.</param>
/// <param name="Text">On which text: <see cref="Passport.SampleText"/>, the hash of one of <see cref="Passport.Data"/>, or in words what nobody else has.</param>
/// <param name="Bytes">On how many bytes of it, from its beginning; 0 where that says nothing.</param>
/// <param name="Before">Of the first parent; null where it was not measured.</param>
/// <param name="After">Of the model; null where it was not measured.</param>
public sealed record PassportClaim(string Name, string Text, long Bytes, double? Before, double? After)
{
    /// <summary>Bits per byte, as <c>kidogo eval perplexity --all</c> counts them in windows of 512 tokens.</summary>
    public const string BitsPerByte = "bits_per_byte";
}

/// <summary>What was done.</summary>
/// <param name="Program">The version of Kidogo.</param>
/// <param name="Verb">The verb.</param>
/// <param name="Options">Its options in the order of their names, without places on a disk and without what changes no result.</param>
/// <param name="Seed">The seed of what was drawn; null where nothing was.</param>
public sealed record PassportRecipe(string Program, string Verb, IReadOnlyList<KeyValuePair<string, string>> Options, ulong? Seed)
{
    /// <summary>The version of this program.</summary>
    public static string ThisProgram => typeof(PassportRecipe).Assembly.GetName().Version?.ToString(3) ?? "";
}

/// <summary>A step before: what a parent's own passport said.</summary>
/// <param name="Model">The hash of the parent.</param>
/// <param name="Recipe">How it was made.</param>
/// <param name="Parents">Of what.</param>
/// <param name="Data">With which data.</param>
/// <param name="Measured">What was measured then.</param>
public sealed record PassportAncestor(string Model, PassportRecipe Recipe, IReadOnlyList<PassportSource> Parents, IReadOnlyList<PassportSource> Data, IReadOnlyList<PassportClaim> Measured);

/// <summary>A derived model's passport: in GGUF metadata under <see cref="MetadataKey"/>, in a folder as <see cref="FileName"/>.</summary>
/// <remarks>It holds no time, no place and no speed, so that making a model twice gives the same bytes twice.</remarks>
public sealed record Passport
{
    /// <summary>The key in GGUF metadata.</summary>
    public const string MetadataKey = "kidogo.passport";

    /// <summary>The file in a folder.</summary>
    public const string FileName = "kidogo.json";

    /// <summary>Stands for <see cref="Sample"/> in <see cref="PassportClaim.Text"/>.</summary>
    public const string SampleText = "sample";

    /// <summary>Steps that are carried on; older ones are counted in <see cref="OlderSteps"/>.</summary>
    public const int MaxLineage = 16;

    /// <summary>How the model was made.</summary>
    public required PassportRecipe Recipe { get; init; }

    /// <summary>Of what; models that were read.</summary>
    public IReadOnlyList<PassportSource> Parents { get; init; } = [];

    /// <summary>With which texts, calibrations and recipes.</summary>
    public IReadOnlyList<PassportSource> Data { get; init; } = [];

    /// <summary>A short text that anybody can measure again on; empty for none.</summary>
    public string Sample { get; init; } = "";

    /// <summary>What was measured.</summary>
    public IReadOnlyList<PassportClaim> Measured { get; init; } = [];

    /// <summary>The kind of processor that measured; on the same kind the same bits come out. Empty where nothing was measured.</summary>
    public string Processor { get; init; } = "";

    /// <summary>All tensors, in the order of the file.</summary>
    public IReadOnlyList<PassportTensor> Tensors { get; init; } = [];

    /// <summary>What else the model is made of: the files of a folder; of a GGUF file its other metadata, as <see cref="ModelHash.MetadataName"/>.</summary>
    public IReadOnlyList<PassportSource> Files { get; init; } = [];

    /// <summary>The steps before, nearest first.</summary>
    public IReadOnlyList<PassportAncestor> Lineage { get; init; } = [];

    /// <summary>Steps that were left out of <see cref="Lineage"/>.</summary>
    public int OlderSteps { get; init; }

    /// <summary>What a model made of this one says of it.</summary>
    /// <param name="model">The hash of this model.</param>
    public (IReadOnlyList<PassportAncestor> Lineage, int Older) CarriedOn(string model)
    {
        PassportAncestor[] all = [new PassportAncestor(model, Recipe, Parents, Data, [.. Measured.Where(claim => claim.Text != SampleText)]), .. Lineage];
        return (all.Length <= MaxLineage ? all : all[..MaxLineage], OlderSteps + Math.Max(0, all.Length - MaxLineage));
    }
}

/// <summary>What a writer of models needs for a passport.</summary>
/// <param name="Draft">All that is known before the model is written.</param>
/// <param name="Measure">Called with the path of the model before it has its name and with the draft; fills in what was measured, without adding to it. Null for nothing to measure.</param>
public sealed record PassportRequest(Passport Draft, Func<string, Passport, Passport>? Measure = null);
