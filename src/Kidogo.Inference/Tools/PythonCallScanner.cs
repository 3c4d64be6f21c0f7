// Follows calls as Python writes them, with literals for arguments, character by character, and gives their arguments as JSON while they are written. Evaluates nothing.
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Kidogo.Inference.Tools;

/// <summary>Reads <c>[name(key="value", other=2)]</c>. What is no such call breaks it, and then nothing more comes.</summary>
internal sealed class PythonCallScanner
{
    private const int Deepest = 32;
    private const int LongestWord = 256; // a name or a number

    private enum State
    {
        BeforeCall,
        CallName,
        FirstKey, // of a call whose name and bracket are there
        Key,
        BeforeValue,
        String,
        Escape,
        Hex,
        Word,
        AfterValue,
        Ended,
        Broken,
    }

    private readonly StringBuilder _word = new(); // the name, key, number or digits that are being written
    private readonly StringBuilder _json = new(); // arguments that were not given out yet
    private readonly List<(char Close, bool IsDictionary)> _open = []; // brackets within an argument, outermost first
    private State _state = State.BeforeCall;
    private bool _isList; // whether the calls stand in brackets
    private string _name = "";
    private bool _hasArguments;
    private bool _owesComma; // a comma was written that Python allows before a bracket and JSON does not
    private bool _isValueOfPair; // whether a dictionary's key and colon have come, and what follows is its value
    private bool _isKey; // whether the string that is being written is a dictionary's key
    private char _quote;
    private int _digits; // of an escape that are still to come

    /// <summary>Whether a call has begun and not ended.</summary>
    public bool IsInCall { get; private set; }

    /// <summary>Whether what was written can be no call.</summary>
    public bool IsBroken => _state == State.Broken;

    /// <summary>Takes a character of the calls.</summary>
    /// <param name="c">The character.</param>
    /// <returns>The name of a call that begins with it, or null.</returns>
    public string? Push(char c)
    {
        switch (_state)
        {
            case State.BeforeCall:
                return BeforeCall(c);
            case State.CallName:
                if (c == '(')
                {
                    _name = TakeWord();
                    _state = _name.All(IsOfName) ? State.FirstKey : State.Broken;
                }
                else if (!IsOfName(c) && !char.IsWhiteSpace(c))
                {
                    Break();
                }
                else
                {
                    AddToWord(c);
                }

                return null;
            case State.FirstKey:
                return FirstKey(c);
            default:
                InCall(c);
                return null;
        }
    }

    /// <summary>The characters of the arguments that were not given out yet.</summary>
    public string NewArguments()
    {
        string arguments = _json.ToString();
        _json.Clear();
        return arguments;
    }

    private string? BeforeCall(char c)
    {
        if (c == '[' && !_isList)
        {
            _isList = true;
        }
        else if (c == ']' && _isList)
        {
            _state = State.Ended;
        }
        else if (IsOfName(c))
        {
            _word.Clear();
            AddToWord(c);
            _state = State.CallName;
        }
        else if (!char.IsWhiteSpace(c) && c != ',')
        {
            Break();
        }

        return null;
    }

    /// <summary>A call is one when its first argument's name begins, or when it ends without any.</summary>
    private string? FirstKey(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            return null;
        }

        if (c != ')' && !(IsOfName(c) && !char.IsDigit(c)))
        {
            Break();
            return null;
        }

