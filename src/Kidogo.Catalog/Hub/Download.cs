// One file from a hub to the disk, through any number of cuts: goes on where it stopped, and is what its hash says. Knows no cache.
using System.Net;
using System.Net.Http.Headers;
using Kidogo.Models.Files;

namespace Kidogo.Catalog.Hub;

/// <summary>Fetches files of one listing.</summary>
/// <param name="client">The hub.</param>
/// <param name="settings">How patiently, how fast.</param>
/// <param name="listing">The repository and the commit.</param>
internal sealed class Download(HubClient client, HubSettings settings, HubListing listing)
{
    private const long FlushBytes = 64L * 1024 * 1024; // what a power cut may cost
    private readonly RateLimit _rate = new(settings.MaxBytesPerSecond, client.Clock);

    /// <summary>Bytes of files that came through the line so far.</summary>
    public long Received { get; private set; }

    /// <summary>Fetches a file, or what is missing of it.</summary>
    /// <param name="file">The file, with its length and its name.</param>
    /// <param name="path">Where it grows; what is there is gone on from.</param>
    /// <param name="progress">Told how much is there, which may become less where the start turns out to be another file's.</param>
    /// <param name="cancellation">Ends it; what has come is kept.</param>
    /// <exception cref="HubException">It cannot be had, or is not what was announced; then nothing of it is kept.</exception>
    public async Task RunAsync(HubFile file, string path, Action<long> progress, CancellationToken cancellation)
    {
        using Growing growing = new(file, path, cancellation);
        Patience patience = new(settings, settings.Attempts, client.Clock);
        long most = growing.Position;
        while (true)
        {
            while (growing.Position < file.Bytes)
            {
                progress(growing.Position);
                try
                {
                    await FetchAsync(file, growing, progress, cancellation).ConfigureAwait(false);
                }
                catch (LineException failure)
                {
                    if (growing.Position > most)
                    {
                        most = growing.Position;
                        patience.Progress();
                    }

                    growing.Flush();
                    await patience.PauseAsync(failure, $"{file.Path} of {listing.Repository} stopped at {growing.Position} of {file.Bytes} bytes", cancellation).ConfigureAwait(false);
                }
            }

            progress(growing.Position);
            string hash = growing.Hash();
            if (hash == file.Etag)
            {
                growing.Flush();
                return;
            }

            bool isMixed = growing.IsMixed;
            growing.Restart();
            if (!isMixed)
            {
                growing.Delete();
                throw new HubException($"{file.Path} of {listing.Repository} came with the hash {hash}, where the hub announced {file.Etag}. It was thrown away: the line or the hub changes what it sends. Try again, or another HF_ENDPOINT.");
            }

            most = 0;
        }
    }

    /// <summary>One request, as long as it brings something.</summary>
    private async Task FetchAsync(HubFile file, Growing growing, Action<long> progress, CancellationToken cancellation)
    {
        using HubAnswer answer = await client.OpenAsync(listing, file.Path, growing.Position, growing.Tag, cancellation).ConfigureAwait(false);
        HttpResponseMessage message = answer.Message;
        if (message.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable && growing.Position > 0)
        {
            growing.Restart();
            throw new LineException("the hub has less of it than was there.");
        }

        client.Demand(message, $"{file.Path} of {listing.Repository}");
        if ((answer.LinkedEtag is { } linked && linked != file.Etag) || (answer.LinkedBytes is { } length && length != file.Bytes))
        {
            throw Contradiction(file, $"{answer.LinkedBytes ?? file.Bytes} bytes ({answer.LinkedEtag ?? file.Etag})");
        }

        if (message.StatusCode == HttpStatusCode.PartialContent)
        {
            if (message.Content.Headers.ContentRange is not { From: { } from } range || from != growing.Position || (range.Length is { } whole && whole != file.Bytes))
            {
                throw Contradiction(file, $"\"{message.Content.Headers.ContentRange}\" for what was asked from byte {growing.Position} on");
            }
        }
        else if (growing is { Position: > 0, Tag: not null })
        {
            // Of the hosts that keep one file each may call it something else, so what came is not thrown away for a name: the hash will tell.
            growing.Tag = null;
            growing.IsMixed = true;
            throw new LineException("another host answered, or the file is another by now.");
        }
        else
        {
            growing.Restart(); // the whole file, from its first byte
            if (message.Content.Headers.ContentLength is { } whole && whole != file.Bytes)
            {
                throw Contradiction(file, $"{whole} bytes");
            }
        }

        growing.Tag = growing.IsMixed || message.Headers.ETag is not { IsWeak: false } strong ? null : strong;
        await CopyAsync(file, message, growing, progress, cancellation).ConfigureAwait(false);
    }

