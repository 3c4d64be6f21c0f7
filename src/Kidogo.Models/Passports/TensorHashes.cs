// The hashes of tensors while they are written. Knows no passports.
using System.Security.Cryptography;
using Kidogo.Models.Files;

namespace Kidogo.Models.Passports;

/// <summary>Watches tensors being written.</summary>
internal sealed class TensorHashes
{
    private readonly Dictionary<string, string> _hashes = new(StringComparer.Ordinal);

    /// <summary>The tensor, hashed when it is written.</summary>
    public TensorToWrite Watched(TensorToWrite tensor) => tensor with
    {
        Write = stream =>
        {
            using HashingStream hashing = new(stream);
            tensor.Write(hashing);
            _hashes[tensor.Name] = hashing.Hash();
        },
    };

    /// <summary>What a passport says of tensors that were written, or will be: then with hashes of zeros.</summary>
    public IReadOnlyList<PassportTensor> Of(IEnumerable<TensorToWrite> tensors) =>
        [.. tensors.Select(tensor => new PassportTensor(tensor.Name, tensor.Type, tensor.Shape, _hashes.GetValueOrDefault(tensor.Name) ?? new string('0', 2 * SHA256.HashSizeInBytes)))];

    private sealed class HashingStream(Stream inner) : Stream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => inner.Length;

        public override long Position
        {
            get => inner.Position;
            set => throw new NotSupportedException();
        }

        public string Hash() => Convert.ToHexStringLower(_hash.GetHashAndReset());

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _hash.AppendData(buffer);
            inner.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            _hash.Dispose();
            base.Dispose(disposing);
        }
    }
}
