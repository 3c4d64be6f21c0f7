// Runs of bytes and words inside a block struct. Knows no format.
using System.Runtime.CompilerServices;

namespace Kidogo.Tensors.Formats;

/// <summary>4 bytes in place.</summary>
[InlineArray(4)]
public struct Bytes4
{
    private byte _first;
}

/// <summary>8 bytes in place.</summary>
[InlineArray(8)]
public struct Bytes8
{
    private byte _first;
}

/// <summary>12 bytes in place.</summary>
[InlineArray(12)]
public struct Bytes12
{
    private byte _first;
}

/// <summary>16 bytes in place.</summary>
[InlineArray(16)]
public struct Bytes16
{
    private byte _first;
}

/// <summary>32 bytes in place.</summary>
[InlineArray(32)]
public struct Bytes32
{
    private byte _first;
}

/// <summary>48 bytes in place.</summary>
[InlineArray(48)]
public struct Bytes48
{
    private byte _first;
}

/// <summary>64 bytes in place.</summary>
[InlineArray(64)]
public struct Bytes64
{
    private byte _first;
}

/// <summary>128 bytes in place.</summary>
[InlineArray(128)]
public struct Bytes128
{
    private byte _first;
}

/// <summary>16 signed bytes in place.</summary>
[InlineArray(16)]
public struct SignedBytes16
{
    private sbyte _first;
}

/// <summary>32 signed bytes in place.</summary>
[InlineArray(32)]
public struct SignedBytes32
{
    private sbyte _first;
}

/// <summary>4 words of 16 bits, little-endian, in place.</summary>
[InlineArray(4)]
public struct Words4
{
    private ushort _first;
}

/// <summary>8 words of 16 bits, little-endian, in place.</summary>
[InlineArray(8)]
public struct Words8
{
    private ushort _first;
}

/// <summary>32 words of 16 bits, little-endian, in place.</summary>
[InlineArray(32)]
public struct Words32
{
    private ushort _first;
}

/// <summary>8 words of 32 bits, little-endian, in place.</summary>
[InlineArray(8)]
public struct DoubleWords8
{
    private uint _first;
}

/// <summary>16 words of 32 bits, little-endian, in place.</summary>
[InlineArray(16)]
public struct DoubleWords16
{
    private uint _first;
}
