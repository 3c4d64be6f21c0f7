// Compares floats to the bit. Knows nothing of where they come from.
namespace Kidogo.KernelTests;

internal static class AssertBits
{
    /// <summary>Every element has the same bits: -0 is not 0, and a NaN equals itself.</summary>
    public static void Equal(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            uint expectedBits = BitConverter.SingleToUInt32Bits(expected[i]);
            uint actualBits = BitConverter.SingleToUInt32Bits(actual[i]);
            if (expectedBits != actualBits)
            {
                Assert.Fail($"{what}, element {i}: expected {expected[i]:R} (0x{expectedBits:X8}), got {actual[i]:R} (0x{actualBits:X8}).");
            }
        }
    }
}
