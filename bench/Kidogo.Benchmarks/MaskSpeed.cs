// What holding an answer to a JSON schema costs a token. Knows no model but its vocabulary.
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Kidogo.Inference.Constraints;
using Kidogo.Models;

namespace Kidogo.Benchmarks;

/// <summary>Follows a written answer of people and places through masks, with a grammar that is new and again with one that was met.</summary>
internal static class MaskSpeed
{
    private const int People = 12;

    private const string Schema = """
        {"type":"object","properties":{"village":{"type":"string"},"people":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":120},
         "role":{"enum":["farmer","teacher","nurse","child"]},"languages":{"type":"array","items":{"type":"string"}},"note":{"type":"string"}},"required":["name","age","role","languages"]}}},"required":["village","people"]}
        """;

    public static void Print(string model)
    {
        using ModelText text = ModelText.Open(model);
        StringBuilder answer = new("{\"village\": \"Keur Moussa\", \"people\": [");
        for (int i = 0; i < People; i++)
        {
            answer.Append(CultureInfo.InvariantCulture, $"{(i == 0 ? "" : ", ")}{{\"name\": \"Awa Ndiaye {i}\", \"age\": {20 + i}, \"role\": \"teacher\", \"languages\": [\"Wolof\", \"français\"], \"note\": \"She said \\\"yes\\\" on day {i}.\"}}");
        }

        int[] ids = text.Tokenizer.Encode(answer.Append("]}").ToString());
        TokenBytes tokens = TokenBytes.Of(text.Tokenizer);
        float[] logits = new float[text.Tokenizer.VocabularySize];
        foreach ((string name, Func<Grammar> read) in new (string, Func<Grammar>)[] { ("any object", JsonSchemaReader.AnyObject), ("a schema", () => JsonSchemaReader.Read(Schema)) })
        {
            long start = Stopwatch.GetTimestamp();
            TokenGrammar grammar = new(read(), tokens);
            double prepared = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            double first = Walk(grammar, ids, logits), again = Walk(grammar, ids, logits);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{name}: prepared in {prepared:F1} ms; {ids.Length} tokens, {first / ids.Length:F3} ms a token the first time, {again / ids.Length:F3} ms again"));
        }
    }

    private static double Walk(TokenGrammar grammar, int[] ids, float[] logits)
    {
        TokenConstraint constraint = new(grammar);
        long start = Stopwatch.GetTimestamp();
        foreach (int id in ids)
        {
            constraint.Mask(logits);
            constraint.Accept(id);
        }

        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
