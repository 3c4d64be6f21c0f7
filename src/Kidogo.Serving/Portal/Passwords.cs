// Passwords: hashed by the framework, never stored. Knows no accounts.
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Kidogo.Serving.Portal;

/// <summary>Hashes passwords and compares them. For any number of threads; a few hash at once, so that guessing does not take the processor from the models.</summary>
internal sealed class Passwords : IDisposable
{
    /// <summary>Characters of the shortest password.</summary>
    public const int Shortest = 10;

    /// <summary>Characters of the longest: hashing a longer one would be work that a stranger chooses.</summary>
    public const int Longest = 1000;

    private const int AtOnce = 2;

    private readonly PasswordHasher<Passwords> _hasher;
    private readonly SemaphoreSlim _places = new(AtOnce);
    private readonly string _nobodys;

    /// <summary>A hasher.</summary>
    /// <param name="rounds">Rounds of PBKDF2 with HMAC-SHA-512.</param>
    public Passwords(int rounds)
    {
        _hasher = new PasswordHasher<Passwords>(Options.Create(new PasswordHasherOptions { IterationCount = rounds }));
        _nobodys = _hasher.HashPassword(this, Secret.New());
    }

    /// <summary>What is stored of a password.</summary>
    public async Task<string> HashAsync(string password, CancellationToken cancellation)
    {
        await _places.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => _hasher.HashPassword(this, password), CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            _places.Release();
        }
    }

    /// <summary>Whether a password is the one of a hash. Where there is none, as much is computed, so that time does not tell who has an account.</summary>
    public async Task<bool> IsRightAsync(string? hash, string password, CancellationToken cancellation)
    {
        await _places.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            bool isEqual = await Task.Run(() => _hasher.VerifyHashedPassword(this, hash ?? _nobodys, password) != PasswordVerificationResult.Failed, CancellationToken.None).ConfigureAwait(false);
            return isEqual && hash is not null;
        }
        finally
        {
            _places.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _places.Dispose();
}
