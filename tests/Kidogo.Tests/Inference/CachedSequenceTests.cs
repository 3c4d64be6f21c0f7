// What is kept of a sequence between turns, and what may be used again.
using Kidogo.Inference;

namespace Kidogo.Tests.Inference;

public sealed class CachedSequenceTests : IDisposable
{
    private readonly ScriptedModel _scripted = ScriptedModel.Counting(50);
    private readonly CachedSequence _sequence;

    public CachedSequenceTests() => _sequence = _scripted.Sequence(20);

    public void Dispose()
    {
        _sequence.Dispose();
        _scripted.Dispose();
    }

    [Fact]
    public void ContextLength_IsWhatWasDeclaredElseTheModels()
    {
        Assert.Equal(20, _sequence.ContextLength);
        using CachedSequence whole = _scripted.Sequence();
        Assert.Equal(ScriptedModel.ContextLength, whole.ContextLength);
    }

    [Theory]
    [InlineData(new[] { 1, 2, 3, 4, 5, 6 }, 5)]
    [InlineData(new[] { 1, 2, 3, 4, 5 }, 4)] // the last token's logits are wanted
    [InlineData(new[] { 1, 2, 3 }, 2)]
    [InlineData(new[] { 1, 2, 9, 4, 5, 6 }, 2)]
    [InlineData(new[] { 9, 2, 3 }, 0)]
    [InlineData(new[] { 1 }, 0)]
    [InlineData(new int[0], 0)]
    public void Reuse_KeepsTheSharedStart(int[] prompt, int expected)
    {
        Fill(1, 2, 3, 4, 5);
        Assert.Equal(expected, _sequence.CountReusable(prompt));
        Assert.Equal(5, _sequence.Tokens.Count); // counting changes nothing
        Assert.Equal(expected, _sequence.Reuse(prompt));
        Assert.Equal(expected, _sequence.Cache.Length);
        Assert.Equal(prompt.Take(expected), _sequence.Tokens);
    }

    [Fact]
    public void CopyFrom_AnotherSequence_TakesTheSharedStartAndLeavesItAlone()
    {
        Fill(1, 2, 3, 4, 5);
        using CachedSequence copy = _scripted.Sequence(20);
        Assert.Equal(3, copy.CopyFrom(_sequence, [1, 2, 3, 9, 9]));
        Assert.Equal([1, 2, 3], copy.Tokens);
        Assert.Equal(3, copy.Cache.Length);
        Assert.Equal([1, 2, 3, 4, 5], _sequence.Tokens);
        using CachedSequence otherContext = _scripted.Sequence(21);
        Assert.Throws<ArgumentException>(() => otherContext.CopyFrom(_sequence, [1, 2, 3]));
    }

    [Fact]
    public void Reuse_OfAnEmptySequence_IsNothing() => Assert.Equal(0, _sequence.Reuse([1, 2, 3]));

    [Theory]
    [InlineData(4, new[] { 0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 18, 19 })]
    [InlineData(0, new[] { 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 })]
    [InlineData(19, new[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 })] // one at least goes
    [InlineData(1000, new[] { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 })]
    public void MakeRoom_KeepsTheSinksAndTheLaterHalf(int sinks, int[] expected)
    {
        Fill([.. Enumerable.Range(0, 20)]);
        Assert.Empty(_sequence.MakeRoom(sinks));
        Assert.Equal(expected, _sequence.Tokens);
        Assert.Equal(expected.Length, _sequence.Cache.Length);
    }

    [Fact]
    public void Reuse_AfterMakeRoom_TakesOnlyTheSinks()
    {
        // The later half has seen tokens that are gone: a pass over the same ids would compute other keys and values.
        Fill([.. Enumerable.Range(0, 20)]);
        _sequence.MakeRoom(4);
        int[] prompt = [.. _sequence.Tokens, 1];
        Assert.Equal(4, _sequence.Reuse(prompt));
        Fill(12, 13);
        Assert.Equal(6, _sequence.Reuse(prompt)); // computed again, so as good as any
    }

    [Fact]
    public void Clear_ForgetsEverything()
    {
        Fill([.. Enumerable.Range(0, 20)]);
        _sequence.MakeRoom(2);
        _sequence.Clear();
        Assert.Empty(_sequence.Tokens);
        Fill(1, 2, 3);
        Assert.Equal(3, _sequence.Reuse([1, 2, 3, 4]));
    }

    private void Fill(params int[] tokens)
    {
        using Kidogo.Models.SequenceBatch batch = new();
        batch.Add(_sequence.Cache, tokens, Kidogo.Models.LogitRows.None);
        _scripted.Model.Forward(_scripted.Context, batch);
        _sequence.Added(tokens);
    }
}
