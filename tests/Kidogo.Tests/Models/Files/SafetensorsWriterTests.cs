// Safetensors files that are written: read back, laid out as the reference library does, and refused where they cannot be.
using Kidogo.Models.Files;

namespace Kidogo.Tests.Models.Files;

public sealed class SafetensorsWriterTests
{
    [Fact]
    public void Write_OfSeveralTypes_ReadsBack()
    {
        using TestFolder folder = new();
        TensorToWrite[] tensors =
        [
            TensorToWrite.Of("b", [3], "U8", new byte[] { 1, 2, 3 }),
            TensorToWrite.Of("a", [2, 2], "F32", new byte[16]),
            TensorToWrite.Of("scalar", [], "I64", new byte[8]),
            TensorToWrite.Of("empty", [0, 4], "BF16", Array.Empty<byte>()),
            TensorToWrite.Of("naïve \"name\"", [1], "I8", new byte[] { 255 }),
        ];
        using (NewFile file = NewFile.Create(folder["m.safetensors"]))
        {
            SafetensorsWriter.Write(file.Stream, tensors, [new("format", "pt"), new("a", "ü")]);
            Assert.Equal(SafetensorsWriter.FileBytes(tensors, [new("format", "pt"), new("a", "ü")]), file.Stream.Position);
            file.Commit();
        }

        using SafetensorsFile read = SafetensorsFile.Open(folder["m.safetensors"]);
        Assert.Equal(["scalar", "a", "empty", "b", "naïve \"name\""], read.Tensors.Select(tensor => tensor.Name)); // wide types first
        Assert.Equal([2, 2], read.Find("a")!.Shape);
        Assert.Equal([1, 2, 3], read.Find("b")!.Data.Read(0, 3).ToArray());
        Assert.Equal("pt", read.Metadata["format"]);
        Assert.Equal("ü", read.Metadata["a"]);
        Assert.Equal(0, read.Find("scalar")!.Data.Offset % 8);
    }

    [Fact]
    public void Write_OfNothing_IsAFile()
    {
        using TestFolder folder = new();
        using MemoryStream stream = new();
        SafetensorsWriter.Write(stream, []);
        using SafetensorsFile read = SafetensorsFile.Open(folder.Write("m.safetensors", stream.ToArray()));
        Assert.Empty(read.Tensors);
    }

    [Theory]
    [InlineData("x", "Q4_K")]
    [InlineData("__metadata__", "F32")]
    public void Write_OfWhatTheFormatDoesNotHave_IsRefused(string name, string type) =>
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(new MemoryStream(), [TensorToWrite.Of(name, [4], type, new byte[16])]));

    [Fact]
    public void Write_OfTwoTensorsOfOneName_IsRefused() =>
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(new MemoryStream(), [TensorToWrite.Of("x", [1], "U8", new byte[1]), TensorToWrite.Of("x", [1], "F32", new byte[4])]));

    [Fact]
    public void Write_OfFewerBytesThanAnnounced_IsADefect() =>
        Assert.Throws<InvalidOperationException>(() => SafetensorsWriter.Write(new MemoryStream(), [new TensorToWrite("x", [2], "F32", 8, stream => stream.WriteByte(1))]));

    [Fact]
    public void NewFile_ThatIsNotCommitted_LeavesTheOldOne()
    {
        using TestFolder folder = new();
        string path = folder.Write("file", "old");
        using (NewFile file = NewFile.Create(path))
        {
            file.Stream.Write("new"u8);
        }

        Assert.Equal("old", File.ReadAllText(path));
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
        NewFile.Write(path, "new"u8);
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }
}
