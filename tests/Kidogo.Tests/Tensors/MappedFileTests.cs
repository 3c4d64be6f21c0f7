// A mapped file: what lies in it can be read, what does not cannot, and what is no file is refused without waiting.
using Kidogo.Tensors;

namespace Kidogo.Tests.Tensors;

public sealed class MappedFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kidogo-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Read_WithinTheFile_GivesItsBytes()
    {
        using MappedFile file = MappedFile.Open(Write([1, 2, 3]));
        Assert.Equal([1, 2, 3], file.Read(0, 3).ToArray());
        Assert.Equal([3], file.Range(1, 2).Read(1, 1).ToArray());
        Assert.Equal([], file.Read(3, 0).ToArray());
        byte[] copy = new byte[2];
        file.CopyTo(1, copy);
        Assert.Equal([2, 3], copy);
    }

    [Theory]
    [InlineData(0, 4)]
    [InlineData(3, 1)]
    [InlineData(-1, 1)]
    [InlineData(1, -1)]
    [InlineData(long.MaxValue, 1)]
    [InlineData(long.MaxValue, int.MaxValue)]
    [InlineData(long.MinValue, 0)]
    public void Read_OutsideTheFile_Throws(long offset, int count)
    {
        using MappedFile file = MappedFile.Open(Write([1, 2, 3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(offset, count).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Range(offset, count));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Range(1, 1).Read(offset, count).Length);
    }

    [Fact]
    public void Read_AfterDispose_Throws()
    {
        MappedFile file = MappedFile.Open(Write([1, 2, 3]));
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Read(0, 1).Length);
        Assert.Throws<ObjectDisposedException>(() => file.CopyTo(0, new byte[1]));
    }

    [Fact]
    public void Open_EmptyFile_HasNothing()
    {
        using MappedFile file = MappedFile.Open(Write([]));
        Assert.Equal(0, file.Length);
        Assert.True(file.Read(0, 0).IsEmpty);
        file.CopyTo(0, []);
    }

    [Fact]
    public void Open_Link_MapsItsTarget()
    {
        string path = Write([1, 2, 3]);
        File.CreateSymbolicLink(path + ".link", path);
        using MappedFile file = MappedFile.Open(path + ".link");
        Assert.Equal(3, file.Length);
    }

    [Fact]
    public void Open_NoRegularFile_ThrowsWithoutWaiting()
    {
        Assert.Throws<FileNotFoundException>(() => MappedFile.Open(Path.Combine(_folder, "absent")));
        Assert.ThrowsAny<IOException>(() => MappedFile.Open(_folder));
        if (OperatingSystem.IsLinux())
        {
            Assert.Contains("not a regular file", Assert.ThrowsAny<IOException>(() => MappedFile.Open("/dev/zero")).Message, StringComparison.Ordinal); // endless
            string pipe = Path.Combine(_folder, "pipe");
            using System.Diagnostics.Process make = System.Diagnostics.Process.Start("mkfifo", [pipe]);
            make.WaitForExit();
            Assert.Contains("not a regular file", Assert.ThrowsAny<IOException>(() => MappedFile.Open(pipe)).Message, StringComparison.Ordinal); // opening it in earnest would wait for a writer
            string empty = Path.Combine(_folder, "empty");
            File.WriteAllBytes(empty, []);
            using MappedFile nothing = MappedFile.Open(empty);
            Assert.Equal(0, nothing.Length);
        }
    }

    [Fact]
    public void CopyTo_FileCutShort_ThrowsInsteadOfEndingTheProcess()
    {
        string path = Write(new byte[100_000]);
        using MappedFile file = MappedFile.Open(path);
        using (FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.SetLength(10);
        }

        Assert.Throws<EndOfStreamException>(() => file.CopyTo(50_000, new byte[10]));
    }

    private string Write(byte[] bytes)
    {
        string path = Path.Combine(_folder, "file");
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
