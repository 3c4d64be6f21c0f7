// What people type as a matrix, and what is none.
using Kidogo.Evaluation.Explanations;

namespace Kidogo.Tests.Evaluation.Explanations;

public sealed class TypedMatrixTests
{
    [Theory]
    [InlineData("1 2;3 4")]
    [InlineData("1,2\n3,4\n")]
    [InlineData("\r\n1\t2 ;; 3  4;\n")]
    [InlineData("1.0 2e0; 3 +4")]
    public void Parse_AnyOfTheForms_GivesTheSameMatrix(string text)
    {
        TypedMatrix matrix = TypedMatrix.Parse(text, "here");
        Assert.Equal((2, 2), (matrix.Rows, matrix.Columns));
        Assert.Equal([1f, 2, 3, 4], matrix.Values);
    }

    [Theory]
    [InlineData("", "no numbers")]
    [InlineData(" ; ,;\n", "no numbers")]
    [InlineData("1 2; 3", "row 2 has 1 numbers, the first has 2")]
    [InlineData("1 two", "\"two\" in row 1")]
    [InlineData("NaN", "\"NaN\"")]
    [InlineData("Infinity", "\"Infinity\"")]
    [InlineData("1e39", "\"1e39\"")]
    [InlineData("0x1F", "\"0x1F\"")]
    public void Parse_WhatIsNoMatrix_SaysWhereAndWhatToDo(string text, string expected)
    {
        string message = Assert.Throws<ExplanationException>(() => TypedMatrix.Parse(text, "here")).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.StartsWith("here", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_TheLargestAndOneMore_IsReadAndRefused()
    {
        string row = string.Join(' ', Enumerable.Repeat("1", TypedMatrix.MostColumns));
        Assert.Equal(TypedMatrix.MostRows * TypedMatrix.MostColumns, TypedMatrix.Parse(string.Join('\n', Enumerable.Repeat(row, TypedMatrix.MostRows)), "here").Values.Length);
        Assert.Contains("smaller matrix", Assert.Throws<ExplanationException>(() => TypedMatrix.Parse(row + " 1", "here")).Message, StringComparison.Ordinal);
        Assert.Contains("smaller matrix", Assert.Throws<ExplanationException>(() => TypedMatrix.Parse(string.Join('\n', Enumerable.Repeat("1", TypedMatrix.MostRows + 1)), "here")).Message, StringComparison.Ordinal);
        Assert.Contains("characters", Assert.Throws<ExplanationException>(() => TypedMatrix.Parse(new string('1', TypedMatrix.MostCharacters + 1), "here")).Message, StringComparison.Ordinal);
    }
}
