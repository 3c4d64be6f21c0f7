// A model in a .NET program: dotnet run --project samples/ThreeLines -- path/to/model.gguf "Habari?"
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

await using ServiceProvider services = new ServiceCollection().AddKidogo(options => options.Model = args[0]).BuildServiceProvider();
IChatClient chat = services.GetRequiredService<IChatClient>();
Console.WriteLine(await chat.GetResponseAsync(args[1]));
