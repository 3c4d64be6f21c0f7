// What a verb throws when it cannot go on. Everything else that ends a verb comes from the library.
namespace Kidogo.Cli.Shell;

/// <summary>The command line asks for something that does not exist or does not go together: exit status 2.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>What was asked for was understood and failed: exit status 1.</summary>
internal sealed class FailureException(string message) : Exception(message);
