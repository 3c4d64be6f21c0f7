// Builds safetensors files by hand for tests, hostile ones included. Checks nothing.
using System.Text;

namespace Kidogo.Tests.Models.Files;

internal static class SafetensorsBuilder
{
    /// <summary>A file with this header and so many bytes of data, counting up.</summary>
    public static byte[] File(string header, int dataBytes, ulong? claimedLength = null)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        return [.. GgufBuilder.U64(claimedLength ?? (ulong)json.Length), .. json, .. GgufBuilder.Bytes(dataBytes)];
    }

    /// <summary>A small file that has something of everything.</summary>
    public static byte[] Small() => File(
        """{"__metadata__":{"format":"pt","é":"\u00e9"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[24,30]},"ids":{"dtype":"I64","shape":[],"data_offsets":[30,38]},"none":{"dtype":"F16","shape":[0,4],"data_offsets":[38,38]}}   """,
        38);

    /// <summary>One float32 tensor of 2 elements, named <paramref name="name"/>.</summary>
    public static byte[] Single(string name) => File($$$"""{"{{{name}}}":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8);
}
