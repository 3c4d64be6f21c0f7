// Finds the folder of reference data that may lie beside the checkout. Knows nothing of what the files mean.
namespace Kidogo.TestSupport;

/// <summary>The folder <c>shared</c> beside the checkout, with reference outputs of other implementations and real models.</summary>
/// <remarks>Kidogo never needs it. A test that reads it is a <see cref="SharedFactAttribute"/> or <see cref="SharedTheoryAttribute"/> and skips where it is absent.</remarks>
internal static class SharedFolder
{
    /// <summary>The folder's path, or null where it is absent.</summary>
    public static string? Root { get; } = Find();

    /// <summary>The full path of <paramref name="parts"/> under the folder.</summary>
    public static string PathOf(params string[] parts) =>
        Path.Combine([Root ?? throw new InvalidOperationException("The shared folder is absent: mark the test with [SharedFact]."), .. parts]);

    /// <summary>The checkout's root: the nearest folder above the test binaries that holds Kidogo.slnx.</summary>
    public static string RepositoryRoot { get; } = FindRepository();

    private static string? Find()
    {
        string shared = Path.GetFullPath(Path.Combine(FindRepository(), "..", "shared"));
        return Directory.Exists(Path.Combine(shared, "golden")) ? shared : null;
    }

    private static string FindRepository()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Kidogo.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No Kidogo.slnx above {AppContext.BaseDirectory}.");
    }
}

/// <summary>A fact that needs the shared reference data and is skipped, with a message, where it is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SharedFactAttribute : FactAttribute
{
    public SharedFactAttribute()
    {
        if (SharedFolder.Root is null)
        {
            Skip = "needs the reference data in ../shared, which is absent";
        }
    }
}

/// <summary>A theory that needs the shared reference data and is skipped, with a message, where it is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SharedTheoryAttribute : TheoryAttribute
{
    public SharedTheoryAttribute()
    {
        if (SharedFolder.Root is null)
        {
            Skip = "needs the reference data in ../shared, which is absent";
        }
    }
}
