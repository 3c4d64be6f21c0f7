// POST /infill: the answer in llama.cpp's shape, whole and as events. Knows no sampling.
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Output;
using Kidogo.Inference.Scheduling;
using Kidogo.Text;

namespace Kidogo.Serving.Api;

/// <summary>What fills a hole.</summary>
internal sealed class InfillAnswer : ModelAnswer
{
    private readonly InfillRequest _request;
    private readonly StringBuilder _text = new();
    private readonly List<int> _tokens = [];
    private int _shown; // characters that a stream has given out
    private int _lineStart; // of the line that is written now; 0 while it is the first, which goes on a line of the text
    private long _firstToken;
    private string? _stop; // why it ended, in llama.cpp's words

    public InfillAnswer(InfillRequest request, GenerationGroup group)
        : base(group, Identifier.New("infill-"))
    {
        _request = request;
        if (request.PromptTime is { } time)
        {
            _ = CancelIfLateAsync(time);
        }
    }

    /// <inheritdoc/>
    protected override IEnumerable<string?> Finishes => [_stop];

    /// <inheritdoc/>
    protected override void Take(GenerationStep step)
    {
        if (_stop is not null)
        {
            return;
        }

        if (_firstToken == 0)
        {
            Volatile.Write(ref _firstToken, Stopwatch.GetTimestamp());
        }

        if (step.Token is { } token)
        {
            _tokens.Add(token);
        }

        foreach (AnswerPiece piece in step.Pieces)
        {
            _text.Append(piece.Text);
        }

        if (EndsByIndent() || EndsByTime())
        {
            _stop = "limit";
            Group.Cancel();
        }
        else if (step.Finish is { } reason)
        {
            _stop = reason switch { FinishReason.Length => "limit", FinishReason.StopString => "word", _ => "eos" };
        }
    }

    /// <inheritdoc/>
    protected override void Take(GenerationStep step, EventStream stream)
    {
        Take(step);
        int end = _stop is null ? Shown() : _text.Length;
        if (end > _shown)
        {
            string piece = _text.ToString(_shown, end - _shown);
            stream.Add(json =>
            {
                json.WriteStartObject();
                json.WriteNumber("index", 0);
                json.WriteString("content", piece);
                json.WriteNumbers("tokens", step.Token is { } token ? [token] : []);
                json.WriteBoolean("stop", false);
                json.WriteNumber("id_slot", -1);
                json.WriteNumber("tokens_predicted", _tokens.Count);
                json.WriteNumber("tokens_evaluated", _request.Requests[0].Prompt.Length);
                json.WriteEndObject();
            });
            _shown = end;
        }
    }

    /// <inheritdoc/>
    protected override void WriteWhole(Utf8JsonWriter json) => Write(json, _text.ToString());

    /// <inheritdoc/>
    protected override void End(EventStream stream) => stream.Add(json => Write(json, ""));

    private async Task CancelIfLateAsync(TimeSpan time)
    {
        await Task.Delay(time).ConfigureAwait(false);
        if (Volatile.Read(ref _firstToken) == 0)
        {
            Group.Cancel(); // the steps end without a last one
        }
    }

    /// <summary>What of the text can no longer be taken back: a line whose indent is not known yet may be.</summary>
    private int Shown()
    {
        if (_request.LeastIndent == 0 || _lineStart == 0)
        {
            return _text.Length;
        }

        for (int i = _lineStart; i < _text.Length; i++)
        {
            if (_text[i] is not (' ' or '\t'))
            {
                return _text.Length;
            }
        }

        return _lineStart;
    }

    /// <summary>Whether a line has too little white space before its first character; then it is taken back.</summary>
    private bool EndsByIndent()
    {
        for (int i = _lineStart; i < _text.Length && _request.LeastIndent > 0;)
        {
            int indent = 0;
            while (_lineStart > 0 && i + indent < _text.Length && _text[i + indent] is ' ' or '\t')
            {
                indent++;
            }

            if (_lineStart > 0 && indent < _request.LeastIndent && i + indent < _text.Length && _text[i + indent] is not ('\n' or '\r'))
            {
                _text.Length = _lineStart;
                return true;
            }

            int end = _text.ToString(i, _text.Length - i).IndexOf('\n', StringComparison.Ordinal);
            if (end < 0)
            {
                return false;
            }

            i = _lineStart = i + end + 1;
        }

        return false;
    }

    private bool EndsByTime() =>
        _request.AnswerTime is { } time && _tokens.Count > 1 && Stopwatch.GetElapsedTime(_firstToken) > time && _text.ToString().Contains('\n', StringComparison.Ordinal);

    private void Write(Utf8JsonWriter json, string content)
    {
        if (_request.ResponseFields.Count == 0)
        {
            WriteAll(json, content);
            return;
        }

        JsonElement all = JsonBuilding.Element(whole => WriteAll(whole, content));
        json.WriteStartObject();
        foreach (string path in _request.ResponseFields.Distinct(StringComparer.Ordinal))
        {
            JsonElement at = all;
            if (Array.TrueForAll(path.Split('/'), name => at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out at)))
            {
                json.WritePropertyName(path);
                at.WriteTo(json);
            }
        }

        json.WriteEndObject();
    }

    private void WriteAll(Utf8JsonWriter json, string content)
    {
        GenerationRequest asked = _request.Requests[0];
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteString("content", content);
        json.WriteNumbers("tokens", _request.ReturnsTokens ? _tokens.ToArray() : []);
        json.WriteNumber("id_slot", -1);
        json.WriteBoolean("stop", true);
        json.WriteString("model", _request.Asked.Name);
        json.WriteNumber("tokens_predicted", _tokens.Count);
        json.WriteNumber("tokens_evaluated", asked.Prompt.Length);
        json.WriteStartObject("generation_settings");
        json.WriteNumber("n_predict", asked.Generation.MaxTokens ?? -1);
        json.WriteNumber("seed", Group.Choices[0].Seed);
        json.WriteNumber("temperature", asked.Generation.Sampling.Temperature);
        json.WriteNumber("top_k", asked.Generation.Sampling.TopK);
        json.WriteNumber("top_p", asked.Generation.Sampling.TopP);
        json.WriteNumber("min_p", asked.Generation.Sampling.MinP);
        json.WriteNumber("n_indent", _request.LeastIndent);
        json.WriteEndObject();
        json.WriteString("prompt", _request.Model.Tokenizer.Decode(asked.Prompt));
        json.WriteBoolean("has_new_line", _text.ToString().Contains('\n', StringComparison.Ordinal));
        json.WriteBoolean("truncated", false);
        json.WriteString("stop_type", _stop ?? "limit");
        json.WriteString("stopping_word", _stop == "word" ? Group.Choices[0].StoppedBy ?? "" : "");
        json.WriteNumber("tokens_cached", Group.Choices[0].CachedTokens);
        json.WriteTimings(Group);
        json.WriteEndObject();
    }
}
