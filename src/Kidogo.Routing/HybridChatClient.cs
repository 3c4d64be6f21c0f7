// Microsoft.Extensions.AI's routing client over a model of this machine and models elsewhere. Knows no HTTP server.
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Kidogo.Routing.Policy;
using Kidogo.Routing.Upstream;
using Microsoft.Extensions.AI;

namespace Kidogo.Routing;

/// <summary>
/// Answers on this machine or elsewhere, as a policy says, and tells which and why: every answer has a <see cref="RouteOutcome"/> under <see cref="RouteOutcome.Key"/> in its additional properties, of a stream the first update and the last.
/// </summary>
/// <remarks>
/// <see cref="ChatOptions.ModelId"/> may be <c>auto</c> (or null), <c>local</c>, or an upstream's name. Without an upstream in the policy no connection is opened. An upstream that fails before its first token is stood in for by this machine at once;
/// after it the stream ends with an <see cref="UpstreamException"/>, and nothing is answered twice. Safe for any number of threads.
/// </remarks>
public sealed class HybridChatClient : RoutingChatClient
{
    private readonly IChatClient _local;
    private readonly RoutingOptions _options;
    private readonly LocalModelFacts _facts;
    private readonly UpstreamClient[] _upstreams;
    private readonly Router _router;
    private readonly Budget _budget;
    private readonly AuditLog? _audit;
    private readonly TimeProvider _clock;

    /// <summary>A client.</summary>
    /// <param name="local">The model of this machine; it stays the caller's. Where it is asked for <c>logprobs</c> (additional property, true) and gives them so with its updates, its confidence can be told.</param>
    /// <param name="options">The policy.</param>
    /// <param name="facts">What is known of the model of this machine; null for nothing.</param>
    /// <param name="encoder">Tells likeness to tasks' examples, on this machine; it stays the caller's.</param>
    /// <param name="clock">Tells the day and the time; null for the system's.</param>
    /// <param name="warn">Told in a sentence, without contents, what goes wrong beside the answers.</param>
    /// <exception cref="RoutingException">The policy cannot be used.</exception>
    public HybridChatClient(
        IChatClient local, RoutingOptions options, LocalModelFacts? facts = null, IEmbeddingGenerator<string, Embedding<float>>? encoder = null, TimeProvider? clock = null, Action<string>? warn = null)
    {
        ArgumentNullException.ThrowIfNull(local);
        ArgumentNullException.ThrowIfNull(options);
        _local = local;
        _options = options;
        _facts = facts ?? new LocalModelFacts();
        _clock = clock ?? TimeProvider.System;
        foreach (string name in options.Upstreams.Select(upstream => upstream.Name).Where(name => name is Router.Auto or Router.Local || name == _facts.Name))
        {
            throw new RoutingException($"An upstream cannot be called {name}, which means something else here. Give it another name.");
        }

        _upstreams = options.HasUpstream ? [.. options.Upstreams.Select(upstream => new UpstreamClient(upstream, clock))] : [];
        _audit = options.AuditFile is null ? null : new AuditLog(options, warn);
        _budget = new Budget(options.Budget, _clock, options.Budget.MoneyPerDay is null ? 0 : _audit?.SpentToday(_clock.GetUtcNow()) ?? 0);
        _router = new Router(options, _facts, _upstreams, encoder, _budget);
    }

    /// <summary>The names that <see cref="ChatOptions.ModelId"/> may have: auto, local, and the upstreams that are in use.</summary>
    public IReadOnlyList<string> Names => [Router.Auto, Router.Local, .. _upstreams.Select(upstream => upstream.Options.Name)];

    /// <summary>Money that was spent today (UTC).</summary>
    public double SpentToday => _budget.Money;

