// Checks what a passport says: hashes always, parents and texts where they are found, measurements again. Believes nothing and changes nothing.
using System.Globalization;
using System.Text;
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Models.Passports;

namespace Kidogo.Compression.Passports;

/// <summary>A claim that was looked into.</summary>
/// <param name="Name">What is claimed.</param>
/// <param name="Claimed">What the passport says: a text, or a number.</param>
/// <param name="Measured">What was found; null where it was not checked.</param>
/// <param name="Holds">Whether it is so; null where it was not checked.</param>
/// <param name="Note">For people; empty for nothing to add.</param>
public sealed record VerifiedClaim(string Name, object? Claimed, object? Measured, bool? Holds, string Note = "");

/// <summary>How a model is verified.</summary>
public sealed record VerifyOptions
{
    /// <summary>Models that may be parents; those beside the model are looked at too.</summary>
    public IReadOnlyList<string> Parents { get; init; } = [];

    /// <summary>Texts and other data that may have been used; those beside the model are looked at too.</summary>
    public IReadOnlyList<string> Texts { get; init; } = [];

    /// <summary>Whether to measure again. Default yes.</summary>
    public bool Measures { get; init; } = true;

    /// <summary>Threads; they change no result. Default 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Called with what is being done, how far it is, and of how much; may be null.</summary>
    public Action<string, long, long>? Progress { get; init; }
}

/// <summary>Verifies passports.</summary>
public static class PassportVerifier
{
    /// <summary>On another kind of processor than the one that measured, sums are rounded otherwise: bits per byte may differ by this share.</summary>
    public const double Tolerance = 0.002;

    private const int MostNamed = 32; // tensors that are named one by one

    /// <summary>Checks all claims; null where the model has no passport.</summary>
    /// <param name="header">The model.</param>
    /// <param name="options">Where to look.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="ModelFormatException">The passport is malformed, or was changed.</exception>
    /// <exception cref="IOException">A file became shorter meanwhile.</exception>
    public static IReadOnlyList<VerifiedClaim>? Run(ModelHeader header, VerifyOptions options, CancellationToken cancellation = default)
    {
        if (PassportJson.Of(header) is not { } passport)
        {
            return null;
        }

        options.Progress?.Invoke("hashing", 0, 1);
        List<VerifiedClaim> claims = [];
        CheckTensors(passport, ModelHash.Tensors(header, options.Threads, cancellation), claims);
        CheckFiles(passport, ModelHash.Files(header, passport.Files.Select(file => file.Name)), claims);
        string? parent = CheckParents(passport, header, options, claims, cancellation);
        Dictionary<string, ReadOnlyMemory<byte>> texts = CheckData(passport, header, options, claims, cancellation);
        if (passport.Sample.Length > 0)
        {
            texts[Passport.SampleText] = Encoding.UTF8.GetBytes(passport.Sample);
        }

        bool isDamaged = claims.Exists(claim => claim.Holds == false);
        CheckMeasurements(passport, header.Path, parent, options.Measures && !isDamaged ? texts : [], options, claims, cancellation);
        return claims;
    }

    private static void CheckTensors(Passport passport, IReadOnlyList<PassportTensor> found, List<VerifiedClaim> claims)
    {
        Dictionary<string, PassportTensor> there = found.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        List<VerifiedClaim> wrong = [];
        HashSet<string> named = new(StringComparer.Ordinal);
        foreach (PassportTensor tensor in passport.Tensors)
        {
            PassportTensor? actual = there.GetValueOrDefault(tensor.Name);
            bool isSame = actual is not null && actual.Sha256 == tensor.Sha256 && actual.Format == tensor.Format && actual.Shape.SequenceEqual(tensor.Shape);
            if (!named.Add(tensor.Name))
            {
                wrong.Add(new VerifiedClaim($"tensor {tensor.Name}", tensor.Sha256, null, false, "the passport names it twice"));
            }
            else if (!isSame)
            {
                string note = actual is null ? "is not in the model"
                    : actual.Sha256 == tensor.Sha256 ? $"is {actual.Format} [{string.Join(", ", actual.Shape)}], not {tensor.Format} [{string.Join(", ", tensor.Shape)}]" : "its bytes are others";
                wrong.Add(new VerifiedClaim($"tensor {tensor.Name}", tensor.Sha256, actual?.Sha256, false, note));
            }
        }

        wrong.AddRange(found.Where(tensor => !named.Contains(tensor.Name)).Select(tensor => new VerifiedClaim($"tensor {tensor.Name}", null, tensor.Sha256, false, "the passport does not name it")));
        claims.Add(new VerifiedClaim("tensors", ModelHash.Of(passport.Tensors), ModelHash.Of(found), wrong.Count == 0, wrong.Count == 0 ? $"{found.Count} tensors" : $"{wrong.Count} of {found.Count} tensors differ"));
        claims.AddRange(wrong.Take(MostNamed));
    }

