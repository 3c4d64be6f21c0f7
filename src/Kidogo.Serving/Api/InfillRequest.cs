// A text with a hole to be filled, as editors ask for it in llama.cpp's fields: every field is honoured here, or refused by name. Knows no answers.
using System.Text.Json;
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Text.Tokenizers;

namespace Kidogo.Serving.Api;

/// <summary>What is to be done for <c>/infill</c>.</summary>
/// <param name="Asked">Who answers.</param>
/// <param name="Requests">The one sequence.</param>
/// <param name="Streams">Whether the answer comes in pieces.</param>
internal sealed record InfillRequest(AskedModel Asked, IReadOnlyList<GenerationRequest> Requests, bool Streams)
    : AnswerRequest(Asked, Requests, Streams)
{
    private const int MostExtras = 256;
    private const int MostResponseFields = 64;

    private static readonly Dictionary<string, SamplerStep> s_samplers = new(StringComparer.Ordinal)
    {
        ["penalties"] = SamplerStep.Penalties, ["dry"] = SamplerStep.Dry, ["top_n_sigma"] = SamplerStep.TopNSigma, ["top_k"] = SamplerStep.TopK, ["typ_p"] = SamplerStep.Typical,
        ["typical_p"] = SamplerStep.Typical, ["top_p"] = SamplerStep.TopP, ["min_p"] = SamplerStep.MinP, ["xtc"] = SamplerStep.Xtc, ["temperature"] = SamplerStep.Temperature,
    };

    /// <summary>White space that every line of the answer begins with, at least; a line with less ends it and is left out.</summary>
    public int LeastIndent { get; private init; }

    /// <summary>How long the prompt may take; null for as long as it does.</summary>
    public TimeSpan? PromptTime { get; private init; }

    /// <summary>How long the answer may take from its first token, once it has a line; null for as long as it does.</summary>
    public TimeSpan? AnswerTime { get; private init; }

    /// <summary>The fields of the answer that are wanted, with <c>/</c> between outer and inner; none for all.</summary>
    public IReadOnlyList<string> ResponseFields { get; private init; } = [];

    /// <summary>Whether the ids of the answer are wanted.</summary>
    public bool ReturnsTokens { get; private init; }

    /// <inheritdoc/>
    public override string Operation => "text_completion";

    /// <inheritdoc/>
    public override ModelAnswer Begin(GenerationGroup group) => new InfillAnswer(this, group);

    /// <summary>Reads a request.</summary>
    public static InfillRequest Read(ApiCall call, AskedModel asked, RequestFields fields)
    {
        ServedModel model = asked.Model;
        if (model.Tokenizer.FillInMiddle is not { } hole)
        {
            throw ApiException.Field("input_prefix", $"`{model.Id}` cannot fill holes: its vocabulary has no tokens for filling in the middle.", "unsupported_parameter");
        }

        (SamplerOptions sampling, bool endsEarly) = Sampling(fields, model);
        int? length = fields.Int("n_predict", -1, int.MaxValue);
        GenerationRequest request = new()
        {
            Prompt = Prompt(fields, hole, model),
            Owner = call.OwnerOf(fields),
            Adapter = asked.Adapter,
            Continues = true,
            Generation = new GenerationOptions { MaxTokens = length is null or < 0 ? null : length, StopStrings = SamplingFields.Stops(fields), Sampling = sampling },
            UsesCache = fields.Flag("cache_prompt") ?? true,
        };
        InfillRequest infill = new(asked, [], fields.Flag("stream") ?? false)
        {
            LeastIndent = fields.Int("n_indent", 0, int.MaxValue) ?? 0,
            PromptTime = Time(fields, "t_max_prompt_ms"),
            AnswerTime = Time(fields, "t_max_predict_ms"),
            ResponseFields = [.. fields.Texts("response_fields", MostResponseFields)],
            ReturnsTokens = fields.Flag("return_tokens") ?? false,
        };
        RefuseWhatIsNotThere(fields);
        TokenGrammar? form = AnswerFormat.Read(fields, isChat: false)?.For(asked.Model);
        fields.RejectUnknown();
        ITokenMask? mask = form is null ? null : new TokenConstraint(form);
        return infill with { Requests = [request with { Mask = endsEarly ? new InfillMask(model.Tokenizer, sampling, mask) : mask }] };
    }

    /// <summary>Other files, then the text before the hole, the text after it, and the place for what fills it.</summary>
    private static int[] Prompt(RequestFields fields, FillInMiddleTokens hole, ServedModel model)
    {
        Tokenizer tokenizer = model.Tokenizer;
        string before = fields.Text("input_prefix") ?? "", after = fields.Text("input_suffix") ?? "", own = fields.Text("prompt") ?? "";
        List<(string Name, string Text)> extras = [];
        if (fields.Array("input_extra", "an array of objects with `filename` and `text`") is { } array)
        {
            if (array.GetArrayLength() > MostExtras)
            {
                throw fields.Wrong("input_extra", array, $"an array of at most {MostExtras} objects");
            }

            foreach (JsonElement element in array.EnumerateArray())
            {
                RequestFields extra = new(element, $"input_extra[{extras.Count}]");
                extras.Add((extra.Text("filename") ?? "tmp", extra.RequiredText("text")));
                extra.RejectUnknown();
            }
        }

        model.CheckLength(before.Length + after.Length + own.Length + extras.Sum(extra => (long)extra.Name.Length + extra.Text.Length));
        int[] start = tokenizer.AddsBos ? [tokenizer.BosId!.Value] : [];
        return [.. start, .. HolePrompt.Files(hole, tokenizer, extras), .. HolePrompt.Of(hole, tokenizer, [.. tokenizer.Encode(before), .. tokenizer.Encode(own)], tokenizer.Encode(after))];
    }

    /// <summary>The client's fields over the model's recommendations, in llama.cpp's names; and whether the sampler for infilling is among them.</summary>
    private static (SamplerOptions Options, bool EndsEarly) Sampling(RequestFields fields, ServedModel model)
    {
        SamplerOptions defaults = model.DefaultSampling;
        SamplerOptions options = SamplingFields.Read(fields, defaults, model.Config.VocabSize) with { FrequencyCountsPrompt = true, PenaltyLastN = fields.Int("repeat_last_n", -1, int.MaxValue) ?? defaults.PenaltyLastN };
        options = options with
        {
            RepetitionPenalty = fields.Number("repeat_penalty", 0.01, 100) ?? options.RepetitionPenalty,
            DynamicTemperatureRange = fields.Number("dynatemp_range", 0, 100) ?? options.DynamicTemperatureRange,
            DynamicTemperatureExponent = fields.Number("dynatemp_exponent", 0, 100) ?? options.DynamicTemperatureExponent,
            TopNSigma = Math.Max(0, fields.Number("top_n_sigma", -1, 1000) ?? options.TopNSigma), // below 0 is llama.cpp's way to say off
            MinKeep = fields.Int("min_keep", 0, int.MaxValue) ?? options.MinKeep,
            XtcProbability = fields.Number("xtc_probability", 0, 1) ?? options.XtcProbability,
            XtcThreshold = fields.Number("xtc_threshold", 0, 1) ?? options.XtcThreshold,
            Mirostat = fields.Int("mirostat", 0, 2) ?? options.Mirostat,
            MirostatTau = fields.Number("mirostat_tau", 0, 100) ?? options.MirostatTau,
            MirostatEta = fields.Number("mirostat_eta", 0, 100) ?? options.MirostatEta,
        };
        if (fields.Element("samplers") is null)
        {
            return (options, false);
        }

        List<SamplerStep> order = [];
        bool endsEarly = false;
        foreach (string name in fields.Texts("samplers", 16))
        {
            SamplerStep step = default;
            bool isLast = name == "infill" && !endsEarly;
            if (endsEarly || (!isLast && (!s_samplers.TryGetValue(name, out step) || order.Contains(step))))
            {
                throw ApiException.Field("samplers", $"`samplers` has to name some of {string.Join(", ", s_samplers.Keys)}, each once, and `infill` last.", "invalid_value");
            }

            endsEarly = isLast;
            if (!isLast)
            {
                order.Add(step);
            }
        }

        return (options with { Order = order }, endsEarly);
    }

    private static TimeSpan? Time(RequestFields fields, string name) => fields.Long(name, -1, int.MaxValue) is > 0 and { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null;

    /// <summary>llama.cpp's fields that mean nothing here, or ask for what is not there.</summary>
    private static void RefuseWhatIsNotThere(RequestFields fields)
    {
        static bool IsZero(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number is 0 or -1;
        static bool IsFalse(JsonElement value) => value.ValueKind == JsonValueKind.False;
        fields.Int("id_slot", -1, int.MaxValue); // which place serves is no matter here: what any place has cached is found
        fields.Refuse("n_keep", "a prompt that does not fit is refused, never cut.", IsZero);
        fields.Refuse("n_discard", "a prompt that does not fit is refused, never cut.", IsZero);
        fields.Refuse("n_probs", "ask /v1/completions with `logprobs`.", IsZero);
        fields.Refuse("post_sampling_probs", "ask /v1/completions with `logprobs`.", IsFalse);
        fields.Refuse("dry_multiplier", "penalties of DRY are not computed here; leave it away or 0.", IsZero);
        fields.Number("dry_base", 1, 100); // these four mean nothing while the multiplier is 0
        fields.Int("dry_allowed_length", 0, int.MaxValue);
        fields.Int("dry_penalty_last_n", -1, int.MaxValue);
        fields.Texts("dry_sequence_breakers", MostExtras);
        fields.Refuse("ignore_eos", "set `logit_bias` of the end token.", IsFalse);
        fields.Refuse("timings_per_token", "timings come at the end.", IsFalse);
        fields.Refuse("return_progress", "progress is not told.", IsFalse);
        fields.Refuse("lora", "name an adapter in `model`, as `base:adapter`.", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
    }
}