    private async Task CopyAsync(HubFile file, HttpResponseMessage message, Growing growing, Action<long> progress, CancellationToken cancellation)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        byte[] buffer = new byte[_rate.PieceBytes];
        try
        {
            limit.CancelAfter(settings.DownloadTimeout);
            await using Stream stream = await message.Content.ReadAsStreamAsync(limit.Token).ConfigureAwait(false);
            while (growing.Position < file.Bytes)
            {
                limit.CancelAfter(settings.DownloadTimeout);
                int count = await stream.ReadAsync(buffer, limit.Token).ConfigureAwait(false);
                limit.CancelAfter(Timeout.InfiniteTimeSpan); // waiting for the own limit is no stall
                if (count == 0)
                {
                    throw new LineException("the line was cut.");
                }

                Received += count;
                growing.Add(buffer.AsSpan(0, count));
                progress(growing.Position);
                TimeSpan wait = _rate.Count(count);
                if (wait > TimeSpan.Zero)
                {
                    await Task.Delay(wait, client.Clock, cancellation).ConfigureAwait(false);
                }
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or HttpRequestException or IOException)
        {
            throw HubClient.Translate(failure, settings.DownloadTimeout, cancellation);
        }
    }

    private HubException Contradiction(HubFile file, string sent) =>
        new($"The hub announced {file.Path} of {listing.Repository} with {file.Bytes} bytes ({file.Etag}) and now sends {sent}. Nothing of it is taken; try again, or another HF_ENDPOINT.");

    /// <summary>A file that grows, with the hash of what is in it.</summary>
    private sealed class Growing : IDisposable
    {
        private readonly HubFile _file;
        private readonly string _path;
        private readonly FileStream _stream;
        private ContentHash _hash;
        private long _flushed;

        public Growing(HubFile file, string path, CancellationToken cancellation)
        {
            _file = file;
            _path = path;
            _stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, 0);
            _hash = ContentHash.For(file.Etag!, file.Bytes!.Value);
            try
            {
                if (_stream.Length > file.Bytes)
                {
                    _stream.SetLength(0); // of something else
                }

                byte[] buffer = new byte[1 << 18];
                for (int count = _stream.Read(buffer); count > 0; count = _stream.Read(buffer))
                {
                    cancellation.ThrowIfCancellationRequested();
                    _hash.Add(buffer.AsSpan(0, count));
                    Position += count;
                }

                IsMixed = Position > 0;
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public long Position { get; private set; }

        /// <summary>What the host of the content calls it, so that only more of the same is taken; null where that is not known.</summary>
        public EntityTagHeaderValue? Tag { get; set; }

        /// <summary>Whether the start is from an earlier run or from another host, and not known to be of the same content.</summary>
        public bool IsMixed { get; set; }

        public void Add(ReadOnlySpan<byte> bytes)
        {
            if (bytes.Length > _file.Bytes - Position)
            {
                long least = Position + bytes.Length;
                Delete();
                throw new HubException($"{_file.Path} was announced with {_file.Bytes} bytes, and at least {least} came. It was thrown away.");
            }

            try
            {
                _stream.Write(bytes);
            }
            catch (IOException failure)
            {
                throw new HubException(NewFile.IsDiskFull(failure)
                    ? $"The disk is full: {_path} stopped at {Position} of {_file.Bytes} bytes, which are kept. Free some space; the same command goes on from there."
                    : $"{_path} could not be written: {failure.Message}", failure);
            }

            _hash.Add(bytes);
            Position += bytes.Length;
            if (Position - _flushed >= FlushBytes)
            {
                Flush();
            }
        }

        public string Hash() => _hash.End();

        public void Flush()
        {
            _stream.Flush(flushToDisk: true);
            _flushed = Position;
        }

        public void Restart()
        {
            _stream.SetLength(0);
            _stream.Position = 0;
            (Position, _flushed, Tag, IsMixed) = (0, 0, null, false);
            _hash.Dispose();
            _hash = ContentHash.For(_file.Etag!, _file.Bytes!.Value);
        }

        public void Delete()
        {
            _stream.Dispose();
            File.Delete(_path);
        }

        public void Dispose()
        {
            _stream.Dispose();
            _hash.Dispose();
        }
    }
}
