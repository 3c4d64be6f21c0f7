// A classifier in its folder: which model it looks through, its head, its labels. Knows no training.
using System.Runtime.InteropServices;
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Models.Encoders;
using Kidogo.Models.Files;
using Kidogo.Tensors;

namespace Kidogo.Inference.Classification;

/// <summary>What a text is.</summary>
/// <param name="Label">The likeliest label.</param>
/// <param name="Probabilities">Of all labels, in the order of <see cref="TextClassifier.Labels"/>.</param>
/// <param name="Tokens">Tokens that were read.</param>
/// <param name="WholeTokens">Tokens that the text has.</param>
public sealed record TextClass(string Label, IReadOnlyList<double> Probabilities, int Tokens, int WholeTokens);

/// <summary>What a classifier's folder says of it.</summary>
/// <param name="Base">The model that it looks through: a path, relative to the folder where it lies in it or beside it.</param>
/// <param name="BaseSha256">The hash of that model's weights.</param>
/// <param name="Pooling">How states become one vector.</param>
/// <param name="Labels">The labels.</param>
/// <param name="Head">What decides.</param>
public sealed record ClassifierContent(string Base, string BaseSha256, Pooling Pooling, IReadOnlyList<string> Labels, ClassifierHead Head)
{
    /// <summary>The file that makes a folder a classifier.</summary>
    public const string FileName = "classifier.json";

    private const string HeadName = "head.safetensors", Format = "kidogo classifier 1";
    private const int MostBytes = 16 << 20, MostLabels = 10_000;

    /// <summary>Reads a folder.</summary>
    /// <exception cref="ModelFormatException">It is no classifier, or damaged.</exception>
    public static ClassifierContent Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new ModelFormatException(folder, -1, $"This is no classifier: there is no {FileName}. One is made by kidogo adapt MODEL OUT --task classify --data LINES.jsonl.");
        }

        JsonFields fields = JsonFields.Load(path, MostBytes);
        if (fields.GetString("format") != Format)
        {
            throw fields.Refuse("format", $"is not \"{Format}\".");
        }

        if (!fields.TryGetStrings("labels", out string[] labels) || labels.Length is < 2 or > MostLabels || labels.Distinct().Count() != labels.Length)
        {
            throw fields.Refuse("labels", $"has to be a list of 2 to {MostLabels} different texts.");
        }

        Pooling pooling = Enum.TryParse(fields.GetString("pooling"), ignoreCase: true, out Pooling read) && Enum.IsDefined(read) ? read : throw fields.Refuse("pooling", "has to be mean, cls or last.");
        double temperature = fields.GetFloat("temperature", 1e-6, 1e6);
        using SafetensorsFile head = SafetensorsFile.Open(Path.Combine(folder, HeadName));
        StoredTensor? weight = head.Find("weight"), bias = head.Find("bias");
        if (weight is not { TypeName: "F32" } || bias is not { TypeName: "F32" } || weight.Rows != labels.Length || bias.Elements != labels.Length || weight.Elements > Array.MaxLength / sizeof(float))
        {
            throw new ModelFormatException(head.Path, -1, $"A head of {labels.Length} labels has a float32 weight of as many rows and a bias of as many values, and this has not.");
        }

        return new ClassifierContent(fields.GetString("base"), fields.GetString("base_sha256"), pooling, labels, new ClassifierHead(Values(weight), Values(bias), temperature));
    }

    /// <summary>Writes a folder: beside, flushed, renamed.</summary>
    /// <param name="folder">Which must not exist, or be empty.</param>
    /// <param name="more">What else is said of it in its file; null for nothing.</param>
    public void Write(string folder, Action<Utf8JsonWriter>? more = null)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("format", Format);
            json.WriteString("base", Base);
            json.WriteString("base_sha256", BaseSha256);
            json.WriteString("pooling", Pooling.ToString().ToLowerInvariant());
            json.WriteNumber("temperature", Head.Temperature);
            json.WriteStartArray("labels");
            foreach (string label in Labels)
            {
                json.WriteStringValue(label);
            }

            json.WriteEndArray();
            more?.Invoke(json);
            json.WriteEndObject();
        }

        int width = Head.Weight.Length / Labels.Count;
        TensorToWrite[] tensors = [TensorToWrite.Of("weight", [Labels.Count, width], "F32", MemoryMarshal.AsBytes(Head.Weight.AsSpan()).ToArray()),
            TensorToWrite.Of("bias", [Labels.Count], "F32", MemoryMarshal.AsBytes(Head.Bias.AsSpan()).ToArray())];
        using NewFolder made = NewFolder.Create(folder);
        made.Add(FileName, bytes.ToArray());
        made.Add(HeadName, SafetensorsWriter.FileBytes(tensors), stream => SafetensorsWriter.Write(stream, tensors));
        made.Commit();
    }

    private static float[] Values(StoredTensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.Data.Read(0, checked((int)tensor.Data.Length))).ToArray();
}

