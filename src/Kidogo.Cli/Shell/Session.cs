// One run of the program: its streams and what interrupts it. Knows no verb.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Kidogo.Cli.Shell;

/// <summary>Standard output for the answer, standard error for everything else, and the interruption by Ctrl-C.</summary>
internal sealed class Session : IDisposable
{
    private readonly CancellationTokenSource _interruption = new();
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _gate = new();
    private Action? _abandon;
    private Func<bool>? _answerInterrupt;
    private StreamWriter? _output;

    public Session()
    {
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal));
    }

    /// <summary>Whether stack traces are wanted.</summary>
    public bool Verbose { get; set; }

    /// <summary>How long work that was interrupted may take to end by itself, such as writing a checkpoint; a second interruption ends it at once.</summary>
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>Ends when the person or the system interrupts.</summary>
    public CancellationToken Interrupted => _interruption.Token;

    /// <summary>Bytes to standard output.</summary>
    public Stream OutputBytes => Output.BaseStream;

    /// <summary>Text to standard output, UTF-8 without a mark; flushed at the end or by hand.</summary>
    public StreamWriter Output => _output ??= new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 14) { AutoFlush = false };

    /// <summary>Text to standard error.</summary>
    public TextWriter Error { get; } = Console.Error;

    /// <summary>Whether standard error is a terminal that progress may be drawn on.</summary>
    public bool ShowsProgress { get; } = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") is not "dumb";

    /// <summary>Columns that a line may fill without going on in the next, 10 to 120; 79 where there is no terminal.</summary>
    public static int Columns
    {
        get
        {
            try
            {
                return Console.WindowWidth is > 0 and var width ? Math.Clamp(width - 1, 10, 120) : 79;
            }
            catch (IOException)
            {
                return 79;
            }
        }
    }

    /// <summary>One warning, in one line, on standard error.</summary>
    public void Warn(string message) => Error.WriteLine(Fit($"kidogo: warning: {OneLine(message)}"));

    /// <summary>What went wrong, in one line, on standard error.</summary>
    public void Fail(string message) => Error.WriteLine(Fit($"kidogo: {OneLine(message)}"));

    /// <summary>A sentence that is no warning, on standard error.</summary>
    public void Tell(string message) => Error.WriteLine(Fit(OneLine(message)));

    /// <summary>As <see cref="Tell(string)"/>, between the escape sequences of a style.</summary>
    public void Tell(string before, string message, string after) => Error.WriteLine($"{before}{Fit(OneLine(message))}{after}");

    /// <summary>The models that were loaded, for the message where one turns out to be damaged.</summary>
    public List<string> Models { get; } = [];

    /// <summary>What to do when the process must end at once, such as removing a file that is half written. Null: nothing.</summary>
    public void OnAbandon(Action? cleanUp)
    {
        lock (_gate)
        {
            _abandon = cleanUp;
        }
    }

    /// <summary>Lets a chat answer Ctrl-C itself: the function returns false where it does not and the program is to be interrupted. Null: interrupt always.</summary>
    public void AnswerInterrupt(Func<bool>? answer)
    {
        lock (_gate)
        {
            _answerInterrupt = answer;
        }
    }

    /// <summary>A text on one line: line ends become spaces and other control characters are shown as codes, for a message may quote a stranger's file.</summary>
    public static string OneLine(string text, bool trim = true)
    {
        StringBuilder line = new(text.Length);
        foreach (char c in text)
        {
            if (c is '\n' or '\r' or '\t')
            {
                line.Append(' ');
            }
            else if (char.IsControl(c))
            {
                line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
            }
            else
            {
                line.Append(c);
            }
        }

        return trim ? line.ToString().Trim() : line.ToString();
    }

    /// <summary>A text with its line ends and tabs written as <c>\n</c>, <c>\r</c> and <c>\t</c>, and other control characters as codes.</summary>
    public static string Visible(string text) =>
        OneLine(text.Replace("\n", "\\n", StringComparison.Ordinal).Replace("\r", "\\r", StringComparison.Ordinal).Replace("\t", "\\t", StringComparison.Ordinal), trim: false);

    public void Dispose()
    {
        _signals.ForEach(signal => signal.Dispose());
        _interruption.Dispose();
    }

    /// <summary>A terminal breaks lines in the middle of words; a pipe gets one line, which scripts look for.</summary>
    private string Fit(string line) => ShowsProgress ? WordWrap.Wrap(line, Columns) : line;

    private void OnSignal(PosixSignalContext signal)
    {
        signal.Cancel = true;
        Func<bool>? answer;
        lock (_gate)
        {
            answer = signal.Signal == PosixSignal.SIGINT ? _answerInterrupt : null;
        }

        if (answer?.Invoke() == true)
        {
            return;
        }

        if (_interruption.IsCancellationRequested)
        {
            EndNow();
        }

        _interruption.Cancel();
        // A pass through a large model does not look up; whoever asked to stop is not made to wait for it.
        new Thread(() =>
        {
            Thread.Sleep(Patience);
            EndNow();
        }) { IsBackground = true }.Start();
    }

    private void EndNow()
    {
        lock (_gate)
        {
            _abandon?.Invoke();
        }

        Error.WriteLine("interrupted");
        Environment.Exit(ExitCode.Interrupted);
    }
}
