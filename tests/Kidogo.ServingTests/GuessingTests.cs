// Many sequences that are guessed ahead: the same tokens as alone, ends and limits included.
using Kidogo.Inference.Constraints;
using Kidogo.Inference.Output;
using Kidogo.Inference.Sampling;
using Kidogo.Inference.Scheduling;
using Kidogo.Inference.Speculation;
using Kidogo.Models;
using Kidogo.Serving;
using Kidogo.Tensors;
using Kidogo.Tests.Models.Files;

namespace Kidogo.ServingTests;

public sealed class GuessingTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly string _path;

    public GuessingTests() => _path = _folder.Write("tiny.gguf", TinyModel.File());

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, false)]
    [InlineData(4, false)]
    [InlineData(4, true)]
    public async Task Guessed_UnderLoad_EqualsAlone(int parallel, bool byModel)
    {
        using Alone alone = new(_path);
        using ServedModel model = byModel ? ServeWithDraft(parallel) : TinyModel.Serve(_path, new SchedulerOptions { Parallel = parallel, Drafter = () => new PromptLookup() });
        (int[] Prompt, int MaxTokens, SamplerOptions Sampling)[] requests =
        [
            .. Enumerable.Range(0, 12).Select(i =>
            {
                string period = "abcdefghijkl"[..((i % 5) + 3)];
                string text = string.Concat(Enumerable.Repeat(period, 20));
                SamplerOptions sampling = i % 2 == 0 ? SamplerOptions.Greedy : new SamplerOptions { Seed = (ulong)i, Temperature = 0.3, RepetitionPenalty = 1.05 };
                return (alone.Text.Tokenizer.Encode(text), i == 7 ? 600 : 20 + (7 * i), sampling); // one runs into the end of the context
            }),
        ];
        List<GenerationGroup> groups = [.. requests.Select(request => model.Scheduler.Submit(
            new GenerationRequest { Prompt = request.Prompt, Generation = new GenerationOptions { MaxTokens = request.MaxTokens, Sampling = request.Sampling } }))];
        int drafted = 0;
        for (int i = 0; i < groups.Count; i++)
        {
            List<GenerationStep> steps = await groups[i].Steps.ReadAllAsync().ToListAsync();
            (int[] ids, string text) = alone.Answer(requests[i].Prompt, requests[i].MaxTokens, requests[i].Sampling);
            Assert.Equal(ids, steps.Where(step => step.Token is not null).Select(step => step.Token!.Value).Take(ids.Length));
            Assert.Equal(text, string.Concat(steps.SelectMany(step => step.Pieces).Select(piece => piece.Text)));
            Assert.Equal(FinishReason.Length, steps[^1].Finish);
            Assert.Equal(steps.Count(step => step.Token is not null), groups[i].Choices[0].GeneratedTokens);
            Assert.InRange(groups[i].Choices[0].Guesses.Accepted, 0, groups[i].Choices[0].Guesses.Drafted);
            drafted += groups[i].Choices[0].Guesses.Drafted;
        }

        Assert.True(drafted > 0, "Nothing was guessed.");
    }

    /// <summary>The model itself guesses: it is always right where the answer is greedy.</summary>
    private ServedModel ServeWithDraft(int parallel)
    {
        ComputeContext context = ComputeContext.Inference(1);
        return new ServedModel("tiny", ModelLoader.Load(_path, context), context, null, new SchedulerOptions { Parallel = parallel }, null, ModelLoader.Load(_path, context));
    }

    [Fact]
    public async Task Guessed_StopStringsAndForms_EndAsAlone()
    {
        using ServedModel plain = TinyModel.Serve(_path, new SchedulerOptions());
        using ServedModel guessing = TinyModel.Serve(_path, new SchedulerOptions { Drafter = () => new PromptLookup() });
        int[] prompt = plain.Tokenizer.Encode(string.Concat(Enumerable.Repeat("xyz xyz ", 10)));
        string whole = await TextAsync(plain, [], null);
        foreach ((string[] stops, string? pattern) in ((string[], string?)[])[([whole[40..43]], null), ([], "(xyz ){3,12}!"), ([], "[a-z]{60}")])
        {
            Assert.Equal(await TextAsync(plain, stops, pattern), await TextAsync(guessing, stops, pattern));
        }

        async Task<string> TextAsync(ServedModel model, string[] stops, string? pattern)
        {
            GenerationRequest request = new()
            {
                Prompt = prompt,
                Generation = new GenerationOptions { MaxTokens = 80, StopStrings = stops, Sampling = SamplerOptions.Greedy },
                Mask = pattern is null ? null : new TokenConstraint(model.Grammars.Of(AnswerForm.Pattern(pattern))),
            };
            using GenerationGroup group = model.Scheduler.Submit(request);
            return string.Concat((await group.Steps.ReadAllAsync().ToListAsync()).SelectMany(step => step.Pieces).Select(piece => piece.Text));
        }
    }
}
