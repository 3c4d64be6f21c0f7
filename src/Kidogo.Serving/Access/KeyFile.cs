// The keys of a server: names, hashes and limits in a file. Knows no requests; a key itself is shown once and never stored.
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Kidogo.Models;
using Kidogo.Models.Files;
using Kidogo.Text;

namespace Kidogo.Serving.Access;

/// <summary>A key as it is stored.</summary>
/// <param name="Name">What its owner is called.</param>
/// <param name="Hash">SHA-256 of the key, in lower-case hex.</param>
/// <param name="Created">When it was made.</param>
public sealed record ApiKey(string Name, string Hash, DateTimeOffset Created)
{
    /// <summary>Requests a minute; null for no limit.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Tokens a minute, of prompts and answers; null for no limit.</summary>
    public int? TokensPerMinute { get; init; }
}

/// <summary>A file of keys could not be read or changed.</summary>
/// <param name="message">What happened and what to do.</param>
/// <param name="cause">What is behind it.</param>
public sealed class KeyFileException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>Reads and changes a file of keys.</summary>
/// <remarks>Keys are 256 random bits, so one round of SHA-256 hides them as well as many: there is nothing to guess. Changes are written beside and renamed.</remarks>
public static class KeyFile
{
    /// <summary>What every key begins with, so that scanners of leaked secrets know it.</summary>
    public const string Prefix = "kidogo-";

    private const int RandomBytes = 32;
    private const int LongestName = 64;
    private const int LargestFile = 4 * 1024 * 1024;

    /// <summary>The usual place: <c>kidogo/keys.json</c> in <c>XDG_CONFIG_HOME</c>, else in the user's folder of settings.</summary>
    public static string DefaultPath
    {
        get
        {
            string? given = Environment.GetEnvironmentVariable("XDG_CONFIG_HOME");
            string folder = !string.IsNullOrEmpty(given) ? given : Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData, Environment.SpecialFolderOption.DoNotVerify);
            return Path.Combine(folder, "kidogo", "keys.json");
        }
    }

    /// <summary>The keys in a file; none where there is no file.</summary>
    /// <exception cref="KeyFileException">The file is malformed or cannot be read.</exception>
    public static IReadOnlyList<ApiKey> Read(string path)
    {
        try
        {
            FileInfo file = new(path);
            if (!file.Exists)
            {
                return [];
            }

            if (file.Length > LargestFile)
            {
                throw new KeyFileException($"{path} has {file.Length} bytes; a file of keys has at most {LargestFile}.");
            }

            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 8 });
            return [.. document.RootElement.GetProperty("keys").EnumerateArray().Select(KeyOf)];
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new KeyFileException($"{path} is not a file of keys that kidogo wrote. Repair it, or remove it and create the keys anew.", failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new KeyFileException($"The file of keys could not be read: {failure.Message}", failure);
        }
    }

    /// <summary>Makes a key and stores its hash.</summary>
    /// <param name="path">The file; made where it is absent, readable by its owner alone.</param>
    /// <param name="name">What its owner is called: 1 to 64 letters, digits, dots, dashes and underscores, not yet used.</param>
    /// <param name="requestsPerMinute">1 or more; null for no limit.</param>
    /// <param name="tokensPerMinute">1 or more; null for no limit.</param>
    /// <returns>The key, to be shown once.</returns>
    /// <exception cref="KeyFileException">The name is malformed or taken, or the file cannot be changed.</exception>
    public static string Create(string path, string name, int? requestsPerMinute = null, int? tokensPerMinute = null)
    {
        if (name.Length is 0 or > LongestName || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
        {
            throw new KeyFileException($"A key's name has 1 to {LongestName} letters, digits, dots, dashes and underscores.");
        }

        if (requestsPerMinute < 1 || tokensPerMinute < 1)
        {
            throw new KeyFileException("A key's limits are whole numbers, 1 or more.");
        }

        List<ApiKey> keys = [.. Read(path)];
        if (keys.Any(key => key.Name == name))
        {
            throw new KeyFileException($"There is a key named {name} already. Take another name, or revoke that one: kidogo key revoke {name}");
        }

        string secret = Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(RandomBytes));
        keys.Add(new ApiKey(name, HashOf(secret), DateTimeOffset.UtcNow) { RequestsPerMinute = requestsPerMinute, TokensPerMinute = tokensPerMinute });
        Write(path, keys);
        return secret;
    }

    /// <summary>Takes a key out.</summary>
    /// <exception cref="KeyFileException">There is none of that name, or the file cannot be changed.</exception>
    public static void Revoke(string path, string name)
    {
        List<ApiKey> keys = [.. Read(path)];
        if (keys.RemoveAll(key => key.Name == name) == 0)
        {
            string nearest = NearestName.Likely(name, keys.Select(key => key.Name)) is { } other ? $" The nearest is {other}." : "";
            throw new KeyFileException($"There is no key of that name in {path}.{nearest}");
        }

        Write(path, keys);
    }

    /// <summary>The hash that a key is known by.</summary>
    public static string HashOf(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));

    private static ApiKey KeyOf(JsonElement element)
    {
        string hash = element.GetProperty("sha256").GetString() ?? "";
        if (hash.Length != 2 * SHA256.HashSizeInBytes || !hash.All(char.IsAsciiHexDigitLower))
        {
            throw new FormatException("A hash is not 64 hexadecimal digits.");
        }

        return new ApiKey(element.GetProperty("name").GetString() ?? "", hash, element.GetProperty("created").GetDateTimeOffset())
        {
            RequestsPerMinute = Limit(element, "requests_per_minute"),
            TokensPerMinute = Limit(element, "tokens_per_minute"),
        };
    }

    private static int? Limit(JsonElement element, string name) => element.TryGetProperty(name, out JsonElement value) ? value.GetInt32() : null;

    private static void Write(string path, IEnumerable<ApiKey> keys)
    {
        byte[] json = JsonBuilding.Bytes(writer =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("keys");
            foreach (ApiKey key in keys)
            {
                writer.WriteStartObject();
                writer.WriteString("name", key.Name);
                writer.WriteString("sha256", key.Hash);
                writer.WriteString("created", key.Created);
                WriteLimit(writer, "requests_per_minute", key.RequestsPerMinute);
                WriteLimit(writer, "tokens_per_minute", key.TokensPerMinute);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }).ToArray();
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            NewFile.Write(path, json);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new KeyFileException($"The file of keys could not be written: {failure.Message}", failure);
        }
    }

    private static void WriteLimit(Utf8JsonWriter json, string name, int? value)
    {
        if (value is { } limit)
        {
            json.WriteNumber(name, limit);
        }
    }
}
