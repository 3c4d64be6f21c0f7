// Parts tool calls from the text of an answer while it streams. Knows the forms of ToolCallFormat, no tools.
using System.Text;

namespace Kidogo.Inference.Tools;

/// <summary>What a piece of an answer turned out to be: text, or a part of a call.</summary>
/// <param name="Content">Text of the answer, or null.</param>
/// <param name="Call">The index of the call.</param>
/// <param name="Name">Its name, where the call begins.</param>
/// <param name="Arguments">The next characters of its arguments.</param>
public readonly record struct ToolPiece(string? Content, int Call, string? Name, string Arguments);

/// <summary>Reads one answer. What it gives out does not depend on how the text is cut, but for where arguments are cut.</summary>
/// <param name="format">How the model writes calls.</param>
/// <param name="names">The tools that there are: a bare object that names none is an answer.</param>
public sealed class ToolCallParser(ToolCallFormat format, IReadOnlyCollection<string> names)
{
    private readonly StringBuilder _held = new(); // what may still become a marker, or a call without a name so far
    private readonly List<ToolPiece> _pieces = [];
    private CallScanner? _scanner;
    private PythonCallScanner? _python; // of calls that are written as Python
    private string? _name; // of the call that is being written, once given out
    private bool _inCalls;
    private bool _hasText;
    private int _callsBefore; // the calls that are being written in one list

    /// <summary>Calls so far.</summary>
    public int Calls { get; private set; }

    /// <summary>Whether a call has begun and not ended.</summary>
    public bool IsInCall => _name is not null || _python is { IsInCall: true };

    /// <summary>Takes the next piece of the answer's text.</summary>
    public IReadOnlyList<ToolPiece> Push(string text)
    {
        _pieces.Clear();
        foreach (char c in text)
        {
            Take(c);
        }

        GiveArguments();
        return [.. _pieces];
    }

    /// <summary>Says that the answer is over.</summary>
    public IReadOnlyList<ToolPiece> Finish()
    {
        _pieces.Clear();
        if (_python is not null)
        {
            EndPython(_held.ToString());
        }
        else if (_scanner is not null)
        {
            GiveArguments();
            if (_name is null)
            {
                Say(_held.ToString() + _scanner.Text);
            }
        }
        else if (_held.ToString() is var rest && (Calls == 0 || (!_inCalls && !string.IsNullOrWhiteSpace(rest))))
        {
            Say(rest); // a marker that was none
        }

        _held.Clear();
        _name = null;
        return [.. _pieces];
    }

    private void Take(char c)
    {
        if (_scanner is not null)
        {
            TakeInObject(c);
        }
        else if (_inCalls)
        {
            TakeBetween(c);
        }
        else
        {
            TakeText(c);
        }
    }

    private void TakeText(char c)
    {
        _held.Append(c);
        string held = _held.ToString();
        if (format.Open.Length == 0)
        {
            // The form without a marker: an object at the very beginning, after a tag perhaps.
            string bare = WithoutInner(held).TrimStart();
            if (!_hasText && bare.Length > 0 && bare[0] == '{')
            {
                _inCalls = true;
                _held.Length--; // the brace is the object's; what stood before it is shown if that is no call
                Begin('{', isArguments: false);
            }
            else if (_hasText || (bare.Length > 0 && !format.Inner.Any(marker => marker.StartsWith(bare, StringComparison.Ordinal))))
            {
                Say(held);
                _held.Clear();
            }

            return;
        }

        if (held.EndsWith(format.Open, StringComparison.Ordinal))
        {
            Say(held[..^format.Open.Length].TrimEnd());
            _held.Clear();
            _held.Append(format.Open);
            _inCalls = true;
            _python = format.Layout == ToolCallLayout.Python ? new PythonCallScanner() : null;
            _callsBefore = Calls;
            return;
        }

        // White space before a marker belongs to it; what may still become one is held back.
        int keep = Overlap(held, format.Open);
        while (keep < held.Length && char.IsWhiteSpace(held[held.Length - keep - 1]))
        {
            keep++;
        }

        Say(held[..^keep]);
        _held.Remove(0, held.Length - keep);
    }

