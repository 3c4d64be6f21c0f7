// The bytes of one streamed response as updates, counted. Knows no request.
using Microsoft.Extensions.AI;

namespace Kidogo.Routing.Upstream;

/// <summary>Reads server-sent events, or one JSON answer, with a limit on all and on each.</summary>
internal sealed class UpstreamStream : IDisposable
{
    private const int MaxEvent = 4 << 20;

    private static readonly TimeSpan s_afterEnd = TimeSpan.FromSeconds(2); // for the usage and the mark of the end, which nobody waits for

    private readonly UpstreamOptions _options;
    private readonly HttpResponseMessage _response;
    private readonly Stream _stream;
    private readonly OpenAiChunks _chunks;
    private readonly bool _isEvents;
    private byte[] _buffer = new byte[16 << 10];
    private int _from;
    private int _to;
    private long _read;
    private bool _isDone;
    private IReadOnlyList<ChatResponseUpdate>? _first;

    public UpstreamStream(UpstreamOptions options, HttpResponseMessage response, Stream stream)
    {
        _options = options;
        _response = response;
        _stream = stream;
        _chunks = new OpenAiChunks(options.Model ?? options.Name, options.ContextTokens);
        _isEvents = response.Content.Headers.ContentType?.MediaType != "application/json";
    }

    /// <summary>Reads until there is something to show, or the end.</summary>
    public async Task ReadFirstAsync(CancellationToken cancellation)
    {
        List<ChatResponseUpdate> first = [];
        while (!first.Any(update => update.Contents.Any(content => content is not UsageContent) || update.FinishReason is not null))
        {
            if (await NextEventAsync(cancellation).ConfigureAwait(false) is not { } updates)
            {
                throw new UpstreamException("malformed", $"{_options.Name} ended its answer before it began.", isTransient: true);
            }

            first.AddRange(updates);
        }

        _first = first;
    }

    /// <summary>The next updates; null at the end.</summary>
    /// <param name="silence">How long it may take.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="UpstreamException">It was cut, silent for too long, too large, or not what it should be.</exception>
    public async Task<IReadOnlyList<ChatResponseUpdate>?> NextAsync(TimeSpan silence, CancellationToken cancellation)
    {
        if (_first is { } first)
        {
            _first = null;
            return first;
        }

        using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(_chunks.IsFinished && silence > s_afterEnd ? s_afterEnd : silence);
        try
        {
            IReadOnlyList<ChatResponseUpdate>? updates;
            do
            {
                updates = await NextEventAsync(patience.Token).ConfigureAwait(false); // an event that says nothing breaks no silence
            }
            while (updates is { Count: 0 });
            return updates;
        }
        catch (Exception failure) when (_chunks.IsFinished && !cancellation.IsCancellationRequested && failure is OperationCanceledException or IOException or HttpRequestException or UpstreamException)
        {
            return null; // the answer is whole; what is missing is its usage
        }
        catch (OperationCanceledException failure) when (!cancellation.IsCancellationRequested)
        {
            throw new UpstreamException("timeout", $"{_options.Name} fell silent for {silence.TotalSeconds:0.##} s in the middle of its answer.", isTransient: false, failure);
        }
        catch (Exception failure) when (failure is IOException or HttpRequestException)
        {
            throw new UpstreamException("cut", $"{_options.Name} cut its answer.", isTransient: false, failure);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _response.Dispose();

    private async Task<IReadOnlyList<ChatResponseUpdate>?> NextEventAsync(CancellationToken cancellation)
    {
        while (!_isDone)
        {
            ReadOnlyMemory<byte>? line = _isEvents ? await LineAsync(cancellation).ConfigureAwait(false) : await WholeAsync(cancellation).ConfigureAwait(false);
            if (line is not { } data)
            {
                return _chunks.IsFinished ? null : throw new UpstreamException("cut", $"{_options.Name} ended its answer in the middle.", isTransient: false);
            }

            if (_isEvents)
            {
                if (!data.Span.StartsWith("data:"u8))
                {
                    continue; // comments, names of events, empty lines
                }

                data = data[5..].TrimStart((byte)' ');
                if (data.Span.SequenceEqual("[DONE]"u8))
                {
                    _isDone = true;
                    return _chunks.IsFinished ? null : throw new UpstreamException("cut", $"{_options.Name} ended its answer without a reason.", isTransient: false);
                }
            }
            else
            {
                _isDone = true;
            }

            return [.. _chunks.Read(data)];
        }

        return null;
    }

    /// <summary>A line without its end; null at the end of all.</summary>
    private async ValueTask<ReadOnlyMemory<byte>?> LineAsync(CancellationToken cancellation)
    {
        int searched = _from;
        while (true)
        {
            int end = _buffer.AsSpan(searched, _to - searched).IndexOf((byte)'\n');
            if (end >= 0)
            {
                ReadOnlyMemory<byte> line = _buffer.AsMemory(_from, searched + end - _from);
                _from = searched + end + 1;
                return line.TrimEnd((byte)'\r');
            }

            searched = _to - _from;
            if (!await FillAsync(cancellation).ConfigureAwait(false))
            {
                return null;
            }

            searched += _from;
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>?> WholeAsync(CancellationToken cancellation)
    {
        while (await FillAsync(cancellation).ConfigureAwait(false))
        {
        }

        return _to == _from ? null : _buffer.AsMemory(_from, _to - _from);
    }

    /// <summary>Reads more behind what is there.</summary>
    private async ValueTask<bool> FillAsync(CancellationToken cancellation)
    {
        if (_from > 0)
        {
            _buffer.AsSpan(_from, _to - _from).CopyTo(_buffer);
            _to -= _from;
            _from = 0;
        }

        if (_to == _buffer.Length)
        {
            if (_buffer.Length >= MaxEvent)
            {
                throw new UpstreamException("too-large", $"{_options.Name} sent an event of more than {MaxEvent} bytes.", isTransient: false);
            }

            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        int read = await _stream.ReadAsync(_buffer.AsMemory(_to), cancellation).ConfigureAwait(false);
        _to += read;
        _read += read;
        return _read <= _options.MaxResponseBytes ? read > 0
            : throw new UpstreamException("too-large", $"{_options.Name} sent more than {_options.MaxResponseBytes} bytes. The rest was not read.", isTransient: false);
    }
}
