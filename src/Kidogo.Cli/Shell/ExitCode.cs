// The numbers that scripts rely on. Knows nothing else.
namespace Kidogo.Cli.Shell;

/// <summary>Exit statuses.</summary>
internal static class ExitCode
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int WrongUse = 2;
    public const int Interrupted = 130;
}