    /// <summary>Says what would happen to a request, without doing it: no connection is opened, no model asked, and nothing logged.</summary>
    /// <exception cref="RoutingException">No place may and can answer it.</exception>
    public async Task<RouteDecision> ExplainAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellation = default) =>
        (await _router.DecideAsync(messages, options ?? new ChatOptions(), explains: true, cancellation).ConfigureAwait(false)).Decision;

    /// <inheritdoc/>
    public override object? GetService(Type serviceType, object? serviceKey = null) =>
        base.GetService(serviceType, serviceKey) ?? _local.GetService(serviceType, serviceKey);

    /// <inheritdoc/>
    protected override async ValueTask<IChatClient> SelectClientAsync(RoutingContext context, CancellationToken cancellationToken)
    {
        ChatOptions options = context.ChatOptions ?? new ChatOptions();
        PreparedRoute route = await _router.DecideAsync(context.Messages, options, explains: false, cancellationToken).ConfigureAwait(false);
        return new RoutedClient(this, route);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (UpstreamClient upstream in _upstreams)
            {
                upstream.Dispose();
            }
        }

        base.Dispose(disposing);
    }

    /// <summary>The client of one request: it knows where to go.</summary>
    private sealed class RoutedClient(HybridChatClient owner, PreparedRoute route) : IChatClient
    {
        public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
        {
            RoutedAnswer answer = new(owner, route, messages, options ?? new ChatOptions());
            double? wasted = null;
            ChatResponse response;
            try
            {
                response = await answer.RunAsync(cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (UpstreamException failure) when (route.CanAnswerHere)
            {
                // It was cut in the middle, and nobody has seen any of it; what there was of it is paid all the same.
                wasted = answer.Outcome.Cost;
                answer = new RoutedAnswer(owner, route, messages, options ?? new ChatOptions(), failure);
                response = await answer.RunAsync(cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);
            }

            (response.AdditionalProperties ??= [])[RouteOutcome.Key] = answer.Outcome with { Cost = answer.Outcome.Cost ?? wasted };
            return response;
        }

        public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            new RoutedAnswer(owner, route, messages, options ?? new ChatOptions()).RunAsync(cancellationToken);

        public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType?.IsInstanceOfType(this) == true ? this : null;

        public void Dispose()
        {
        }
    }

    /// <summary>One answer while it is made.</summary>
    private sealed class RoutedAnswer(HybridChatClient owner, PreparedRoute route, IEnumerable<ChatMessage> messages, ChatOptions options, UpstreamException? failedBefore = null)
    {
        private readonly long _began = Stopwatch.GetTimestamp();
        private UsageDetails? _usage;
        private long _characters;
        private Budget.Lease? _lease;
        private long _looked;
        private string? _problem;

        public RouteOutcome Outcome { get; private set; } = new() { ServedBy = Router.Local, Model = owner._facts.Name, Reason = route.Decision.Reason, Detail = route.Decision.Detail };

        public async IAsyncEnumerable<ChatResponseUpdate> RunAsync([EnumeratorCancellation] CancellationToken cancellation)
        {
            bool isWhole = false;
            Source? source = null;
            try
            {
                source = await OpenAsync(cancellation).ConfigureAwait(false);
                ChatResponseUpdate? last = null;
                while (await NextAsync(source).ConfigureAwait(false) is { } update)
                {
                    if (last is null)
                    {
                        (update.AdditionalProperties ??= [])[RouteOutcome.Key] = Outcome;
                    }

                    last = update;
                    yield return update;
                }

                Settle();
                isWhole = true;
                yield return new ChatResponseUpdate(ChatRole.Assistant, []) { MessageId = last?.MessageId, ResponseId = last?.ResponseId, ModelId = last?.ModelId, AdditionalProperties = new() { [RouteOutcome.Key] = Outcome } };
            }
            finally
            {
                if (!isWhole)
                {
                    Settle();
                }

                if (source is not null)
                {
                    await source.DisposeAsync().ConfigureAwait(false);
                }

                Log(isWhole);
            }
        }

        private async ValueTask<ChatResponseUpdate?> NextAsync(Source source)
        {
            try
            {
                ChatResponseUpdate? update = await source.NextAsync().ConfigureAwait(false);
                _usage = update?.Contents.OfType<UsageContent>().LastOrDefault()?.Details ?? _usage;
                _characters += update?.Contents.Sum(LengthOf) ?? 0;
                return update;
            }
            catch (Exception failure) when (failure is not OperationCanceledException)
            {
                _problem = (failure as UpstreamException)?.Kind ?? failure.GetType().Name;
                throw;
            }
        }

        private async Task<Source> OpenAsync(CancellationToken cancellation)
        {
            if (failedBefore is not null)
            {
                Fell(failedBefore);
                return await LocalAsync(false, cancellation).ConfigureAwait(false);
            }

            switch (route.Decision.Plan)
            {
                case RoutePlan.Local:
                    return await LocalAsync(false, cancellation).ConfigureAwait(false);
                case RoutePlan.Upstream:
                    try
                    {
                        return await UpstreamAsync(cancellation).ConfigureAwait(false);
                    }
                    catch (UpstreamException failure) when (route.CanAnswerHere)
                    {
                        Fell(failure);
                        return await LocalAsync(false, cancellation).ConfigureAwait(false);
                    }
                    catch (Exception failure)
                    {
                        _problem = (failure as UpstreamException)?.Kind ?? failure.GetType().Name;
                        throw;
                    }

                default:
                    return await ByConfidenceAsync(cancellation).ConfigureAwait(false);
            }
        }

        private async Task<Source> LocalAsync(bool wantsLikelihoods, CancellationToken cancellation)
        {
            ChatOptions here = options.Clone();
            here.ModelId = null;
            if (wantsLikelihoods)
            {
                here.AdditionalProperties = here.AdditionalProperties is { } given ? new AdditionalPropertiesDictionary(given) : [];
                here.AdditionalProperties["logprobs"] = true;
            }

            Source source = new(owner._local.GetStreamingResponseAsync(messages, here, cancellation), cancellation);
            long start = Stopwatch.GetTimestamp();
            await source.PeekAsync().ConfigureAwait(false);
            owner._budget.Took(isLocal: true, Stopwatch.GetElapsedTime(start).TotalSeconds);
            return source;
        }

        private async Task<Source> UpstreamAsync(CancellationToken cancellation)
        {
            UpstreamClient upstream = route.Upstream!;
            (IReadOnlyList<ChatMessage> sent, ChatOptions sentOptions) = route.Sent!.Value;
            if (owner._options.Budget.MoneyPerDay is not null)
            {
                sentOptions.MaxOutputTokens ??= Router.LongestAnswer; // else the answer may cost more than is set aside for it
            }

            _lease = owner._budget.Reserve(Router.WorstCost(upstream.Options, route.Decision.PromptTokens, options))
                ?? throw new UpstreamException("budget", "Others have taken what was left of today's money.", isTransient: false);
            IAsyncEnumerable<ChatResponseUpdate> answer = upstream.GetStreamingResponseAsync(sent, sentOptions, cancellation);
            Source source = new(route.Placeholders is { } placeholders ? Restoring.Restore(answer, placeholders, options.ResponseFormat is ChatResponseFormatJson, cancellation) : answer, cancellation);
            long start = Stopwatch.GetTimestamp();
            try
            {
                await source.PeekAsync().ConfigureAwait(false);
            }
            catch
            {
                await source.DisposeAsync().ConfigureAwait(false);
                _lease.Dispose();
                _lease = null;
                throw;
            }

            owner._budget.Took(isLocal: false, Stopwatch.GetElapsedTime(start).TotalSeconds);
            Outcome = Outcome with { ServedBy = upstream.Options.Name, Model = upstream.Options.Model ?? upstream.Options.Name, Masked = route.Placeholders?.Count ?? 0 };
            return source;
        }

        private async Task<Source> ByConfidenceAsync(CancellationToken cancellation)
        {
            ConfidenceRule rule = owner._options.Confidence;
            Source local = await LocalAsync(true, cancellation).ConfigureAwait(false);
            try
            {
                List<double> likelihoods = await local.LookAheadAsync(rule.LookAhead).ConfigureAwait(false);
                if (likelihoods.Count == 0)
                {
                    Outcome = Outcome with { Detail = "The model of this machine does not tell how likely its tokens were, so nobody knows how sure it is." };
                    return local;
                }

                double? agreement = rule.Samples == 0 ? null : await AgreementAsync(local.Seen, rule, cancellation).ConfigureAwait(false);
                ConfidenceSigns signs = ConfidenceSigns.Of(likelihoods, agreement);
                double score = rule.Model?.Score(signs) ?? ConfidenceModel.Plain(signs);
                bool isSure = score >= rule.Threshold;
                _looked = likelihoods.Count;
                Outcome = Outcome with
                {
                    Confidence = score,
                    Detail = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"This machine's answer has a confidence of {score:0.00}; {rule.Threshold:0.00} is asked for."),
                };
                if (isSure)
                {
                    return local;
                }

                try
                {
                    Source upstream = await UpstreamAsync(cancellation).ConfigureAwait(false);
                    await local.DisposeAsync().ConfigureAwait(false);
                    return upstream;
                }
                catch (UpstreamException failure)
                {
                    Fell(failure); // what was begun here goes on
                    return local;
                }
            }
            catch
            {
                await local.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        /// <summary>The share of further answers that say the same.</summary>
        private async Task<double> AgreementAsync(string said, ConfidenceRule rule, CancellationToken cancellation)
        {
            ChatOptions drawn = options.Clone();
            drawn.ModelId = null;
            drawn.Temperature = 0.8f;
            drawn.MaxOutputTokens = Math.Min(options.MaxOutputTokens ?? rule.LookAhead, rule.LookAhead);
            string[] others = await Task.WhenAll(Enumerable.Range(1, rule.Samples).Select(async index =>
            {
                ChatOptions own = drawn.Clone();
                own.Seed = index;
                return (await owner._local.GetResponseAsync(messages, own, cancellation).ConfigureAwait(false)).Text;
            })).ConfigureAwait(false);
            return others.Count(other => Worth.AnswerJudge.Same(other, said)) / (double)others.Length;
        }

        private void Fell(UpstreamException failure)
        {
            _problem = failure.Kind;
            Outcome = Outcome with { Reason = failure.Kind == "budget" ? "budget" : "upstream-failed", Detail = failure.Message };
        }

        /// <summary>Tokens of the answer: as the upstream counts, and where it does not, or was cut before it did, by what came of it.</summary>
        private long AnswerTokens => _usage?.OutputTokenCount ?? (_characters + Router.CharactersOfToken - 1) / Router.CharactersOfToken;

        private static long LengthOf(AIContent content) => content switch
        {
            TextReasoningContent thought => thought.Text.Length,
            TextContent text => text.Text.Length,
            FunctionCallContent call => WireCalls.Json(call.Arguments ?? new Dictionary<string, object?>(), typeof(IDictionary<string, object?>)).Length,
            _ => 0,
        };

        private void Settle()
        {
            if (!Outcome.IsLocal && owner._facts.JoulesPerToken is { } each)
            {
                owner._budget.Used(each * _looked); // what was begun here, and given up
                _looked = 0;
            }

            if (Outcome.IsLocal)
            {
                _lease?.Dispose();
                if (owner._facts.JoulesPerToken is { } joules && _usage?.OutputTokenCount is { } tokens && Outcome.Joules is null)
                {
                    owner._budget.Used(joules * tokens);
                    Outcome = Outcome with { Joules = joules * tokens };
                }
            }
            else if (_lease is { } lease)
            {
                UpstreamOptions upstream = route.Upstream!.Options;
                double cost = Router.CostOf(upstream, _usage?.InputTokenCount ?? route.Decision.PromptTokens, AnswerTokens);
                lease.Pay(cost);
                _lease = null;
                Outcome = Outcome with { Cost = cost };
            }
        }

        private void Log(bool isWhole) => owner._audit?.Write(json =>
        {
            json.WriteStartObject();
            json.WriteString("time", owner._clock.GetUtcNow().UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", System.Globalization.CultureInfo.InvariantCulture));
            json.WriteString("plan", route.Decision.Plan switch { RoutePlan.Local => "local", RoutePlan.Upstream => "upstream", _ => "local-then-upstream" });
            json.WriteString("served_by", Outcome.ServedBy);
            json.WriteString("reason", Outcome.Reason);
            json.WriteString("personal_data", route.Decision.PersonalData);
            json.WriteNumber("masked", Outcome.Masked);
            json.WriteNumber("prompt_tokens", _usage?.InputTokenCount ?? route.Decision.PromptTokens);
            json.WriteNumber("completion_tokens", AnswerTokens);
            if (Outcome.Confidence is { } confidence)
            {
                json.WriteNumber("confidence", Math.Round(confidence, 4));
            }

            if (Outcome.Cost is { } cost)
            {
                json.WriteNumber("cost", cost);
            }

            if (_problem is { } problem)
            {
                json.WriteString("problem", problem);
            }

            json.WriteBoolean("whole", isWhole);
            json.WriteNumber("milliseconds", Math.Round(Stopwatch.GetElapsedTime(_began).TotalMilliseconds, 1));
            json.WriteEndObject();
        });
    }

    /// <summary>An answer whose first updates can be looked at before they are given out.</summary>
    private sealed class Source(IAsyncEnumerable<ChatResponseUpdate> updates, CancellationToken cancellation) : IAsyncDisposable
    {
        private readonly IAsyncEnumerator<ChatResponseUpdate> _updates = updates.GetAsyncEnumerator(cancellation);
        private readonly Queue<ChatResponseUpdate> _held = new();

        /// <summary>The text of what is held.</summary>
        public string Seen => string.Concat(_held.Select(update => update.Text));

        public async ValueTask<bool> PeekAsync()
        {
            if (_held.Count > 0)
            {
                return true;
            }

            return await HoldAsync().ConfigureAwait(false);
        }

        /// <summary>Holds updates until so many tokens are there, or the end.</summary>
        public async Task<List<double>> LookAheadAsync(int tokens)
        {
            List<double> likelihoods = [.. _held.SelectMany(Likelihoods)];
            while (likelihoods.Count < tokens && await HoldAsync().ConfigureAwait(false))
            {
                likelihoods.AddRange(Likelihoods(_held.Last()));
            }

            return likelihoods.Count > tokens ? likelihoods[..tokens] : likelihoods;
        }

        public async ValueTask<ChatResponseUpdate?> NextAsync() => _held.TryDequeue(out ChatResponseUpdate? held) ? held : await _updates.MoveNextAsync().ConfigureAwait(false) ? _updates.Current : null;

        public ValueTask DisposeAsync() => _updates.DisposeAsync();

        private async ValueTask<bool> HoldAsync()
        {
            if (!await _updates.MoveNextAsync().ConfigureAwait(false))
            {
                return false;
            }

            _held.Enqueue(_updates.Current);
            return true;
        }

        private static IEnumerable<double> Likelihoods(ChatResponseUpdate update) =>
            update.AdditionalProperties?.TryGetValue("logprobs", out object? value) == true && value is IEnumerable<double> given ? given : [];
    }
}
