// Which linear slots of a block read the same inputs. Knows canonical names and nothing else.
namespace Kidogo.Compression.Calibration;

/// <summary>The four inputs of a block, in the order of computation: those of q, k and v, of o, of gate and up, of down.</summary>
public static class SlotInputs
{
    /// <summary>Number of different inputs in a block.</summary>
    public const int Count = 4;

    private static readonly (string Slot, int Input)[] s_inputs =
    [
        ("attn_q", 0), ("attn_k", 0), ("attn_v", 0), ("attn_qkv", 0), ("attn_output", 1), ("ffn_gate", 2), ("ffn_up", 2), ("ffn_down", 3),
    ];

    /// <summary>Finds the block and the input of a slot or tensor.</summary>
    /// <param name="name"><c>blk.3.attn_q</c>, with <c>.weight</c> or without.</param>
    /// <param name="block">The block.</param>
    /// <param name="input">0 to 3.</param>
    public static bool TryFind(string name, out int block, out int input)
    {
        (block, input) = (-1, -1);
        string[] parts = name.Split('.');
        if (parts.Length is not (3 or 4) || parts[0] != "blk" || !int.TryParse(parts[1], out block) || (parts.Length == 4 && parts[3] != "weight"))
        {
            return false;
        }

        input = Array.Find(s_inputs, each => each.Slot == parts[2]) is { Slot: not null } found ? found.Input : -1;
        return input >= 0;
    }

    /// <summary>All slots with an input, in the order of computation.</summary>
    public static IEnumerable<string> SlotsOf(int input) => s_inputs.Where(each => each.Input == input).Select(each => each.Slot);
}
