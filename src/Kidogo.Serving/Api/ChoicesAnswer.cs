// What both kinds of completion share: what stands around their choices, whole and in chunks. Knows no choice's shape.
using System.Text.Json;
using Kidogo.Inference.Scheduling;

namespace Kidogo.Serving.Api;

/// <summary>An answer of one or several choices. A stream has chunks of one choice each, usage where asked for, and <c>[DONE]</c>.</summary>
/// <param name="request">What was asked.</param>
/// <param name="group">What is generated for it.</param>
/// <param name="id">What it is called.</param>
/// <param name="kind">The kind of the object, and of a chunk of it.</param>
/// <param name="reportsUsage">Whether a stream ends with its usage.</param>
internal abstract class ChoicesAnswer(AnswerRequest request, GenerationGroup group, string id, (string Whole, string Chunk) kind, bool reportsUsage)
    : ModelAnswer(group, id)
{
    /// <summary>Writes the choices of an answer that is not streamed, one object each.</summary>
    protected abstract void WriteChoices(Utf8JsonWriter json);

    /// <summary>Adds a chunk with one choice.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="writeChoice">Writes the choice, an object.</param>
    /// <param name="isLast">Whether it is the last with a choice: then it has the timings, unless a chunk of usage follows.</param>
    protected void AddChunk(EventStream stream, Action<Utf8JsonWriter> writeChoice, bool isLast = false) => stream.Add(json =>
    {
        Begin(json, kind.Chunk);
        writeChoice(json);
        json.WriteEndArray();
        if (reportsUsage)
        {
            json.WriteNull("usage");
        }
        else if (isLast)
        {
            json.WriteTimings(Group);
            json.WriteRoute(request.Asked.Route);
        }

        json.WriteEndObject();
    });

    /// <inheritdoc/>
    protected override void WriteWhole(Utf8JsonWriter json) => WriteAll(json, kind.Whole, WriteChoices);

    /// <inheritdoc/>
    protected override void End(EventStream stream)
    {
        if (reportsUsage)
        {
            stream.Add(json => WriteAll(json, kind.Chunk, _ => { }));
        }

        stream.AddDone();
    }

    private void WriteAll(Utf8JsonWriter json, string name, Action<Utf8JsonWriter> writeChoices)
    {
        Begin(json, name);
        writeChoices(json);
        json.WriteEndArray();
        json.WriteUsage(Group);
        json.WriteTimings(Group);
        json.WriteRoute(request.Asked.Route);
        json.WriteEndObject();
    }

    private void Begin(Utf8JsonWriter json, string name)
    {
        json.WriteStartObject();
        json.WriteString("id", Id);
        json.WriteString("object", name);
        json.WriteNumber("created", Created);
        json.WriteString("model", request.Asked.Name);
        json.WriteString("system_fingerprint", KidogoServer.Fingerprint);
        json.WriteStartArray("choices");
    }
}
