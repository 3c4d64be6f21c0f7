// The fields that both kinds of completion share: how tokens are chosen, and where answers end. Knows their names and ranges.
using System.Globalization;
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;

namespace Kidogo.Serving.Api;

/// <summary>Reads them.</summary>
internal static class SamplingFields
{
    /// <summary>Answers to one request at most: each has a place of its own.</summary>
    public const int MostChoices = 8;

    private const double LargestBias = 100;

    /// <summary>The client's fields over the model's recommendations.</summary>
    /// <param name="fields">The request.</param>
    /// <param name="defaults">What holds where the client says nothing.</param>
    /// <param name="vocabulary">Ids of the model.</param>
    public static SamplerOptions Read(RequestFields fields, SamplerOptions defaults, int vocabulary)
    {
        double? frequency = fields.Number("frequency_penalty", -2, 2);
        double? presence = fields.Number("presence_penalty", -2, 2);
        double? repetition = fields.Number("repetition_penalty", 0.01, 100);
        SamplerOptions options = defaults with
        {
            Temperature = fields.Number("temperature", 0, 2) ?? defaults.Temperature,
            TopP = fields.Number("top_p", 0, 1) ?? defaults.TopP,
            TopK = fields.Int("top_k", 0, int.MaxValue) ?? defaults.TopK,
            MinP = fields.Number("min_p", 0, 1) ?? defaults.MinP,
            TypicalP = fields.Number("typical_p", 0, 1) ?? defaults.TypicalP,
            LogitBias = Biases(fields, vocabulary),
            Seed = fields.Long("seed", long.MinValue, long.MaxValue) is { } seed ? unchecked((ulong)seed) : null,
        };
        return options.WithAnswerPenalties(frequency, presence, repetition);
    }

    /// <summary>The texts that end an answer.</summary>
    public static IReadOnlyList<string> Stops(RequestFields fields)
    {
        if (fields.Element("stop") is not { } value)
        {
            return [];
        }

        string path = fields.PathOf("stop");
        if (value.ValueKind == JsonValueKind.String)
        {
            return Checked([RequestFields.StringOf(value, path)], path);
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > StopStringMatcher.MaxCount)
        {
            throw fields.Wrong("stop", value, $"a string, or an array of at most {StopStringMatcher.MaxCount} strings");
        }

        List<string> stops = [];
        foreach (JsonElement element in value.EnumerateArray())
        {
            stops.Add(element.ValueKind == JsonValueKind.String ? RequestFields.StringOf(element, path) : throw fields.Wrong("stop", value, "a string, or an array of strings"));
        }

        return Checked(stops, path);
    }

    /// <summary>Whether to stream, and whether the stream ends with a chunk of usage.</summary>
    public static (bool Streams, bool ReportsUsage) Streaming(RequestFields fields)
    {
        bool streams = fields.Flag("stream") ?? false;
        if (fields.Object("stream_options") is not { } options)
        {
            return (streams, false);
        }

        bool usage = options.Flag("include_usage") ?? false;
        options.Refuse("include_obfuscation", "streams are not padded here.", value => value.ValueKind == JsonValueKind.False);
        options.RejectUnknown();
        return streams ? (true, usage) : throw ApiException.Field("stream_options", "`stream_options` goes only with `stream: true`.", "invalid_value");
    }

    private static IReadOnlyList<string> Checked(IReadOnlyList<string> stops, string path)
    {
        try
        {
            StopStringMatcher.Validate(stops);
            return stops;
        }
        catch (ArgumentException failure)
        {
            throw ApiException.Field(path, failure.Message.Split(" (Parameter")[0], "invalid_value");
        }
    }

    private static Dictionary<int, float> Biases(RequestFields fields, int vocabulary)
    {
        Dictionary<int, float> biases = [];
        if (fields.Element("logit_bias") is not { } value)
        {
            return biases;
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            throw fields.Wrong("logit_bias", value, "an object of token ids and numbers from -100 to 100");
        }

        foreach (JsonProperty property in value.EnumerateObject())
        {
            string path = fields.PathOf("logit_bias");
            if (!int.TryParse(property.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= vocabulary)
            {
                throw ApiException.Field(path, $"`{path}` names something that is no token id; ids are 0 to {vocabulary - 1}.", "invalid_value");
            }

            biases[id] = property.Value.ValueKind == JsonValueKind.Number && property.Value.TryGetDouble(out double bias) && Math.Abs(bias) <= LargestBias
                ? (float)bias
                : throw RequestFields.WrongAt($"{path}.{id}", property.Value, "a number from -100 to 100");
        }

        return biases;
    }
}
