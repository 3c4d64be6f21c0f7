// How a program asks for its models by dependency injection. Opens nothing before somebody uses it.
using System.Diagnostics.Metrics;
using Kidogo.Inference;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds models to a program.</summary>
public static class KidogoServiceCollectionExtensions
{
    /// <summary>Adds <see cref="IChatClient"/> (<see cref="KidogoOptions.Model"/>) and <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/> of texts (<see cref="KidogoOptions.EmbeddingModel"/>).</summary>
    /// <param name="services">The program's services.</param>
    /// <param name="configure">Which models, and how; null where the options are configured elsewhere.</param>
    /// <remarks>A host checks the options when it starts; a model is loaded when it is first asked for, once, and ends with the container.</remarks>
    public static IServiceCollection AddKidogo(this IServiceCollection services, Action<KidogoOptions>? configure = null)
    {
        AddOptions(services, Options.Options.DefaultName, configure);
        services.AddSingleton<IChatClient>(provider => ChatClient(provider, Options.Options.DefaultName));
        return services.AddSingleton<IEmbeddingGenerator<string, Embedding<float>>>(provider => EmbeddingGenerator(provider, Options.Options.DefaultName));
    }

    /// <summary>Adds models under a name: they are asked for as keyed services, so that a program has several.</summary>
    /// <param name="services">The program's services.</param>
    /// <param name="name">The key.</param>
    /// <param name="configure">Which models, and how; null where the named options are configured elsewhere.</param>
    /// <inheritdoc cref="AddKidogo(IServiceCollection, Action{KidogoOptions})"/>
    public static IServiceCollection AddKidogo(this IServiceCollection services, string name, Action<KidogoOptions>? configure = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        AddOptions(services, name, configure);
        services.AddKeyedSingleton<IChatClient>(name, (provider, _) => ChatClient(provider, name));
        return services.AddKeyedSingleton<IEmbeddingGenerator<string, Embedding<float>>>(name, (provider, _) => EmbeddingGenerator(provider, name));
    }

    private static void AddOptions(IServiceCollection services, string name, Action<KidogoOptions>? configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<KidogoOptions> options = services.AddOptions<KidogoOptions>(name).ValidateOnStart();
        if (configure is not null)
        {
            options.Configure(configure);
        }

        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<KidogoOptions>, KidogoOptionsValidator>());
    }

    private static KidogoChatClient ChatClient(IServiceProvider provider, string name)
    {
        KidogoOptions options = provider.GetRequiredService<IOptionsMonitor<KidogoOptions>>().Get(name);
        return options.Model is null ? throw NotSet(nameof(options.Model), name) : KidogoChatClient.Load(options, provider.GetService<IMeterFactory>());
    }

    private static KidogoEmbeddingGenerator EmbeddingGenerator(IServiceProvider provider, string name)
    {
        KidogoOptions options = provider.GetRequiredService<IOptionsMonitor<KidogoOptions>>().Get(name);
        return options.EmbeddingModel is null ? throw NotSet(nameof(options.EmbeddingModel), name) : KidogoEmbeddingGenerator.Load(options, provider.GetService<IMeterFactory>());
    }

    private static InvalidOperationException NotSet(string option, string name) =>
        new($"{nameof(KidogoOptions)}.{option} is not set{(name.Length == 0 ? "" : $" for \"{name}\"")}, so there is nothing to load. Set it in AddKidogo.");
}