    /// <summary>Between calls: a name, commas, markers, or the end.</summary>
    private void TakeBetween(char c)
    {
        _held.Append(c);
        if (format.Close is { } close && c == close[^1] && _held.ToString() is var held && held.EndsWith(close, StringComparison.Ordinal))
        {
            EndPython(held);
            _held.Clear();
            _inCalls = false;
        }
        else if (_python is not null)
        {
            if (_python.Push(c) is { } name)
            {
                _pieces.Add(new ToolPiece(null, Calls++, name, ""));
            }

            if (!_python.IsInCall)
            {
                GiveArguments(); // they are this call's, and the next may begin in the same text
            }
        }
        else if (c == '{')
        {
            string header = HeaderName(_held.ToString(0, _held.Length - 1));
            bool isNamed = format.Layout == ToolCallLayout.NameThenArguments && header.Length > 0;
            if (!isNamed)
            {
                _held.Length--;
            }

            Begin(c, isNamed);
            if (isNamed)
            {
                _held.Clear();
                Start(header);
            }
        }
    }

    private void TakeInObject(char c)
    {
        _scanner!.Push(c);
        if (_name is null && _scanner.Name is { } name && (format.Open.Length > 0 || names.Contains(name)))
        {
            _held.Clear();
            Start(name);
        }

        if (!_scanner.IsComplete)
        {
            return;
        }

        GiveArguments();
        if (_name is null)
        {
            Say(_held.ToString() + _scanner.Text); // an object, but no call
            _held.Clear();
            _inCalls = format.Open.Length > 0;
        }

        _name = null;
        _scanner = null;
    }

    private void Begin(char c, bool isArguments)
    {
        _scanner = new CallScanner(isArguments);
        _scanner.Push(c);
    }

    private void Start(string name)
    {
        _name = name;
        _pieces.Add(new ToolPiece(null, Calls++, name, ""));
    }

    private void GiveArguments()
    {
        if (_name is not null && _scanner?.NewArguments() is { Length: > 0 } arguments)
        {
            _pieces.Add(new ToolPiece(null, Calls - 1, null, arguments));
        }
        else if (_python?.NewArguments() is { Length: > 0 } written)
        {
            _pieces.Add(new ToolPiece(null, Calls - 1, null, written));
        }
    }

    /// <summary>Ends calls in Python. A text that was none is the answer's.</summary>
    private void EndPython(string text)
    {
        if (_python is null)
        {
            return;
        }

        GiveArguments();
        _python = null;
        if (Calls == _callsBefore)
        {
            Say(text);
        }
    }

    private void Say(string text)
    {
        if (text.Length > 0)
        {
            _hasText = true;
            _pieces.Add(new ToolPiece(text, -1, null, ""));
        }
    }

    /// <summary>The name that stands before the arguments' brace, without markers, list signs and code fences.</summary>
    private string HeaderName(string header)
    {
        int separator = header.LastIndexOf("<｜tool▁sep｜>", StringComparison.Ordinal);
        string name = separator >= 0 ? header[(separator + "<｜tool▁sep｜>".Length)..] : header;
        int callId = name.IndexOf("[CALL_ID]", StringComparison.Ordinal);
        name = callId >= 0 ? name[..callId] : name;
        name = WithoutInner(format.Open.Length == 0 ? name : name.Replace(format.Open, "", StringComparison.Ordinal)).Trim();
        name = name.Split('\n')[0].Trim();
        return name.Trim('[', ']', ',', ';', ' ');
    }

    private string WithoutInner(string text)
    {
        foreach (string marker in format.Inner)
        {
            text = text.Replace(marker, "", StringComparison.Ordinal);
        }

        return text;
    }

    /// <summary>The length of the longest ending of a text that a marker begins with.</summary>
    private static int Overlap(string text, string marker)
    {
        for (int length = Math.Min(marker.Length - 1, text.Length); length > 0; length--)
        {
            if (text.AsSpan(text.Length - length).SequenceEqual(marker.AsSpan(0, length)))
            {
                return length;
            }
        }

        return 0;
    }
}