    private static void CheckFiles(Passport passport, IReadOnlyList<PassportSource> found, List<VerifiedClaim> claims)
    {
        foreach (PassportSource file in passport.Files)
        {
            string? actual = found.FirstOrDefault(other => other.Name == file.Name)?.Sha256;
            claims.Add(new VerifiedClaim(file.Name == ModelHash.MetadataName ? file.Name : $"file {file.Name}", file.Sha256, actual, actual == file.Sha256, actual is null ? "is missing" : actual == file.Sha256 ? "" : "its contents are others"));
        }

        HashSet<string> named = [.. passport.Files.Select(file => file.Name)];
        claims.AddRange(found.Where(file => !named.Contains(file.Name)).Select(file => new VerifiedClaim($"file {file.Name}", null, file.Sha256, false, "the passport does not name it")));
    }

    /// <summary>Gives the path of the first parent, where it was found.</summary>
    private static string? CheckParents(Passport passport, ModelHeader header, VerifyOptions options, List<VerifiedClaim> claims, CancellationToken cancellation)
    {
        string? first = null;
        Dictionary<string, string?> hashes = new(StringComparer.Ordinal);
        for (int i = 0; i < passport.Parents.Count; i++)
        {
            PassportSource parent = passport.Parents[i];
            string? found = null;
            foreach (string path in Candidates(options.Parents, header.Path, parent.Name))
            {
                string key = $"{parent.Role}:{path}";
                if (!hashes.TryGetValue(key, out string? hash))
                {
                    hashes[key] = hash = parent.Role == Derivation.AdapterRole ? HashOfAdapter(path) : HashOfModel(path, options.Threads, cancellation);
                }

                found = hash == parent.Sha256 ? path : found;
            }

            claims.Add(Found($"{(parent.Role == Derivation.AdapterRole ? "adapter" : "parent")} {parent.Name}", parent, found));
            first = i == 0 ? found : first;
        }

        return first;
    }

    /// <summary>Gives the texts that were found, by hash.</summary>
    private static Dictionary<string, ReadOnlyMemory<byte>> CheckData(Passport passport, ModelHeader header, VerifyOptions options, List<VerifiedClaim> claims, CancellationToken cancellation)
    {
        Dictionary<string, ReadOnlyMemory<byte>> texts = new(StringComparer.Ordinal);
        Dictionary<string, string?> hashes = new(StringComparer.Ordinal);
        foreach (PassportSource data in passport.Data)
        {
            string? found = null;
            foreach (string path in Candidates(options.Texts, header.Path, data.Name))
            {
                string key = data.Role == "training" ? $"{data.Role}:{path}" : path;
                if (!hashes.TryGetValue(key, out string? hash))
                {
                    hashes[key] = hash = HashOfData(data.Role, path, cancellation);
                }

                found = hash == data.Sha256 ? path : found;
            }

            claims.Add(Found($"{data.Role} {data.Name}", data, found));
            long bytes = passport.Measured.Where(claim => claim.Text == data.Sha256).Select(claim => claim.Bytes).DefaultIfEmpty().Max();
            if (found is not null && bytes > 0)
            {
                texts[data.Sha256] = MeasuredText.Beginning(found, (int)bytes, cancellation);
            }
        }

        return texts;
    }

