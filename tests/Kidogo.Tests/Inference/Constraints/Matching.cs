// Whole texts against a grammar, byte by byte, and vocabularies for tests.
using System.Text;
using System.Text.Json;
using Kidogo.Inference.Constraints;

namespace Kidogo.Tests.Inference.Constraints;

internal static class Matching
{
    /// <summary>A token for each byte, and token 256 for the end.</summary>
    public static TokenBytes Bytes { get; } = TokenBytes.Of([.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value }), null], [256]);

    public static bool Fits(Grammar grammar, string text)
    {
        GrammarAutomaton automaton = new(new GrammarNetwork(grammar));
        GrammarState state = automaton.Start();
        foreach (byte value in Encoding.UTF8.GetBytes(text))
        {
            state = automaton.Step(state, value);
        }

        return state.CanEnd;
    }

    /// <summary>A text that is drawn token by token from what the grammar lets through, and ends as soon as it may after some tokens.</summary>
    public static string Draw(Grammar grammar, int seed, TokenBytes? tokens = null, int patience = 60)
    {
        tokens ??= Bytes;
        TokenConstraint constraint = new(new TokenGrammar(grammar, tokens));
        Random random = new(seed);
        List<byte> text = [];
        float[] logits = new float[tokens.VocabularySize];
        for (int count = 0; count < 5_000; count++)
        {
            Array.Clear(logits);
            Assert.True(constraint.Mask(logits), $"Nothing may follow {Encoding.UTF8.GetString([.. text])}");
            int[] allowed = [.. Enumerable.Range(0, logits.Length).Where(id => logits[id] == 0)];
            Assert.Equal(constraint.CanEnd, tokens.Ends.Any(allowed.Contains));
            if (constraint.CanEnd && (count > patience || allowed.Length == tokens.Ends.Length || random.Next(4) == 0))
            {
                return Encoding.UTF8.GetString([.. text]);
            }

            int[] closing = [.. allowed.Where(id => tokens.ById[id] is [(byte)'"' or (byte)'}' or (byte)']' or (byte)','])];
            int[] writing = [.. allowed.Where(id => tokens.ById[id] is not null)];
            int id = count > patience && closing.Length > 0 && random.Next(2) == 0 ? closing[random.Next(closing.Length)] : writing[random.Next(writing.Length)];
            constraint.Accept(id);
            text.AddRange(tokens.ById[id]!);
        }

        throw new InvalidOperationException($"The text does not end: {Encoding.UTF8.GetString([.. text])[..200]}");
    }

    public static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;
}
