// A small model here and a large one elsewhere: dotnet run --project samples/Routed -- path/to/model.gguf cloud.yaml "Habari?"
using Kidogo.Inference;
using Kidogo.Routing;
using Kidogo.Routing.Policy;
using Microsoft.Extensions.AI;

using IChatClient local = KidogoChatClient.Load(args[0]);
using HybridChatClient chat = new(local, RoutingFile.Read(args[1]));
ChatResponse answer = await chat.GetResponseAsync(args[2]);
RouteOutcome route = (RouteOutcome)answer.AdditionalProperties![RouteOutcome.Key]!;
Console.WriteLine($"{answer.Text}\n({route.ServedBy}: {route.Detail})");