        IsInCall = true;
        _hasArguments = false;
        _owesComma = false;
        _json.Append('{');
        _state = State.Key;
        InCall(c);
        return _name;
    }

    private void InCall(char c)
    {
        switch (_state)
        {
            case State.Key:
                Key(c);
                break;
            case State.BeforeValue:
                BeforeValue(c);
                break;
            case State.String:
                InString(c);
                break;
            case State.Escape:
                Escape(c);
                break;
            case State.Hex:
                Hex(c);
                break;
            case State.Word:
                Word(c);
                break;
            case State.AfterValue:
                AfterValue(c);
                break;
            default:
                break; // after the end, or broken
        }
    }

    private void Key(char c)
    {
        if (c == ')' && _word.Length == 0)
        {
            EndCall();
        }
        else if (c == '=' && _word.Length > 0)
        {
            _json.Append(_hasArguments ? ",\"" : "\"").Append(TakeWord()).Append("\":");
            _hasArguments = true;
            _state = State.BeforeValue;
        }
        else if (IsOfName(c))
        {
            AddToWord(c);
        }
        else if (!char.IsWhiteSpace(c) && !(c == ',' && _word.Length == 0 && _hasArguments))
        {
            Break();
        }
    }

    private void BeforeValue(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            return;
        }

        if (_open.Count > 0 && c == _open[^1].Close)
        {
            Close(); // an empty list, or one that ends with a comma
            return;
        }

        PayComma();
        _isKey = _open is [.., { IsDictionary: true }] && !_isValueOfPair;
        if (c is '"' or '\'')
        {
            _quote = c;
            _json.Append('"');
            _state = State.String;
        }
        else if (_isKey)
        {
            Break(); // keys are strings in JSON
        }
        else if (c is '[' or '(' or '{')
        {
            _json.Append(c == '{' ? '{' : '[');
            _open.Add((c == '[' ? ']' : c == '(' ? ')' : '}', c == '{'));
            _isValueOfPair = false;
            if (_open.Count > Deepest)
            {
                Break();
            }
        }
        else
        {
            _state = State.Word;
            AddToWord(c);
        }
    }

    private void InString(char c)
    {
        if (c == _quote)
        {
            _json.Append('"');
            _state = State.AfterValue;
        }
        else if (c == '\\')
        {
            _state = State.Escape;
        }
        else
        {
            AppendCharacter(c);
        }
    }

    private void Escape(char c)
    {
        _state = State.String;
        _digits = c switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (_digits > 0)
        {
            _word.Clear();
            _state = State.Hex;
            return;
        }

        AppendCharacter(c switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', 'a' => '\a', 'v' => '\v', '0' => '\0', _ => c });
    }

    private void Hex(char c)
    {
        if (!char.IsAsciiHexDigit(c))
        {
            Break();
            return;
        }

        _word.Append(c);
        if (--_digits > 0)
        {
            return;
        }

        uint value = uint.Parse(TakeWord(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        _state = State.String;
        foreach (char unit in value <= char.MaxValue ? $"{(char)value}" : Rune.IsValid(value) ? new Rune(value).ToString() : "\uFFFD")
        {
            AppendCharacter(unit);
        }
    }

    private void Word(char c)
    {
        if (char.IsLetterOrDigit(c) || c is '.' or '-' or '+' or '_')
        {
            AddToWord(c);
            return;
        }

        string word = TakeWord();
        if (JsonOf(word) is not { } value)
        {
            Break();
            return;
        }

        _json.Append(value);
        _state = State.AfterValue;
        AfterValue(c);
    }

    private void AfterValue(char c)
    {
        if (char.IsWhiteSpace(c))
        {
            return;
        }

        if (_open.Count == 0)
        {
            _state = State.Key;
            if (c == ')')
            {
                EndCall();
            }
            else if (c != ',')
            {
                Break();
            }
        }
        else if (c == _open[^1].Close && !_isKey)
        {
            Close();
        }
        else if (c == ':' && _isKey)
        {
            _json.Append(':');
            _isValueOfPair = true;
            _state = State.BeforeValue;
        }
        else if (c == ',' && !_isKey)
        {
            _owesComma = true;
            _isValueOfPair = false;
            _state = State.BeforeValue;
        }
        else
        {
            Break();
        }
    }

    private void Close()
    {
        if (_isValueOfPair && _state == State.BeforeValue)
        {
            Break(); // a key without its value
            return;
        }

        _json.Append(_open[^1].Close == '}' ? '}' : ']');
        _open.RemoveAt(_open.Count - 1);
        _owesComma = false;
        _isKey = false;
        _isValueOfPair = false;
        _state = State.AfterValue;
    }

    private void EndCall()
    {
        _json.Append('}');
        IsInCall = false;
        _state = State.BeforeCall;
    }

    private void PayComma()
    {
        if (_owesComma)
        {
            _json.Append(',');
            _owesComma = false;
        }
    }

    private void Break() => _state = State.Broken;

    private void AddToWord(char c)
    {
        _word.Append(c);
        if (_word.Length > LongestWord)
        {
            Break();
        }
    }

    private string TakeWord()
    {
        string word = _word.ToString().Trim();
        _word.Clear();
        return word;
    }

    private void AppendCharacter(char c)
    {
        if (c is '"' or '\\')
        {
            _json.Append('\\').Append(c);
        }
        else if (c < ' ')
        {
            _json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
        }
        else
        {
            _json.Append(c);
        }
    }

    private static bool IsOfName(char c) => char.IsLetterOrDigit(c) || c is '_' or '-' or '.';

    /// <summary>A constant or a number as JSON; null for what is neither.</summary>
    private static string? JsonOf(string word)
    {
        switch (word)
        {
            case "True" or "true":
                return "true";
            case "False" or "false":
                return "false";
            case "None" or "null":
                return "null";
        }

        try
        {
            Utf8JsonReader reader = new(Encoding.UTF8.GetBytes(word));
            if (reader.Read() && reader.TokenType == JsonTokenType.Number)
            {
                return word; // with all its digits
            }
        }
        catch (JsonException)
        {
            // Python knows more ways to write numbers.
        }

        return double.TryParse(word.Replace("_", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
            ? number.ToString("R", CultureInfo.InvariantCulture) : null;
    }
}