/// <summary>Says what texts are. Not for several threads at once.</summary>
public sealed class TextClassifier : IDisposable
{
    private readonly ComputeContext _context;
    private readonly TextFeatures _features;
    private readonly ClassifierContent _content;

    private TextClassifier(ComputeContext context, TextFeatures features, ClassifierContent content) => (_context, _features, _content) = (context, features, content);

    /// <summary>The labels.</summary>
    public IReadOnlyList<string> Labels => _content.Labels;

    /// <summary>The words of the model that it looks through.</summary>
    public ModelText Text => _features.Text;

    /// <summary>Tokens that it reads of a text, with the special ones around it.</summary>
    public int MaxTokens => _features.MaxTokens;

    /// <summary>Values of the vector that it decides by.</summary>
    public int Width => _features.Width;

    /// <summary>Whether a path is a classifier's folder.</summary>
    public static bool IsOne(string path) => File.Exists(Path.Combine(path, ClassifierContent.FileName));

    /// <summary>Opens a classifier and the model that it looks through.</summary>
    /// <param name="folder">Its folder.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="hashOf">The hash of a model's weights by its path, to compare; null to believe.</param>
    /// <exception cref="ModelFormatException">It is no classifier, damaged, or its model is not there or another.</exception>
    public static TextClassifier Open(string folder, int threads, Func<string, string>? hashOf = null)
    {
        ClassifierContent content = ClassifierContent.Read(folder);
        string path = Path.GetFullPath(content.Base, Path.GetFullPath(folder));
        if (!Path.Exists(path))
        {
            throw new ModelFormatException(folder, -1, $"The model {path} that this classifier looks through is not there. Put it back, or train the classifier again.");
        }

        if (hashOf is not null && hashOf(path) is var hash && hash != content.BaseSha256)
        {
            throw new ModelFormatException(folder, -1, $"{path} is not the model that this classifier was made with: the hash of its weights is {hash}, expected {content.BaseSha256}. Put that one back, or train again.");
        }

        ComputeContext context = ComputeContext.Inference(threads);
        TextFeatures? features = null;
        try
        {
            features = TextFeatures.Open(path, content.Pooling, context);
            return (long)features.Width * content.Labels.Count == content.Head.Weight.Length ? new TextClassifier(context, features, content)
                : throw new ModelFormatException(folder, -1, $"The head reads vectors of {content.Head.Weight.Length / content.Labels.Count} values, but {path} makes such of {features.Width}.");
        }
        catch
        {
            features?.Dispose();
            context.Dispose();
            throw;
        }
    }

    /// <summary>What some texts are, in their order.</summary>
    /// <param name="texts">Any texts; those longer than the model reads are cut.</param>
    /// <param name="cancellation">Looked at between passes.</param>
    public TextClass[] Classify(IReadOnlyList<string> texts, CancellationToken cancellation = default) =>
    [
        .. _features.Of(texts, cancellation).Select(features =>
        {
            double[] probabilities = _content.Head.Probabilities(features.Values);
            return new TextClass(Labels[Array.IndexOf(probabilities, probabilities.Max())], probabilities, features.Tokens, features.WholeTokens);
        }),
    ];

    /// <inheritdoc/>
    public void Dispose()
    {
        _features.Dispose();
        _context.Dispose();
    }
}
