// Ten thousand damaged files of each kind. A tool in bench/Kidogo.Fuzz runs more of the same.
using Kidogo.Models.Files;

namespace Kidogo.Tests.Models.Files;

public sealed class FileFuzzTests
{
    private const int Mutations = 10_000;

    /// <summary>A file of 1 KB is read in a few times its size, the buffers of the readers, and the messages of exceptions.</summary>
    private const long MaxAllocatedBytesPerFile = 2 * 1024 * 1024;

    [Theory]
    [InlineData("Gguf")]
    [InlineData("Safetensors")]
    [InlineData("Config")]
    [InlineData("Index")]
    [InlineData("Tokenizer")]
    [InlineData("ChatTemplate")]
    public void Open_MutatedFile_IsReadOrRefusedAndNothingElse(string kindName)
    {
        FuzzKind kind = Enum.Parse<FuzzKind>(kindName);
        byte[] seed = FileFuzz.Seed(kind);
        using FuzzFile file = new(kind);
        Assert.True(file.Try(seed), "The seed itself must be read.");
        Random random = new(20_260_101 + (int)kind);
        int read = 0;
        for (int i = 0; i < Mutations; i++)
        {
            byte[] mutated = FileFuzz.Mutate(seed, random);
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                read += file.Try(mutated) ? 1 : 0;
            }
            catch (Exception e) when (e is not ModelFormatException)
            {
                Assert.Fail($"Mutation {i} threw {e}\n{Convert.ToBase64String(mutated)}");
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocatedBytesPerFile);
        }

        Assert.InRange(read, Mutations / 100, Mutations * 99 / 100); // both outcomes occur, or this tests nothing
    }
}
