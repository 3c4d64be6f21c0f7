// What a bad line costs: a download over a line that is cut again and again and is limited, counted in bytes at the other end.
using System.Globalization;
using Kidogo.Catalog.Hub;
using Kidogo.Models;
using Kidogo.TestSupport;

namespace Kidogo.Benchmarks;

internal static class DownloadCost
{
    private const int Megabyte = 1_000_000;

    /// <summary>Downloads so many megabytes from a hub on loopback whose every connection ends after so many.</summary>
    /// <param name="megabytes">The size of the file.</param>
    /// <param name="cutMegabytes">After how many the line is cut.</param>
    /// <param name="rateMegabytes">What the line takes a second.</param>
    public static void Print(int megabytes, int cutMegabytes, double rateMegabytes)
    {
        byte[] content = ScriptedHub.Content(megabytes * Megabyte, 1);
        string folder = Directory.CreateTempSubdirectory("kidogo-download-").FullName;
        try
        {
            using ScriptedHub hub = new() { CutEvery = (long)cutMegabytes * Megabyte, BytesPerSecond = rateMegabytes * Megabyte };
            hub.Files["model-Q4_K_M.gguf"] = content;
            long start = TimeProvider.System.GetTimestamp();
            PulledModel pulled = new ModelPull(new HubSettings { CacheFolder = folder, Endpoint = hub.Endpoint }).RunAsync(new PullRequest(HubName.TryParse("org/name")!), CancellationToken.None).GetAwaiter().GetResult();
            double seconds = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
            bool isRight = ScriptedHub.Sha256(File.ReadAllBytes(pulled.Model.Path)) == ScriptedHub.Sha256(content);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{content.Length} bytes, cut every {cutMegabytes} MB, {rateMegabytes} MB/s: {hub.Connections - 1} connections, {hub.SentBytes} bytes sent (+{100.0 * (hub.SentBytes - content.Length) / content.Length:0.00} %), {seconds:0.0} s, hash {(isRight ? "right" : "WRONG")}"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
