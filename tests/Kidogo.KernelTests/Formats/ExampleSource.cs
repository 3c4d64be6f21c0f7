// The packed layout that docs/how-to/add-a-weight-format.md gives its format: a test holds the two equal.
using Kidogo.Tensors;

namespace Kidogo.KernelTests.Formats;

internal readonly struct Q3_0Source : IPanelSource<Q3_0>
{
    public static void Codes(in Q3_0 block, int group, Span<uint> words)
    {
        for (int j = 0; j < 8; j++)
        {
            uint low = block.Codes[j], high = (block.HighBits >> (4 * j)) & 15; // four codes
            words[j] = ((low | (low << 6) | (low << 12) | (low << 18)) & 0x0303_0303) | (((high * 0x0020_4081) & 0x0101_0101) << 2);
        }
    }

    public static Half Number(in Q3_0 block, int index) => block.Scale;
}
