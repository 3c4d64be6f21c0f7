// The second half of the reader of regular expressions: lays the tree out as a program. Knows no syntax.
namespace Kidogo.Text.Unicode;

internal sealed partial class CodePointRegexParser
{
    private int Add(RegexStep step)
    {
        if (_steps.Count >= MaxSteps)
        {
            throw Error($"more than {MaxSteps} steps when its repetitions are written out");
        }

        _steps.Add(step);
        return _steps.Count - 1;
    }

    private void Emit(Node node)
    {
        switch (node)
        {
            case Single single:
                Add(new RegexStep(RegexOp.Set, single.Set, 0, 0, 0, 0));
                break;
            case Place place:
                Add(new RegexStep(RegexOp.Assert, null, place.Kind, 0, 0, 0));
                break;
            case Sequence sequence:
                sequence.Parts.ForEach(Emit);
                break;
            case Choice choice:
                EmitChoice(choice.Parts);
                break;
            case Look { Behind: true } look:
                CodePointSet? set = look.Part is Sequence { Parts: [Single before] } ? before.Set : look.Part is Single only ? only.Set : null;
                Add(new RegexStep(RegexOp.LookBehind, set ?? throw Error("a look behind at more than one character"), look.Negated ? 1 : 0, 0, 0, 0));
                break;
            case Look look:
                EmitSub(RegexOp.Look, look.Part, look.Negated);
                break;
            case Atomic atomic:
                EmitSub(RegexOp.Atomic, atomic.Part, false);
                break;
            case Repeat repeat:
                EmitRepeat(repeat);
                break;
        }
    }

    private void EmitSub(RegexOp op, Node part, bool negated)
    {
        int at = Add(default);
        Emit(part);
        Add(new RegexStep(RegexOp.Match, null, 0, 0, 0, 0));
        _steps[at] = new RegexStep(op, null, negated ? 1 : 0, 0, at + 1, _steps.Count);
    }

    private void EmitChoice(List<Node> parts)
    {
        List<int> jumps = [];
        for (int i = 0; i < parts.Count; i++)
        {
            bool last = i == parts.Count - 1;
            int split = last ? -1 : Add(default);
            Emit(parts[i]);
            if (!last)
            {
                jumps.Add(Add(default));
                _steps[split] = new RegexStep(RegexOp.Split, null, 0, 0, split + 1, _steps.Count);
            }
        }

        foreach (int jump in jumps)
        {
            _steps[jump] = new RegexStep(RegexOp.Jump, null, 0, 0, _steps.Count, 0);
        }
    }

    private void EmitRepeat(Repeat repeat)
    {
        if ((repeat.Part as Single ?? (repeat.Part as Sequence is { Parts: [Single one] } ? one : null)) is { } single)
        {
            Add(new RegexStep(repeat.Mode, single.Set, repeat.Min, repeat.Max, 0, 0));
            return;
        }

        if (repeat.Mode == RegexOp.Possessive)
        {
            EmitSub(RegexOp.Atomic, repeat with { Mode = RegexOp.Greedy }, false);
            return;
        }

        for (int i = 0; i < repeat.Min; i++)
        {
            Emit(repeat.Part);
        }

        bool lazy = repeat.Mode == RegexOp.Lazy;
        if (repeat.Max == int.MaxValue)
        {
            int loop = Add(default);
            Emit(repeat.Part);
            Add(new RegexStep(RegexOp.Jump, null, 0, 0, loop, 0));
            _steps[loop] = Fork(loop + 1, _steps.Count, lazy);
            return;
        }

        List<int> exits = [];
        for (int i = repeat.Min; i < repeat.Max; i++)
        {
            exits.Add(Add(default));
            Emit(repeat.Part);
        }

        foreach (int exit in exits)
        {
            _steps[exit] = Fork(exit + 1, _steps.Count, lazy);
        }
    }

    private static RegexStep Fork(int into, int past, bool lazy) => new(RegexOp.Split, null, 0, 0, lazy ? past : into, lazy ? into : past);
}
