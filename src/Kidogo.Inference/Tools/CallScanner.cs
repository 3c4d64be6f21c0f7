// Follows one JSON object of a model's text character by character, so that a call's arguments can stream. Checks no schema.
using System.Text;
using System.Text.Json;

namespace Kidogo.Inference.Tools;

/// <summary>Finds the name and the arguments of a call in an object that is still being written.</summary>
/// <param name="isArguments">Whether the whole object is the arguments, and the name is known from elsewhere.</param>
internal sealed class CallScanner(bool isArguments)
{
    private const int LongestName = 256;

    private readonly StringBuilder _text = new();
    private int _depth;
    private bool _inString;
    private bool _escaped;
    private int _stringStart;
    private string? _key;
    private bool _afterColon;
    private int _valueStart = -1;
    private int _argumentsStart = -1;
    private int _argumentsEnd = -1;
    private int _given;

    /// <summary>All characters so far.</summary>
    public string Text => _text.ToString();

    /// <summary>The name, once it is there.</summary>
    public string? Name { get; private set; }

    /// <summary>Whether the object is closed.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Takes a character of the object, beginning with its brace.</summary>
    public void Push(char c)
    {
        int at = _text.Length;
        _text.Append(c);
        if (_inString)
        {
            TakeInString(c, at);
            return;
        }

        switch (c)
        {
            case '"':
                _inString = true;
                _stringStart = at;
                BeginValue(at);
                break;
            case '{' or '[':
                BeginValue(at);
                _depth++;
                _argumentsStart = isArguments && _depth == 1 ? at : _argumentsStart;
                break;
            case '}' or ']':
                _depth--;
                if (_depth == 0)
                {
                    EndValue(at);
                    _argumentsEnd = isArguments ? at + 1 : _argumentsEnd;
                    IsComplete = true;
                }

                break;
            case ':' when _depth == 1:
                _afterColon = true;
                _valueStart = -1;
                break;
            case ',' when _depth == 1:
                EndValue(at);
                break;
            default:
                if (!char.IsWhiteSpace(c))
                {
                    BeginValue(at);
                }

                break;
        }
    }

    /// <summary>The characters of the arguments that were not given out yet; empty where there are none now.</summary>
    public string NewArguments()
    {
        if (_argumentsStart < 0)
        {
            return "";
        }

        if (_text[_argumentsStart] == '"')
        {
            return QuotedArguments();
        }

        int end = _argumentsEnd >= 0 ? _argumentsEnd : _text.Length;
        int start = _argumentsStart + _given;
        _given = end - _argumentsStart;
        return end > start ? _text.ToString(start, end - start) : "";
    }

    private void TakeInString(char c, int at)
    {
        if (_escaped)
        {
            _escaped = false;
        }
        else if (c == '\\')
        {
            _escaped = true;
        }
        else if (c == '"')
        {
            _inString = false;
            if (_depth != 1)
            {
                return;
            }

            if (!_afterColon)
            {
                _key = Decode(_stringStart, at + 1);
            }
            else if (_key == "name" && !isArguments && at - _stringStart <= LongestName)
            {
                Name = Decode(_stringStart, at + 1);
            }
        }
    }

    private void BeginValue(int at)
    {
        if (_depth == 1 && _afterColon && _valueStart < 0)
        {
            _valueStart = at;
            if (_key is "arguments" or "parameters" && !isArguments && _argumentsStart < 0)
            {
                _argumentsStart = at;
            }
        }
    }

    private void EndValue(int at)
    {
        if (_afterColon && _valueStart >= 0 && _valueStart == _argumentsStart)
        {
            _argumentsEnd = _argumentsStart + _text.ToString(_argumentsStart, at - _argumentsStart).TrimEnd().Length;
        }

        _afterColon = false;
        _key = null;
        _valueStart = -1;
    }

    /// <summary>Arguments that the model wrote as a text of JSON: whole, once they are there.</summary>
    private string QuotedArguments()
    {
        if (_argumentsEnd < 0 || _given > 0)
        {
            return "";
        }

        _given = _argumentsEnd - _argumentsStart;
        return Decode(_argumentsStart, _argumentsEnd) ?? _text.ToString(_argumentsStart, _given);
    }

    private string? Decode(int start, int end)
    {
        try
        {
            Utf8JsonReader reader = new(Encoding.UTF8.GetBytes(_text.ToString(start, end - start)));
            return reader.Read() && reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
