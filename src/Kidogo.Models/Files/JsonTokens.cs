// A JSON text inside a mapped file, token by token through a small buffer. Knows JSON, not what it says.
using System.Text.Json;
using System.Text.Unicode;
using Kidogo.Tensors;
using Kidogo.Text;

namespace Kidogo.Models.Files;

/// <summary>Reads JSON of any length in little memory, with every failure as a <see cref="ModelFormatException"/>.</summary>
internal ref struct JsonTokens
{
    /// <summary>The longest name or value that is read.</summary>
    private const int MaxTokenBytes = 1024 * 1024;

    private const int FirstBufferBytes = 64 * 1024;

    private readonly MappedFile _file;
    private readonly long _end;
    private byte[] _buffer = [];
    private long _bufferStart;
    private int _filled;
    private Utf8JsonReader _reader;

    /// <summary>Starts before the first token.</summary>
    /// <param name="file">The file.</param>
    /// <param name="start">First byte of the text.</param>
    /// <param name="length">Bytes of the text.</param>
    /// <param name="maxDepth">Deeper nesting is refused.</param>
    public JsonTokens(MappedFile file, long start, long length, int maxDepth)
    {
        _file = file;
        _bufferStart = start;
        _end = start + length;
        _buffer = new byte[(int)Math.Min(FirstBufferBytes, Math.Max(length, 1))];
        Fill(0, new JsonReaderState(new JsonReaderOptions { MaxDepth = maxDepth }));
    }

    /// <summary>Bytes from the start of the file to the current token.</summary>
    public readonly long Position => _bufferStart + _reader.TokenStartIndex;

    public readonly JsonTokenType Type => _reader.TokenType;

    public readonly int Depth => _reader.CurrentDepth;

    /// <summary>Goes to the next token; false behind the last.</summary>
    public bool Read()
    {
        try
        {
            while (!_reader.Read())
            {
                if (_reader.IsFinalBlock)
                {
                    return false;
                }

                Refill();
            }
        }
        catch (JsonException e)
        {
            throw new ModelFormatException(_file.Path, _bufferStart + _reader.BytesConsumed, $"This is not the JSON that was expected: {JsonProblem.Of(e)}.", e);
        }

        // The reader passes over bytes in strings that are no UTF-8.
        return Type is not (JsonTokenType.String or JsonTokenType.PropertyName) || Utf8.IsValid(_reader.ValueSpan) ? true : throw Refuse("A name or text is not valid UTF-8.");
    }

    /// <summary>Goes to the next token, which must be of <paramref name="type"/>.</summary>
    public void Expect(JsonTokenType type, string what)
    {
        if (!Read() || Type != type)
        {
            throw Refuse($"Expected {what}, found {Found()}.");
        }
    }

    /// <summary>The name or string at the current token.</summary>
    public readonly string Text(string what)
    {
        if (Type is not (JsonTokenType.String or JsonTokenType.PropertyName))
        {
            throw Refuse($"Expected {what}, found {Found()}.");
        }

        try
        {
            return _reader.GetString()!;
        }
        catch (InvalidOperationException e) // half of a surrogate pair, escaped
        {
            throw new ModelFormatException(_file.Path, Position, $"{what} is not valid Unicode.", e);
        }
    }

    /// <summary>Whether the name or string at the current token is this one.</summary>
    public readonly bool Is(ReadOnlySpan<char> text)
    {
        try
        {
            return _reader.ValueTextEquals(text);
        }
        catch (InvalidOperationException e) // half of a surrogate pair, escaped
        {
            throw new ModelFormatException(_file.Path, Position, "A name or text is not valid Unicode.", e);
        }
    }

    /// <summary>The integer at the current token: digits only, at most 2^63 - 1.</summary>
    public readonly long Count(string what) => Type == JsonTokenType.Number && _reader.TryGetInt64(out long value) && value >= 0
        ? value
        : throw Refuse($"{what} is {Found()}; expected an integer from 0 to {long.MaxValue}.");

    /// <summary>Passes over the value whose first token is the current one.</summary>
    public void SkipValue()
    {
        int depth = _reader.CurrentDepth;
        if (Type is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            return;
        }

        while (Read() && !(Type is JsonTokenType.EndObject or JsonTokenType.EndArray && _reader.CurrentDepth == depth))
        {
        }
    }

    public readonly ModelFormatException Refuse(string problem) => new(_file.Path, Position, problem);

    private readonly string Found() => Type switch
    {
        JsonTokenType.Number => System.Text.Encoding.ASCII.GetString(_reader.ValueSpan[..Math.Min(40, _reader.ValueSpan.Length)]),
        JsonTokenType.None => "nothing",
        _ => Type.ToString(),
    };

    private void Refill()
    {
        int left = _filled - (int)_reader.BytesConsumed;
        if (left == _buffer.Length)
        {
            if (_buffer.Length >= MaxTokenBytes)
            {
                throw new ModelFormatException(_file.Path, _bufferStart, $"A name or value takes more than {MaxTokenBytes} bytes, which is more than is accepted.");
            }

            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        _buffer.AsSpan((int)_reader.BytesConsumed, left).CopyTo(_buffer);
        _bufferStart += _reader.BytesConsumed;
        Fill(left, _reader.CurrentState);
    }

    private void Fill(int kept, JsonReaderState state)
    {
        long next = _bufferStart + kept;
        int count = (int)Math.Min(_buffer.Length - kept, _end - next);
        try
        {
            _file.CopyTo(next, _buffer.AsSpan(kept, count));
        }
        catch (EndOfStreamException e)
        {
            throw new ModelFormatException(_file.Path, next, "The file has become shorter while it was read.", e);
        }

        _filled = kept + count;
        _reader = new Utf8JsonReader(_buffer.AsSpan(0, _filled), isFinalBlock: next + count == _end, state);
    }
}
