// kidogo explain: small worked examples for those who learn, each to type and to change.
using System.CommandLine;
using Kidogo.Cli.Explain;
using Kidogo.Cli.Shell;

namespace Kidogo.Cli.Verbs;

internal static class ExplainVerb
{
    public static Command Create(Session session) => new("explain", "Small worked examples for those who learn: numbers to change, and a picture")
    {
        ExplainInt8Verb.Create(session), ExplainAttentionVerb.Create(session), ExplainDistilVerb.Create(session), ExplainLoraVerb.Create(session), ExplainLengthVerb.Create(session),
    };
}
