// x
namespace Kidogo.Text.Tokenizers;

internal static class TokenizerJson
{
    public static TokenizerParts Build(ReadOnlyMemory<byte> tokenizerJson, ReadOnlyMemory<byte> tokenizerConfigJson) => throw new TokenizerFormatException("not yet");
}
