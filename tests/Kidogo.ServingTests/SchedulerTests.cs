// Many sequences through one model: the same bits as alone, places that come and go, and nothing left behind.
using Kidogo.Inference;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Serving;
using Kidogo.Inference.Scheduling;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class SchedulerTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly string _path;

    public SchedulerTests() => _path = _folder.Write("tiny.gguf", TinyModel.File());

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 512)]
    [InlineData(3, 7)] // prompts in pieces of seven tokens, between the steps of others
    [InlineData(8, 64)]
    public async Task Greedy_UnderLoad_EqualsAlone(int parallel, int promptRows)
    {
        using Alone alone = new(_path);
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = parallel, PromptRows = promptRows });
        Random random = new(3);
        string shared = new([.. Enumerable.Range(0, 90).Select(_ => (char)random.Next(33, 126))]);
        (int[] Prompt, int MaxTokens)[] requests =
        [
            .. Enumerable.Range(0, 20).Select(i =>
            {
                string own = new([.. Enumerable.Range(0, random.Next(1, 150)).Select(_ => (char)random.Next(33, 126))]);
                return (alone.Text.Tokenizer.Encode(i % 2 == 0 ? shared + own : own), random.Next(1, 40));
            }),
        ];
        (int[] Ids, string Text)[] expected = [.. requests.Select(request => alone.Answer(request.Prompt, request.MaxTokens))];
        Task<(List<int> Ids, string Text, FinishReason? Finish)>[] running =
        [
            .. requests.Select(async (request, i) =>
            {
                await Task.Delay(i % 5); // join at different times
                return await ReadAsync(model.Scheduler.Submit(Greedy(request.Prompt, request.MaxTokens)));
            }),
        ];
        (List<int> Ids, string Text, FinishReason? Finish)[] answers = await Task.WhenAll(running);
        for (int i = 0; i < requests.Length; i++)
        {
            Assert.Equal(expected[i].Ids, answers[i].Ids);
            Assert.Equal(expected[i].Text, answers[i].Text);
            Assert.Equal(FinishReason.Length, answers[i].Finish);
        }

        Assert.True(parallel == 1 || model.Scheduler.Status().CachedTokens > 0, "Nothing was reused.");
    }

    [Fact]
    public async Task Sampled_SameSeed_SameTokensWhateverElseRuns()
    {
        using Alone alone = new(_path);
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 4 });
        SamplerOptions sampling = new() { Temperature = 1.2, Seed = 5, RepetitionPenalty = 1.1 };
        int[] prompt = alone.Text.Tokenizer.Encode("Habari");
        int[] expected = alone.Answer(prompt, 30, sampling).Ids;
        GenerationRequest request = new() { Prompt = prompt, Generation = new GenerationOptions { MaxTokens = 30, Sampling = sampling } };
        using GenerationGroup other = model.Scheduler.Submit(Greedy([1, 2, 3], 60));
        (List<int> ids, _, _) = await ReadAsync(model.Scheduler.Submit(request));
        Assert.Equal(expected, ids);
    }

    [Fact]
    public async Task Choices_OfOnePrompt_ComputeItOnce()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 4 });
        int[] prompt = [.. Enumerable.Range(0, 200).Select(i => 33 + (i % 90))];
        GenerationRequest request = Greedy(prompt, 10);
        using GenerationGroup group = model.Scheduler.Submit(request, request, request);
        List<GenerationStep> steps = await StepsAsync(group);
        Assert.Equal(prompt.Length - 1, group.Choices[1].CachedTokens);
        Assert.Equal(prompt.Length - 1, group.Choices[2].CachedTokens);
        Assert.Equal(0, group.Choices[0].CachedTokens);
        int[][] ids = [.. Enumerable.Range(0, 3).Select(choice => steps.Where(step => step.Choice == choice && step.Token is not null).Select(step => step.Token!.Value).ToArray())];
        Assert.Equal(ids[0], ids[1]);
        Assert.Equal(ids[0], ids[2]);
        Assert.Equal(prompt.Length + 2, model.Scheduler.Status().PromptTokens);
    }

    [Fact]
    public async Task Cache_OfAnotherOwner_IsNotUsed()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions());
        int[] prompt = [.. Enumerable.Range(33, 80)];
        int[] cached = [await CachedAsync("a"), await CachedAsync("b"), await CachedAsync("a")];
        Assert.Equal([0, 0, prompt.Length - 1], cached);

        async Task<int> CachedAsync(string owner)
        {
            using GenerationGroup group = model.Scheduler.Submit(Greedy(prompt, 3) with { Owner = owner });
            await StepsAsync(group);
            await IdleAsync(model);
            return group.Choices[0].CachedTokens;
        }
    }

    [Fact]
    public async Task IdleCache_Full_LetsGoOfTheOldest()
    {
        using ServedModel probe = TinyModel.Serve(_path, new SchedulerOptions());
        await StepsAsync(probe.Scheduler.Submit(Greedy([40, 41], 2)));
        await IdleAsync(probe);
        long one = probe.Scheduler.Status().IdleCacheBytes;
        Assert.True(one > 0);
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { IdleCacheBytes = (2 * one) + 1 });
        for (int i = 0; i < 5; i++)
        {
            await StepsAsync(model.Scheduler.Submit(Greedy([40 + i, 50, 51], 2)));
            await IdleAsync(model);
            Assert.InRange(model.Scheduler.Status().IdleCacheBytes, one, 2 * one);
        }
    }

    [Fact]
    public async Task Cancel_WhileItRuns_FreesThePlaceForTheNext()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 1 });
        GenerationGroup endless = model.Scheduler.Submit(Greedy([40], 500));
        await endless.Steps.WaitToReadAsync();
        GenerationGroup waiting = model.Scheduler.Submit(Greedy([41], 500));
        GenerationGroup next = model.Scheduler.Submit(Greedy([42], 2));
        waiting.Cancel(); // gone before it had a place
        Assert.Equal(1, model.Scheduler.Status().Waiting);
        endless.Cancel();
        await StepsAsync(next);
        Assert.True(endless.Choices[0].GeneratedTokens < 500);
        Assert.Equal(0, waiting.Choices[0].GeneratedTokens);
        await IdleAsync(model);
        Assert.Equal(2, model.Scheduler.Status().Cancelled);
        Assert.Equal(1, model.Scheduler.Status().Finished);
    }

    [Fact]
    public async Task Submit_BeyondTheQueue_IsRefusedWhole()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 1, QueueLength = 2 });
        using GenerationGroup running = model.Scheduler.Submit(Greedy([40], 500));
        await running.Steps.WaitToReadAsync();
        using GenerationGroup first = model.Scheduler.Submit(Greedy([41], 500));
        Assert.Throws<QueueFullException>(() => model.Scheduler.Submit(Greedy([42], 1), Greedy([43], 1)));
        using GenerationGroup second = model.Scheduler.Submit(Greedy([42], 500));
        QueueFullException failure = Assert.Throws<QueueFullException>(() => model.Scheduler.Submit(Greedy([43], 1)));
        Assert.InRange(failure.RetryAfter.TotalSeconds, 1, 60);
        Assert.Equal(3, model.Scheduler.Status().Refused);
    }

    [Fact]
    public void Submit_PromptBeyondTheContext_IsRefusedWithBothNumbers()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { ContextLength = 16 });
        ContextExceededException failure = Assert.Throws<ContextExceededException>(() => model.Scheduler.Submit(Greedy(new int[17], 1)));
        Assert.Equal((17, 16), (failure.PromptTokens, failure.ContextLength));
        Assert.Throws<ContextExceededException>(() => model.Scheduler.Submit(Greedy(new int[16], 1)));
        Assert.Throws<ArgumentException>(() => model.Scheduler.Submit(Greedy([], 1)));
        Assert.Throws<ArgumentException>(() => model.Scheduler.Submit(Greedy([258], 1)));
        Assert.Throws<ArgumentException>(() => model.Scheduler.Submit(Greedy([-1], 1)));
    }

    [Fact]
    public async Task Context_Full_EndsWithLength()
    {
        using Alone alone = new(_path);
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions());
        int[] prompt = [.. Enumerable.Repeat(70, TinyModel.ContextLength - 5)];
        (List<int> ids, _, FinishReason? finish) = await ReadAsync(model.Scheduler.Submit(Greedy(prompt, 1000)));
        Assert.Equal(alone.Answer(prompt, 1000).Ids, ids);
        Assert.Equal(FinishReason.Length, finish);
    }

    [Fact]
    public async Task Mask_OfOneSequence_BindsItAlone()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 2 });
        OnlyDigits mask = new();
        GenerationRequest free = Greedy([40], 12);
        using GenerationGroup group = model.Scheduler.Submit(free with { Mask = mask }, Greedy([40], 12));
        List<GenerationStep> steps = await StepsAsync(group);
        Assert.All(steps.Where(step => step.Choice == 0), step => Assert.InRange(step.Token!.Value, '0', '9'));
        Assert.Contains(steps, step => step.Choice == 1 && step.Token is < '0' or > '9');
        Assert.Equal(steps.Where(step => step.Choice == 0).Select(step => step.Token!.Value), mask.Accepted);
    }

    [Fact]
    public async Task Mask_ThatLeavesNothing_FailsItsSequenceAlone()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 2 });
        using GenerationGroup good = model.Scheduler.Submit(Greedy([40], 20));
        using GenerationGroup bad = model.Scheduler.Submit(Greedy([41], 20) with { Mask = new Nothing() });
        await Assert.ThrowsAsync<DamagedLogitsException>(() => StepsAsync(bad));
        Assert.Equal(20, (await StepsAsync(good)).Count);
        await IdleAsync(model);
        Assert.Equal(1, model.Scheduler.Status().Failed);
    }

    [Fact]
    public async Task Dispose_WhileSequencesRunAndWait_EndsThemAll()
    {
        ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 1 });
        GenerationGroup running = model.Scheduler.Submit(Greedy([40], 500));
        GenerationGroup waiting = model.Scheduler.Submit(Greedy([41], 500));
        await running.Steps.WaitToReadAsync();
        model.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => StepsAsync(running));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => StepsAsync(waiting));
        Assert.Throws<ObjectDisposedException>(() => model.Scheduler.Submit(Greedy([42], 1)));
    }

    [Fact]
    public async Task SlowReader_Pauses_AndGoesOnWhenItReads()
    {
        using ServedModel model = TinyModel.Serve(_path, new SchedulerOptions { Parallel = 2, UnreadSteps = 4 });
        using GenerationGroup slow = model.Scheduler.Submit(Greedy([40], 30));
        Assert.Equal(50, (await StepsAsync(model.Scheduler.Submit(Greedy([41], 50)))).Count); // the other goes on
        await Task.Delay(50);
        Assert.InRange(slow.Choices[0].GeneratedTokens, 1, 4);
        Assert.Equal(30, (await StepsAsync(slow)).Count);
    }

    private static GenerationRequest Greedy(int[] prompt, int maxTokens) =>
        new() { Prompt = prompt, Generation = new GenerationOptions { MaxTokens = maxTokens, Sampling = SamplerOptions.Greedy } };

    private static async Task<List<GenerationStep>> StepsAsync(GenerationGroup group)
    {
        List<GenerationStep> steps = [];
        await foreach (GenerationStep step in group.Steps.ReadAllAsync())
        {
            steps.Add(step);
        }

        return steps;
    }

    private static async Task<(List<int> Ids, string Text, FinishReason? Finish)> ReadAsync(GenerationGroup group)
    {
        List<GenerationStep> steps = await StepsAsync(group);
        return ([.. steps.Where(step => step.Token is not null).Select(step => step.Token!.Value)], string.Concat(steps.SelectMany(step => step.Pieces).Select(piece => piece.Text)), steps[^1].Finish);
    }

    private static async Task IdleAsync(ServedModel model)
    {
        for (int i = 0; i < 24_000 && model.Scheduler.Status().Active > 0; i++)
        {
            await Task.Delay(5);
        }

        Assert.Equal(0, model.Scheduler.Status().Active);
    }

    private sealed class OnlyDigits : ITokenMask
    {
        public List<int> Accepted { get; } = [];

        public void Apply(Span<float> logits)
        {
            for (int id = 0; id < logits.Length; id++)
            {
                logits[id] = id is >= '0' and <= '9' ? logits[id] : float.NegativeInfinity;
            }
        }

        public void Accept(int id) => Accepted.Add(id);
    }

    private sealed class Nothing : ITokenMask
    {
        public void Apply(Span<float> logits) => logits.Fill(float.NegativeInfinity);

        public void Accept(int id)
        {
        }
    }
}
