// What a program says about the models that it uses: names, sizes and limits. Opens nothing.
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Models.Adapters;
using Kidogo.Models.Files;
using Kidogo.Tensors;
using Microsoft.Extensions.Options;

namespace Kidogo.Inference;

/// <summary>The models of a program, or of one name in it. <see cref="KidogoOptionsValidator"/> states the range of each option.</summary>
public sealed class KidogoOptions
{
    /// <summary>The model that answers: a .gguf file, a Hugging Face folder, or <c>org/name</c> of the model cache. Null (default) for none.</summary>
    public string? Model { get; set; }

    /// <summary>The encoder that makes vectors: a Hugging Face folder, or <c>org/name</c> of the model cache. Null (default) for none.</summary>
    public string? EmbeddingModel { get; set; }

    /// <summary>What <see cref="Model"/> is called in answers and metrics. Null (default) is the name of its file or folder.</summary>
    public string? ModelId { get; set; }

    /// <summary>An adapter that the model computes with: a PEFT folder, a GGUF adapter, a name in <c>models/adapters</c>, or <c>org/name</c> of the model cache. Null (default) for none.</summary>
    public string? Adapter { get; set; }

    /// <summary>A chat template in place of the model's own: a built-in name or a Jinja file. Null (default) is the model's own.</summary>
    public string? ChatTemplate { get; set; }

    /// <summary>Tokens of prompt and answer together. 0 (default) is the model's own, at most 8192.</summary>
    public int ContextLength { get; set; }

    /// <summary>Answers at once. 1 to 1024, default 4.</summary>
    public int Parallel { get; set; } = 4;

    /// <summary>Requests that may wait for a place; one more throws <see cref="QueueFullException"/>. 0 or more, default 10,000.</summary>
    public int QueueLength { get; set; } = 10_000;

    /// <summary>Threads to compute with. 0 (default) to 1024; 0 is one for each processor.</summary>
    public int Threads { get; set; }

    /// <summary>Whether to compute in float32 throughout: slower. Default false.</summary>
    public bool IsExact { get; set; }

    /// <summary>How keys and values are stored. Null (default) is float16, with <see cref="IsExact"/> float32.</summary>
    public KvFormat? CacheFormat { get; set; }

    /// <summary>Bytes that earlier prompts may keep for later ones that begin alike. 0 or more, default 512 MiB.</summary>
    public long IdleCacheBytes { get; set; } = 512L * 1024 * 1024;

    /// <summary>Whether answers are guessed ahead by looking up how they, or their prompts, went on before. Changes speed, never answers, and stops where it loses. Default false.</summary>
    public bool GuessesAhead { get; set; }

    /// <summary>A smaller model of the same vocabulary that guesses ahead, in place of looking up. Null (default) for none.</summary>
    public string? DraftModel { get; set; }

    /// <summary>Told in a sentence what is odd about a model. Null (default) for nobody.</summary>
    public Action<string>? Warn { get; set; }

    /// <summary>How the model is shared.</summary>
    internal SchedulerOptions Scheduling(int contextLength, KvFormat format) => new()
    {
        Parallel = Parallel,
        QueueLength = QueueLength,
        ContextLength = contextLength,
        CacheFormat = format,
        IdleCacheBytes = IdleCacheBytes,
        Drafter = GuessesAhead ? () => new PromptLookup() : null,
    };

    /// <summary>What a model is called: the given name, or that of its file or folder; of a name in the model cache all.</summary>
    internal string IdOf(string name, bool isEmbedding = false)
    {
        string last = File.Exists(name) || Directory.Exists(name) ? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(name))) : name;
        return (isEmbedding ? null : ModelId) ?? (last.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? last[..^".gguf".Length] : last);
    }
}

/// <summary>Checks options before they are used: a host does it when it starts.</summary>
public sealed class KidogoOptionsValidator : IValidateOptions<KidogoOptions>
{
    private const int MostThreads = 1024;

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, KidogoOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        List<string> problems = [.. Problems(options)];
        if (options.Model is null && options.EmbeddingModel is null)
        {
            problems.Add($"Neither {nameof(options.Model)} nor {nameof(options.EmbeddingModel)} is set; name a .gguf file, a folder, or org/name of the model cache.");
        }

        string of = string.IsNullOrEmpty(name) ? nameof(KidogoOptions) : $"{nameof(KidogoOptions)} \"{name}\"";
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems.Select(problem => $"{of}: {problem}"));
    }

    /// <summary>Checks options that are used without a host.</summary>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    internal static void Check(KidogoOptions options)
    {
        if (Numbers(options).FirstOrDefault() is { } problem)
        {
            throw new ArgumentException($"{nameof(KidogoOptions)}: {problem}", nameof(options));
        }
    }

    private static IEnumerable<string> Problems(KidogoOptions options)
    {
        ModelPlaces places = ModelPlaces.FromEnvironment();
        return [
            .. Numbers(options),
            .. Missing(nameof(options.Model), options.Model, name => new ModelLocator(places).Locate(name)),
            .. Missing(nameof(options.EmbeddingModel), options.EmbeddingModel, name => new ModelLocator(places).Locate(name)),
            .. Missing(nameof(options.DraftModel), options.DraftModel, name => new ModelLocator(places).Locate(name)),
            .. Missing(nameof(options.Adapter), options.Adapter, name => AdapterFiles.Locate(name, places)),
        ];
    }

    private static IEnumerable<string> Numbers(KidogoOptions options)
    {
        if (options.Threads is < 0 or > MostThreads)
        {
            yield return $"{nameof(options.Threads)} is {options.Threads}; it has to be from 0 to {MostThreads}.";
        }

        string? problem = null;
        try
        {
            options.Scheduling(options.ContextLength, default).Validate();
        }
        catch (ArgumentException failure)
        {
            problem = failure.Message;
        }

        if (problem is not null)
        {
            yield return problem;
        }
    }

    private static IEnumerable<string> Missing(string option, string? name, Func<string, string> locate)
    {
        if (name is null)
        {
            return [];
        }

        try
        {
            locate(name);
            return [];
        }
        catch (Exception failure) when (failure is IOException or ModelFormatException or UnauthorizedAccessException)
        {
            return [$"{option}: {failure.Message}"];
        }
    }
}
