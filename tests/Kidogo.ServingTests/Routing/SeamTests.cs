// Personal data that no text has alone: cut in two, named by a field, asked in one message and given in the next.
using System.Text.Json;
using Kidogo.Routing;
using Microsoft.Extensions.AI;

namespace Kidogo.ServingTests.Routing;

public sealed class SeamTests
{
    private const string Public = "Explain photosynthesis in simple words.";

    public static TheoryData<string, string> Cut => new()
    {
        { "user: My number is 0712 345|user: 678", "phone" },
        { "user: It is 0712 345|assistant: Go on.|user: 678", "phone" },
        { "assistant: When were you born?|user: 12/03/1985", "birth" },
        { "assistant: And your passport?|user: 48213", "id" },
        { "user: My mother is ill.|assistant: What is it?|user: Perhaps malaria.", "health" },
        { """tool: {"date_of_birth": "1985-03-12"}""", "birth" },
        { """tool: {"birthDate":"1985-03-12"}""", "birth" },
        { """tool: {"who":"\u0393\u03b9\u03ce\u03c1\u03b3\u03bf\u03c2 \u03a0\u03b1\u03c0\u03b1\u03b4\u03cc\u03c0\u03bf\u03c5\u03bb\u03bf\u03c2"}""", "name" },
        { """json: {"rows":[{"date_of_birth":"1985-03-12"}]}""", "birth" },
        { """json: {"patient_id":48213}""", "id" },
        { """call: {"date_of_birth":"1985-03-12"}""", "birth" },
        { """call: {"patient_id":48213}""", "id" },
    };

    [Theory]
    [MemberData(nameof(Cut))]
    public async Task CutInTwo_IsSeenWhole(string conversation, string kind)
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        foreach (PersonalDataRule rule in Enum.GetValues<PersonalDataRule>())
        {
            using HybridChatClient client = new(new FixedClient(), Routes.Policy(scripted) with { PersonalData = rule });
            RouteDecision decision = await client.ExplainAsync(Conversation(conversation));
            Assert.Contains(kind, decision.PersonalData, StringComparison.Ordinal);
            Assert.True(decision is { Plan: RoutePlan.Local, Reason: "privacy" } || (rule == PersonalDataRule.Mask && decision.IsMasked), decision.Detail);
        }
    }

    [Theory]
    [InlineData("user: What is 12 and 30?|assistant: 42|user: And 7 more?|assistant: 49")]
    [InlineData("user: Tell me of rivers.|assistant: They flow to the sea.|user: Which is the longest?")]
    [InlineData("user: What is malaria?|assistant: An illness that a parasite brings.|user: How is it treated?")]
    [InlineData("user: How warm is it?|json: {\"city\":\"Dakar\",\"temperature\":31,\"year\":2024}|user: And tomorrow?")]
    [InlineData("user: Πόσο κάνει;|assistant: Τρία ευρώ.|user: Και αυτό;")]
    public async Task Conversation_OfNobody_MayLeave(string conversation)
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        using HybridChatClient client = new(new FixedClient(), Routes.Policy(scripted));
        Assert.Equal((RoutePlan.Upstream, ""), await client.ExplainAsync(Conversation(conversation)) is var decision ? (decision.Plan, decision.PersonalData) : default);
    }

    [Fact]
    public async Task Masked_WhatIsCutInTwo_StaysHere()
    {
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        using HybridChatClient client = new(new FixedClient(), Routes.Policy(scripted) with { PersonalData = PersonalDataRule.Mask });
        ChatResponse response = await client.GetResponseAsync(
        [
            new ChatMessage(ChatRole.User, "Fatou Diop met Amadou Ndiaye and Aissatou Fall."), // more is found here than the cut one is
            new ChatMessage(ChatRole.User, [new TextContent("call 0712 "), new TextContent("345 678")]),
        ]);
        Assert.Equal(("local", "privacy", 0), (response.Outcome().ServedBy, response.Outcome().Reason, scripted.Requests));
    }

    [Fact]
    public async Task RequiredTool_NamedAfterSomebody_IsLookedAtAndMasked()
    {
        const string Name = "mail_amina@example.org";
        await using ScriptedUpstream scripted = await ScriptedUpstream.StartAsync();
        AIFunctionDeclaration tool = AIFunctionFactory.CreateDeclaration("look_up", "Looks up.", JsonDocument.Parse("""{"type":"object"}""").RootElement);
        ChatOptions options = new() { Tools = [tool], ToolMode = ChatToolMode.RequireSpecific(Name) };
        using HybridChatClient blocking = new(new FixedClient(), Routes.Policy(scripted));
        Assert.Equal("local", (await blocking.GetResponseAsync([new ChatMessage(ChatRole.User, Public)], options)).Outcome().ServedBy);
        Assert.Equal(0, scripted.Requests);
        using HybridChatClient masking = new(new FixedClient(), Routes.Policy(scripted) with { PersonalData = PersonalDataRule.Mask });
        Assert.Equal("big", (await masking.GetResponseAsync([new ChatMessage(ChatRole.User, Public)], options)).Outcome().ServedBy);
        Assert.DoesNotContain("amina", Assert.Single(scripted.Bodies), StringComparison.Ordinal);
    }

    [Fact]
    public void Arguments_WhoseNamesBecomeOne_KeepTheLast()
    {
        Dictionary<string, object?> mapped = RequestTexts.Map(new Dictionary<string, object?> { ["who"] = "a", ["WHO"] = "b" }, text => text.ToUpperInvariant())!;
        Assert.Equal("B", Assert.Single(mapped).Value);
    }

    private static ChatMessage[] Conversation(string text) => [new(ChatRole.User, Public), .. text.Split('|').Select(Message)];

    private static ChatMessage Message(string line)
    {
        string role = line[..line.IndexOf(':', StringComparison.Ordinal)], said = line[(role.Length + 2)..];
        return role switch
        {
            "user" => new ChatMessage(ChatRole.User, said),
            "assistant" => new ChatMessage(ChatRole.Assistant, said),
            "tool" => new ChatMessage(ChatRole.Tool, [new FunctionResultContent("1", said)]),
            "json" => new ChatMessage(ChatRole.Tool, [new FunctionResultContent("1", JsonDocument.Parse(said).RootElement)]),
            _ => new ChatMessage(ChatRole.Assistant, [new FunctionCallContent("1", "look_up", JsonDocument.Parse(said).RootElement.EnumerateObject().ToDictionary(member => member.Name, member => (object?)member.Value))]),
        };
    }
}
