// What was decided, one JSON object a line, in files that turn over. Holds no contents, no values and no keys.
using System.Globalization;
using System.Text.Json;

namespace Kidogo.Routing;

/// <summary>Appends entries. For any number of threads; a disk that fails loses an entry, never an answer.</summary>
internal sealed class AuditLog
{
    private const int MaxLine = 1 << 16;

    private readonly string _path;
    private readonly long _maxBytes;
    private readonly int _keep;
    private readonly Action<string>? _warn;
    private readonly Lock _gate = new();

    /// <summary>A log.</summary>
    /// <param name="options">Where, how large, how many.</param>
    /// <param name="warn">Told once where it cannot be written.</param>
    public AuditLog(RoutingOptions options, Action<string>? warn)
    {
        _path = options.AuditFile!;
        _maxBytes = options.AuditBytes;
        _keep = options.AuditKeep;
        _warn = warn;
    }

    /// <summary>Money of today by what the current file and the one before tell, so that a program that is started again goes on counting.</summary>
    public double SpentToday(DateTimeOffset now)
    {
        string today = now.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        double spent = 0;
        foreach (string path in new[] { _path }.Concat(Enumerable.Range(1, _keep).Select(index => $"{_path}.{index}")).Where(File.Exists))
        {
            foreach (string line in File.ReadLines(path).Where(line => line.Length < MaxLine && line.Contains(today, StringComparison.Ordinal) && line.Contains("\"cost\"", StringComparison.Ordinal)))
            {
                try
                {
                    using JsonDocument entry = JsonDocument.Parse(line);
                    bool isToday = entry.RootElement.TryGetProperty("time", out JsonElement time) && time.GetString()?.StartsWith(today, StringComparison.Ordinal) == true;
                    spent += isToday && entry.RootElement.TryGetProperty("cost", out JsonElement cost) && cost.TryGetDouble(out double money) && money > 0 ? money : 0;
                }
                catch (Exception failure) when (failure is JsonException or InvalidOperationException)
                {
                    // A line that a power cut left half written.
                }
            }
        }

        return spent;
    }

    /// <summary>Appends an entry.</summary>
    public void Write(Action<Utf8JsonWriter> write)
    {
        byte[] line = [.. Kidogo.Text.JsonBuilding.Bytes(write).Span, (byte)'\n'];
        lock (_gate)
        {
            try
            {
                if (Path.GetDirectoryName(Path.GetFullPath(_path)) is { } folder)
                {
                    Directory.CreateDirectory(folder);
                }

                if (new FileInfo(_path) is { Exists: true } file && file.Length + line.Length > _maxBytes)
                {
                    TurnOver();
                }

                using FileStream stream = new(_path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
                stream.Write(line);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                _warn?.Invoke($"The audit log {_path} cannot be written: {failure.Message}");
            }
        }
    }

    private void TurnOver()
    {
        for (int index = _keep; index >= 1; index--)
        {
            string from = index == 1 ? _path : string.Create(CultureInfo.InvariantCulture, $"{_path}.{index - 1}");
            if (File.Exists(from))
            {
                File.Move(from, string.Create(CultureInfo.InvariantCulture, $"{_path}.{index}"), overwrite: true);
            }
        }

        if (_keep == 0)
        {
            File.Delete(_path);
        }
    }
}
