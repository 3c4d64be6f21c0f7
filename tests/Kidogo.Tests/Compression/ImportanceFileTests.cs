// Importance matrices in both kinds of files: round trips, damaged ones, those of another model.
using Kidogo.Compression.Calibration;
using Kidogo.Models.Export;

namespace Kidogo.Tests.Compression;

public sealed class ImportanceFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kidogo-importance").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("matrix.gguf")]
    [InlineData("matrix.dat")]
    public void Read_WhatWasWritten_IsTheSame(string name)
    {
        const float Tolerance = 1e-6f; // sums instead of means, once divided and once multiplied
        ImportanceMatrix matrix = Sample();
        ImportanceFile.Write(PathOf(name), matrix);
        ImportanceMatrix read = ImportanceFile.Read(PathOf(name));
        Assert.Equal(matrix.Columns.Keys.Order(StringComparer.Ordinal), read.Columns.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(matrix.Datasets, read.Datasets);
        Assert.Equal(matrix.Tokens, read.Tokens);
        foreach ((string tensor, ColumnImportance columns) in matrix.Columns)
        {
            for (int c = 0; c < columns.MeanSquares.Length; c++)
            {
                Assert.Equal(columns.MeanSquares[c], read.Columns[tensor].MeanSquares[c], Tolerance * columns.MeanSquares[c]);
            }
        }
    }

    [Fact]
    public void Write_OlderBinary_HasLlamaCppsLayout()
    {
        ImportanceFile.Write(PathOf("matrix.dat"), new ImportanceMatrix(new Dictionary<string, ColumnImportance> { ["ab"] = new([2, 3], 1024) }) { Datasets = ["t"] });
        byte[] expected = [1, 0, 0, 0, 2, 0, 0, 0, (byte)'a', (byte)'b', 2, 0, 0, 0, 2, 0, 0, 0, .. BitConverter.GetBytes(4f), .. BitConverter.GetBytes(6f), 2, 0, 0, 0, 1, 0, 0, 0, (byte)'t'];
        Assert.Equal(expected, File.ReadAllBytes(PathOf("matrix.dat")));
    }

    [Theory]
    [InlineData("matrix.gguf")]
    [InlineData("matrix.dat")]
    public void Read_CutAnywhere_ThrowsTheOneException(string name)
    {
        ImportanceFile.Write(PathOf(name), Sample());
        byte[] whole = File.ReadAllBytes(PathOf(name));
        const int End = 32; // what may be absent: padding of the one kind, and of the other the number of chunks and the name of the text, before which older files end
        for (int length = 0; length < whole.Length - End; length += length < 200 ? 1 : 17)
        {
            File.WriteAllBytes(PathOf("cut"), whole.AsSpan(0, length));
            Assert.Throws<CalibrationException>(() => ImportanceFile.Read(PathOf("cut")));
        }
    }

    [Fact]
    public void Read_AnyByteChanged_ThrowsTheOneExceptionOrReads()
    {
        foreach (string name in (string[])["matrix.gguf", "matrix.dat"])
        {
            ImportanceFile.Write(PathOf(name), Sample());
            byte[] whole = File.ReadAllBytes(PathOf(name));
            for (int at = 0; at < whole.Length; at += at < 300 ? 1 : 29)
            {
                byte before = whole[at];
                whole[at] ^= 0xFF;
                File.WriteAllBytes(PathOf("changed"), whole);
                whole[at] = before;
                Exception? thrown = Record.Exception(() => ImportanceFile.Read(PathOf("changed")));
                Assert.True(thrown is null or CalibrationException, $"{name} byte {at}: {thrown}");
            }
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(-1f)]
    public void Read_ValueThatIsNoMeanOfSquares_IsRefused(float value)
    {
        ImportanceFile.Write(PathOf("matrix.dat"), new ImportanceMatrix(new Dictionary<string, ColumnImportance> { ["blk.0.attn_q.weight"] = new([1, value], 512) }));
        Assert.Contains("column 1", Assert.Throws<CalibrationException>(() => ImportanceFile.Read(PathOf("matrix.dat"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CheckFits_AnotherModel_IsRefused()
    {
        ImportanceMatrix matrix = Sample();
        matrix.CheckFits([Matrix("blk.0.attn_q.weight", 4), Matrix("blk.0.ffn_down.weight", 6), Matrix("token_embd.weight", 4)], "f");
        Assert.Throws<CalibrationException>(() => matrix.CheckFits([Matrix("blk.0.attn_q.weight", 5), Matrix("blk.0.ffn_down.weight", 6)], "f"));
        Assert.Throws<CalibrationException>(() => matrix.CheckFits([Matrix("blk.0.attn_q.weight", 4), Matrix("blk.1.attn_q.weight", 4)], "f"));
        Assert.Throws<CalibrationException>(() => matrix.CheckFits([Matrix("token_embd.weight", 4)], "f"));
    }

    [Fact]
    public void Find_MatricesThatReadTheSame_HaveTheSame()
    {
        ImportanceMatrix matrix = Sample();
        Assert.Same(matrix.Find("blk.0.attn_q.weight"), matrix.Find("blk.0.attn_qkv.weight"));
        Assert.Same(matrix.Find("blk.0.attn_q.weight"), matrix.Find("blk.0.attn_v.weight"));
        Assert.Null(matrix.Find("blk.0.attn_output.weight"));
        Assert.Null(matrix.Find("output.weight"));
    }

    private static ModelTensor Matrix(string name, int columns) => ModelTensor.Matrix(name, 2, columns, (_, row) => row.Clear());

    private static ImportanceMatrix Sample() => new(new Dictionary<string, ColumnImportance>
    {
        ["blk.0.attn_q.weight"] = new([1.5f, 0.25f, 1e-9f, 3e5f], 1024),
        ["blk.0.ffn_down.weight"] = new([1, 2, 3, 4, 5, 1f / 3], 1024),
    }) { Datasets = ["a.txt"] };

    private string PathOf(string name) => Path.Combine(_folder, name);
}