    private static void CheckMeasurements(
        Passport passport, string model, string? parent, Dictionary<string, ReadOnlyMemory<byte>> texts, VerifyOptions options, List<VerifiedClaim> claims, CancellationToken cancellation)
    {
        double?[] after = MeasuredText.BitsPerByte(model, passport.Measured, texts, options.Threads, options.Progress, cancellation);
        double?[] before = parent is null ? new double?[after.Length] : MeasuredText.BitsPerByte(parent, passport.Measured, texts, options.Threads, options.Progress, cancellation);
        bool isSameKind = passport.Processor == Derivation.ProcessorKind;
        for (int i = 0; i < after.Length; i++)
        {
            PassportClaim claim = passport.Measured[i];
            string text = claim.Text == Passport.SampleText ? "the passport's sample" : passport.Data.FirstOrDefault(data => data.Sha256 == claim.Text)?.Name ?? claim.Text;
            string on = claim.Bytes == 0 ? $"on {text}" : string.Create(CultureInfo.InvariantCulture, $"on {claim.Bytes} bytes of {text}");
            claims.Add(Compared($"{claim.Name} after", on, claim.After, after[i], isSameKind));
            if (claim.Before is not null)
            {
                claims.Add(Compared($"{claim.Name} before", on, claim.Before, before[i], isSameKind));
            }
        }
    }

    private static VerifiedClaim Compared(string name, string on, double? claimed, double? measured, bool isSameKind)
    {
        if (claimed is not { } said || measured is not { } found)
        {
            return new VerifiedClaim(name, claimed, null, null, $"{on}, not checked");
        }

        bool holds = isSameKind ? said.Equals(found) : Math.Abs(said - found) <= Tolerance * Math.Abs(said);
        return new VerifiedClaim(name, said, found, holds, isSameKind ? on : string.Create(CultureInfo.InvariantCulture, $"{on}, within {Tolerance:P1}, since another kind of processor measured"));
    }

    private static VerifiedClaim Found(string name, PassportSource source, string? path) =>
        path is null ? new VerifiedClaim(name, source.Sha256, null, null, "not checked: not given, and not beside the model") : new VerifiedClaim(name, source.Sha256, source.Sha256, true);

    /// <summary>What was given, and what lies beside the model under the name that the passport has, if that leads nowhere else.</summary>
    private static IEnumerable<string> Candidates(IReadOnlyList<string> given, string model, string name)
    {
        string folder = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model))) ?? ".";
        string beside = Path.Combine(folder, name);
        bool isThere = ModelHash.IsPlain(name) && !name.Contains('/', StringComparison.Ordinal) && (File.Exists(beside) || Directory.Exists(beside));
        return isThere && Path.GetFullPath(beside) != Path.GetFullPath(model) ? given.Append(beside) : given;
    }

    private static string? HashOfData(string role, string path, CancellationToken cancellation)
    {
        try
        {
            return role == "training" ? TextSources.Hash(path, cancellation) : Derivation.Source(role, path, cancellation).Sha256;
        }
        catch (DataFormatException)
        {
            return null; // nothing that training reads
        }
    }

    /// <summary>Of the weights of the adapter that is at a path, or whose folder the file lies in.</summary>
    private static string? HashOfAdapter(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? path;
        string file = AdapterFiles.WeightsFileOf(File.Exists(path) && PeftFolder.IsOne(folder) ? folder : path);
        return File.Exists(file) ? ModelHash.File(Path.GetFileName(file), file).Sha256 : null;
    }

    private static string? HashOfModel(string path, int threads, CancellationToken cancellation)
    {
        try
        {
            using ModelHeader header = ModelHeader.Open(path);
            return ModelHash.Of(ModelHash.Tensors(header, threads, cancellation));
        }
        catch (ModelFormatException)
        {
            return null; // no model, so not the parent
        }
    }
}
