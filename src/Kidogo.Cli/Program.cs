// The program. Knows how to begin and how to end; the rest is in the verbs.
return Kidogo.Cli.Shell.Application.Run(args);
