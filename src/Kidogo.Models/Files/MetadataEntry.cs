// One metadata value: where it lies, and for single numbers what it is. Knows no keys.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>Where a metadata value lies in its file.</summary>
internal sealed class MetadataEntry
{
    public required MetadataKind Kind { get; init; }

    /// <summary>Of an array.</summary>
    public MetadataKind ElementKind { get; init; }

    /// <summary>Elements of an array, bytes of a string.</summary>
    public long Count { get; init; }

    /// <summary>First byte of the value, behind its length.</summary>
    public required long Offset { get; init; }

    /// <summary>First byte behind the value.</summary>
    public required long End { get; init; }

    /// <summary>The bits of a number or a bool; integers with sign are extended to 64 bits.</summary>
    public ulong Bits { get; init; }

    public Utf8Strings? Strings { get; set; }

    /// <summary>Bytes of a value of this kind; 0 for strings, arrays, and numbers that are no kind.</summary>
    public static int SizeOf(MetadataKind kind) => kind switch
    {
        MetadataKind.UInt8 or MetadataKind.Int8 or MetadataKind.Bool => 1,
        MetadataKind.UInt16 or MetadataKind.Int16 => 2,
        MetadataKind.UInt32 or MetadataKind.Int32 or MetadataKind.Float32 => 4,
        MetadataKind.UInt64 or MetadataKind.Int64 or MetadataKind.Float64 => 8,
        _ => 0,
    };

    public static ulong ReadBits(MetadataKind kind, ReadOnlySpan<byte> bytes) => kind switch
    {
        MetadataKind.UInt8 or MetadataKind.Bool => bytes[0],
        MetadataKind.Int8 => (ulong)(sbyte)bytes[0],
        MetadataKind.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        MetadataKind.Int16 => (ulong)BinaryPrimitives.ReadInt16LittleEndian(bytes),
        MetadataKind.UInt32 or MetadataKind.Float32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        MetadataKind.Int32 => (ulong)BinaryPrimitives.ReadInt32LittleEndian(bytes),
        MetadataKind.UInt64 or MetadataKind.Int64 or MetadataKind.Float64 => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Only numbers and bools have bits."),
    };
}

/// <summary>Metadata values as text for people.</summary>
internal static class MetadataText
{
    public static string Describe(MappedFile file, Metadata metadata, string key, MetadataEntry entry, int limit, int items)
    {
        if (entry.Kind == MetadataKind.String)
        {
            return Cut(file.Read(entry.Offset, (int)entry.Count), limit);
        }

        if (entry.Kind != MetadataKind.Array)
        {
            return Number(entry.Kind, entry.Bits);
        }

        List<string> shown = [];
        int count = (int)Math.Min(items, entry.Count);
        if (entry.ElementKind == MetadataKind.String)
        {
            long at = entry.Offset;
            for (int i = 0; i < count; i++)
            {
                // Read from the start instead of through Utf8Strings: a glance need not find every string.
                long length = at + sizeof(ulong) <= entry.End ? BinaryPrimitives.ReadInt64LittleEndian(file.Read(at, sizeof(ulong))) : -1;
                if (length < 0 || length > entry.End - at - sizeof(ulong))
                {
                    throw metadata.Refuse(key, "is not what it was when the file was opened. Load the file again.");
                }

                shown.Add(Cut(file.Read(at + sizeof(ulong), (int)length), Math.Min(limit, 24)));
                at += sizeof(ulong) + length;
            }
        }
        else
        {
            int size = MetadataEntry.SizeOf(entry.ElementKind);
            for (int i = 0; i < count; i++)
            {
                shown.Add(Number(entry.ElementKind, MetadataEntry.ReadBits(entry.ElementKind, file.Read(entry.Offset + (i * size), size))));
            }
        }

        string more = entry.Count > count ? ", …" : "";
        return string.Create(CultureInfo.InvariantCulture, $"[{string.Join(", ", shown)}{more}] ({entry.Count} × {entry.ElementKind})");
    }

    private static string Number(MetadataKind kind, ulong bits) => kind switch
    {
        MetadataKind.Bool => bits != 0 ? "true" : "false",
        MetadataKind.Float32 => BitConverter.UInt32BitsToSingle((uint)bits).ToString(CultureInfo.InvariantCulture),
        MetadataKind.Float64 => BitConverter.UInt64BitsToDouble(bits).ToString(CultureInfo.InvariantCulture),
        MetadataKind.UInt64 => bits.ToString(CultureInfo.InvariantCulture),
        _ => ((long)bits).ToString(CultureInfo.InvariantCulture),
    };

    private static string Cut(ReadOnlySpan<byte> utf8, int limit)
    {
        const int longestCharacter = 4;
        return ModelFormatException.Quote(Encoding.UTF8.GetString(utf8[..(int)Math.Min(utf8.Length, longestCharacter * (limit + 1L))]), limit);
    }
}
