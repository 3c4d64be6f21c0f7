// An array of strings in a GGUF file, as the slices of the file that they are. Knows nothing of vocabularies.
using System.Buffers.Binary;
using System.Text;
using Kidogo.Tensors;

namespace Kidogo.Models.Files;

/// <summary>Strings that lie one after the other in a mapped file. Reading one copies nothing.</summary>
/// <remarks>The places of the strings are found at the first access, in one pass that takes a few milliseconds for 150,000 of them. Spans live as long as the file is open.</remarks>
public sealed class Utf8Strings
{
    /// <summary>More strings than this are not read from one array: four times the largest vocabulary that is accepted needs no more memory than 64 MiB.</summary>
    private const int MaxCount = 4 * 1024 * 1024;

    private readonly MappedFile _file;
    private readonly long _offset;
    private readonly long _end;
    private readonly string _key;
    private uint[]? _starts; // of each string's bytes, from _offset; the next string's length lies between the end of one and the start of the next

    internal Utf8Strings(MappedFile file, string key, long offset, long end, long count)
    {
        if (count > MaxCount)
        {
            throw new ModelFormatException(file.Path, offset, $"The metadata {ModelFormatException.Quote(key)} holds {count} strings; at most {MaxCount} are read.");
        }

        _file = file;
        _key = key;
        _offset = offset;
        _end = end;
        Count = (int)count;
    }

    /// <summary>The number of strings.</summary>
    public int Count { get; }

    /// <summary>The bytes of string <paramref name="index"/>: UTF-8 in good files, anything in bad ones.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such string.</exception>
    /// <exception cref="ModelFormatException">The file was changed after it was opened.</exception>
    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            if ((uint)index >= (uint)Count)
            {
                throw new ArgumentOutOfRangeException(nameof(index), $"There is no string {index} among the {Count} of {_key}.");
            }

            uint[] starts = _starts ??= Find();
            uint start = starts[index];
            return _file.Read(_offset + start, (int)(starts[index + 1] - sizeof(ulong) - start));
        }
    }

    /// <summary>String <paramref name="index"/>, with U+FFFD for bytes that are no UTF-8.</summary>
    public string Text(int index) => Encoding.UTF8.GetString(this[index]);

    /// <summary>All strings, with U+FFFD for bytes that are no UTF-8.</summary>
    public string[] ToArray()
    {
        string[] all = new string[Count];
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = Text(i);
        }

        return all;
    }

    // The lengths were checked when the file was opened. They are checked again, for the mapping shows what the file holds now.
    private uint[] Find()
    {
        uint[] starts = new uint[Count + 1];
        ReadOnlySpan<byte> all = _file.Read(_offset, (int)(_end - _offset)); // a header is less than 2 GiB
        long at = 0;
        for (int i = 0; i < Count; i++)
        {
            long left = all.Length - at - sizeof(ulong);
            ulong length = left < 0 ? 0 : BinaryPrimitives.ReadUInt64LittleEndian(all[(int)at..]);
            if (left < 0 || length > (ulong)left)
            {
                throw new ModelFormatException(_file.Path, _offset + at, $"The strings of {ModelFormatException.Quote(_key)} are not those that were there when the file was opened. Load it again.");
            }

            starts[i] = (uint)(at + sizeof(ulong));
            at += sizeof(ulong) + (long)length;
        }

        starts[Count] = (uint)(at + sizeof(ulong));
        return starts;
    }
}
