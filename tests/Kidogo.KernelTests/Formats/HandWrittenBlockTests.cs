// Blocks worked out by hand from the published layouts: scale 2 (float16 0x4000) and a few codes set. Knows no other implementation.
using Kidogo.Tensors.Formats;

namespace Kidogo.KernelTests.Formats;

public sealed class HandWrittenBlockTests
{
    [Fact]
    public void PlainFloats_KnownBits_AreTheirValues()
    {
        Check("F32", Bytes((0, 0x00), (1, 0x00), (2, 0xC0), (3, 0x3F)), [(0, 1.5f)]);
        Check("F16", Bytes((0, 0x00), (1, 0xBE)), [(0, -1.5f)]);
        Check("F16", Bytes((0, 0x01), (1, 0x00)), [(0, 5.9604645e-8f)]);
        Check("BF16", Bytes((0, 0xC0), (1, 0xBF)), [(0, -1.5f)]);
    }

    [Fact]
    public void Legacy_KnownCodes_AreTheirWeights()
    {
        // Code j lies in the low nibble of byte j, code j + 16 in the high one.
        Check("Q4_0", Bytes((1, 0x40), (2, 0xF9), (17, 0x08)), [(0, 2), (16, 14), (15, 0), (31, -16), (1, -16)]);
        Check("Q4_1", Bytes((1, 0x40), (2, 0x00), (3, 0xBC), (4, 0xF9), (19, 0x08)), [(0, 17), (16, 29), (15, 15), (31, -1), (1, -1)]);

        // The fifth bits of weights 0 and 31 are set.
        Check("Q5_0", Bytes((1, 0x40), (2, 0x01), (5, 0x80), (6, 0xF9), (21, 0x28)), [(0, 18), (16, -2), (15, -16), (31, 4), (1, -32)]);
        Check("Q5_1", Bytes((1, 0x40), (3, 0xBC), (4, 0x01), (7, 0x80), (8, 0xF9), (23, 0x28)), [(0, 49), (16, 29), (15, 15), (31, 35), (1, -1)]);
        Check("Q8_0", Bytes((1, 0x40), (2, 0x80), (33, 0x7F)), [(0, -256), (1, 0), (31, 254)]);
    }

    [Fact]
    public void LowBitAndFloatCodes_KnownCodes_AreTheirWeights()
    {
        Check("Q1_0", Bytes((1, 0x40), (2, 0x02), (17, 0x80)), [(0, -2), (1, 2), (8, -2), (126, -2), (127, 2)]);
        Check("Q2_0", Bytes((1, 0x40), (2, 0b11_10_01_00), (17, 0xC0)), [(0, -2), (1, 0), (2, 2), (3, 4), (4, -2), (62, -2), (63, 4)]);

        // 2^(129 - 127) = 4; codes 1 (0.5), 7 (6) and 15 (-6).
        Check("MXFP4", Bytes((0, 129), (1, 0x71), (16, 0xF0)), [(0, 2), (16, 24), (15, 0), (31, -24)]);

        // E4M3: 0x38 = 1, 0x3C = 1.5, 0x01 = 2^-9; 0x7F, a NaN, is 0.
        Check(
            "NVFP4",
            Bytes((0, 0x38), (1, 0x3C), (2, 0x01), (3, 0x7F), (4, 0x71), (12, 0x0F), (20, 0x02), (28, 0x77)),
            [(0, 0.5f), (8, 6), (16, -9), (24, 0), (32, 1 / 512f), (48, 0), (56, 0)]);
        Check("IQ4_NL", Bytes((1, 0x40), (2, 0xF0), (17, 0x87)), [(0, -254), (16, 226), (15, -20), (31, 2)]);
    }

    [Fact]
    public void Ternary_KnownTrits_AreTheirWeights()
    {
        // 256 / 3 = 85.3: byte 86 is trits 1 0 0 0 0, and 171 is 2 0 0 0 0; trits are stored plus one. Byte 255 is 2 2 2 2 2.
        Check(
            "TQ1_0",
            Bytes((53, 0x40), (0, 86), (1, 171), (31, 255), (47, 255), (51, 171)),
            [(0, 0), (32, -2), (1, 2), (33, -2), (2, -2), (31, 2), (159, 2), (158, -2), (175, 2), (239, 2), (243, 2), (247, -2), (255, -2)]);
        Check("TQ2_0", Bytes((65, 0x40), (0, 0b11_10_01_00), (63, 0x40)), [(0, -2), (32, 0), (64, 2), (96, 4), (1, -2), (255, 0), (223, -2)]);
    }

