// A message of a chat completion that is not streamed. Knows no JSON.
using System.Text;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Tools;

namespace Kidogo.Serving.Api;

/// <summary>A message that is not streamed: all deltas together.</summary>
internal sealed class WholeMessage
{
    public StringBuilder Content { get; } = new();

    public StringBuilder Reasoning { get; } = new();

    public List<(string Id, string Name, StringBuilder Arguments)> Calls { get; } = [];

    public List<TokenLikelihood> Likelihoods { get; } = [];

    public void Add(ChatDelta delta)
    {
        Content.Append(delta.Content);
        Reasoning.Append(delta.Reasoning);
        Likelihoods.AddRange(delta.Likelihoods ?? []);
        if (delta.Call is { Name: { } name, Id: { } id })
        {
            Calls.Add((id, name, new StringBuilder()));
        }

        if (delta.Call is { } call)
        {
            Calls[call.Index].Arguments.Append(call.Arguments);
        }
    }
}
