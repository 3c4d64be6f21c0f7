// Where the default model is looked for.
using Kidogo.Models;

namespace Kidogo.Tests.Models;

public sealed class ModelPlacesTests
{
    [Fact]
    public void FromEnvironment_LooksHereBesideTheProgramAndInTheCheckout()
    {
        IReadOnlyList<string> folders = ModelPlaces.FromEnvironment().DefaultFolders;
        Assert.Equal(Path.GetFullPath("models"), folders[0]);
        Assert.Contains(Path.Combine(AppContext.BaseDirectory, "models"), folders);
        Assert.Contains(folders, folder => File.Exists(Path.Combine(folder, "..", "Kidogo.slnx")));
    }
}
