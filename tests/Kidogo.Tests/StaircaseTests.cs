// The staircase of docs/architecture.md: which assembly may reference which.
using System.Reflection;
using System.Xml.Linq;
using Kidogo.TestSupport;

namespace Kidogo.Tests;

public sealed class StaircaseTests
{
    /// <summary>What each room may reference, directly or further down.</summary>
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        ["Kidogo.Tensors"] = [],
        ["Kidogo.Text"] = [],
        ["Kidogo.Privacy"] = ["Kidogo.Text"],
        ["Kidogo.Routing"] = ["Kidogo.Privacy", "Kidogo.Text"],
        ["Kidogo.Models"] = ["Kidogo.Tensors", "Kidogo.Text"],
        ["Kidogo.Inference"] = ["Kidogo.Models", "Kidogo.Tensors", "Kidogo.Text"],
        ["Kidogo.Serving"] = ["Kidogo.Inference", "Kidogo.Models", "Kidogo.Privacy", "Kidogo.Routing", "Kidogo.Tensors", "Kidogo.Text"],
        ["Kidogo.Evaluation"] = ["Kidogo.Data", "Kidogo.Inference", "Kidogo.Models", "Kidogo.Tensors", "Kidogo.Text"],
        ["Kidogo.Data"] = ["Kidogo.Text"],
        ["Kidogo.Training"] = ["Kidogo.Data", "Kidogo.Evaluation", "Kidogo.Inference", "Kidogo.Models", "Kidogo.Tensors", "Kidogo.Text"],
        ["Kidogo.Compression"] = ["Kidogo.Data", "Kidogo.Evaluation", "Kidogo.Inference", "Kidogo.Models", "Kidogo.Tensors", "Kidogo.Text", "Kidogo.Training"],
        ["Kidogo.Catalog"] = ["Kidogo.Data", "Kidogo.Evaluation", "Kidogo.Inference", "Kidogo.Models", "Kidogo.Tensors", "Kidogo.Text"],
        ["Kidogo.Cli"] = ["Kidogo.Catalog", "Kidogo.Compression", "Kidogo.Data", "Kidogo.Evaluation", "Kidogo.Inference", "Kidogo.Models", "Kidogo.Privacy", "Kidogo.Routing", "Kidogo.Serving", "Kidogo.Tensors", "Kidogo.Text", "Kidogo.Training"],
    };

    /// <summary>Packages that a room may use; none may be added elsewhere without a decision.</summary>
    private static readonly Dictionary<string, string[]> s_packages = new()
    {
        ["Kidogo.Tensors"] = ["System.Numerics.Tensors"],
        ["Kidogo.Inference"] = ["Microsoft.Extensions.AI.Abstractions", "Microsoft.Extensions.DependencyInjection.Abstractions", "Microsoft.Extensions.Options"],
        ["Kidogo.Routing"] = ["Microsoft.Extensions.AI.Abstractions", "Polly.Core"],
        ["Kidogo.Text"] = ["YamlDotNet"],
        ["Kidogo.Serving"] = ["Markdig", "Microsoft.Data.Sqlite.Core", "SQLitePCLRaw.bundle_e_sqlite3"],
        ["Kidogo.Cli"] = ["System.CommandLine"],
    };

    public static TheoryData<string> Rooms => [.. s_allowed.Keys];

    private static string Sources => Path.Combine(SharedFolder.RepositoryRoot, "src");

    [Fact]
    public void Projects_AreThoseOfTheStaircase() =>
        Assert.Equal(s_allowed.Keys.Order(), Directory.GetFiles(Sources, "*.csproj", SearchOption.AllDirectories).Select(path => Path.GetFileNameWithoutExtension(path)).Order());

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Project_References_PointDown(string room)
    {
        XDocument project = XDocument.Load(Path.Combine(Sources, room, $"{room}.csproj"));
        IEnumerable<string> references = project.Descendants("ProjectReference").Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));
        Assert.Empty(references.Except(s_allowed[room]));
        IEnumerable<string> packages = project.Descendants("PackageReference").Select(reference => reference.Attribute("Include")!.Value);
        Assert.Empty(packages.Except(s_packages.GetValueOrDefault(room, [])));
    }

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Project_AspNetCore_IsInServingAlone(string room)
    {
        XDocument project = XDocument.Load(Path.Combine(Sources, room, $"{room}.csproj"));
        Assert.Equal(room == "Kidogo.Serving", project.Descendants("FrameworkReference").Any());
    }

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Project_UnsafeCode_IsInTensorsAlone(string room)
    {
        XDocument project = XDocument.Load(Path.Combine(Sources, room, $"{room}.csproj"));
        Assert.Equal(room == "Kidogo.Tensors", project.Descendants("AllowUnsafeBlocks").Any(element => element.Value == "true"));
    }

    [Fact]
    public void Assemblies_References_PointDown()
    {
        foreach (string room in s_allowed.Keys.Where(room => room != "Kidogo.Cli"))
        {
            Assembly assembly = Assembly.Load(room);
            IEnumerable<string> referenced = assembly.GetReferencedAssemblies().Select(name => name.Name!).Where(name => name.StartsWith("Kidogo.", StringComparison.Ordinal));
            Assert.Empty(referenced.Except(s_allowed[room]));
        }
    }
}