    [Fact]
    public void KQuants_KnownCodes_AreTheirWeights()
    {
        // Group 0: scale 3, minimum 1; group 15: scale 1, minimum 2. Scales times 2, minima times 4.
        Check(
            "Q2_K",
            Bytes((0, 0x13), (15, 0x21), (16, 0x03), (79, 0xC0), (81, 0x40), (83, 0x44)),
            [(0, 14), (1, -4), (255, -2), (254, -8), (100, 0)]);

        // Group 0: scale 35 - 32 = 3, high bit of weight 0 set; group 15: 31 - 32 = -1.
        Check(
            "Q3_K",
            Bytes((0, 0x01), (32, 0x03), (95, 0xC0), (96, 0x03), (103, 0xF0), (104, 0x02), (107, 0x40), (109, 0x40)),
            [(0, 18), (1, -24), (255, 2), (254, 8)]);

        // Group 0: scale 3, minimum 1; group 7: scale 16 + 5 = 21, minimum 32 + 6 = 38.
        (int At, byte Value)[] scales = [(1, 0x40), (3, 0x44), (4, 0x03), (7, 0x40), (8, 0x01), (11, 0x80), (15, 0x65)];
        Check("Q4_K", Bytes([.. scales, (16, 0x0F), (143, 0xF0)]), [(0, 86), (1, -4), (255, 478), (254, -152), (100, 0)]);
        Check("Q5_K", Bytes([.. scales, (16, 0x01), (47, 0x80), (48, 0x0F), (175, 0xF0)]), [(0, 182), (1, -4), (255, 1150), (254, -152)]);

        // Group 0: scale 3, code 63; group 15: scale -1, code 16 + 5.
        Check("Q6_K", Bytes((0, 0x0F), (127, 0x50), (128, 0x03), (191, 0x40), (192, 3), (207, 0xFF), (209, 0x40)), [(0, 186), (1, -192), (255, 22), (254, 64)]);

        // Group 0: scale 35 - 32 = 3; group 7: 31 - 32 = -1.
        Check("IQ4_XS", Bytes((1, 0x40), (2, 0x02), (3, 0x40), (4, 0x03), (7, 0xF0), (8, 0xF0), (135, 0x70)), [(0, -762), (16, 678), (255, 20), (239, 254)]);
    }

    [Fact]
    public void Codebooks_FirstAndLastPoint_AreTheirWeights()
    {
        // Point 0 of the IQ2 codebooks is eight times 8, of IQ3_XXS 4, of IQ3_S 1, of IQ1 -1; the last point of IQ2_S is eight times 43, of IQ1 eight times 1.
        // Group scale code 0 gives 2 · 0.5 / 4 = 1/4 for IQ2, 2 · 0.5 / 2 = 1/2 for IQ3_XXS, 2 for IQ3_S and IQ1.
        // Where seven signs are stored, sign bit 0 alone also flips weight 7.
        Check("IQ2_XXS", Bytes((1, 0x40), (6, 0x01)), [(0, -2), (1, 2), (7, -2), (8, 2), (255, 2)]);
        Check("IQ2_XS", Bytes((1, 0x40), (3, 0x02)), [(0, -2), (1, 2), (7, -2), (8, 2), (255, 2)]);
        Check(
            "IQ2_S", Bytes((1, 0x40), (33, 0xFF), (65, 0x81), (73, 0xC0), (81, 0x10)),
            [(0, 2), (239, 2), (247, 6), (248, -32.25f), (249, 32.25f), (255, -32.25f)]);
        Check("IQ3_XXS", Bytes((1, 0x40), (66, 0x01)), [(0, -2), (1, 2), (7, -2), (8, 2), (255, 2)]);
        Check("IQ3_S", Bytes((1, 0x40), (74, 0x01), (109, 0x10)), [(0, -2), (1, 2), (7, 2), (223, 2), (224, 6), (255, 6)]);
        Check("IQ1_S", Bytes((1, 0x40), (33, 0xFF), (49, 0x9E)), [(0, -1.75f), (223, -1.75f), (224, -6.75f), (247, -6.75f), (255, 5.25f)]);
        Check("IQ1_M", Bytes((55, 0x40), (31, 0xFF), (47, 0xF0)), [(0, -1.75f), (247, -1.75f), (255, 1.75f)]);
    }

    private static (int At, byte Value)[] Bytes(params (int At, byte Value)[] set) => set;

    /// <summary>A block of zero bytes with some set decodes to these weights at these places.</summary>
    private static void Check(string name, (int At, byte Value)[] set, (int At, float Weight)[] expected)
    {
        WeightFormat format = WeightFormats.ForName(name)!;
        byte[] block = new byte[format.BlockBytes];
        foreach ((int at, byte value) in set)
        {
            block[at] = value;
        }

        float[] weights = new float[format.BlockSize];
        format.Decode(block, weights);
        foreach ((int at, float weight) in expected)
        {
            Assert.True(weights[at] == weight, $"{name}[{at}]: expected {weight}, got {weights[at]}");
        }
    }
}
