// The running costs of one rendering and the place in the template. Knows limits; knows no syntax.
using System.Runtime.CompilerServices;

namespace Kidogo.Text.ChatTemplates.Jinja;

/// <summary>Counts what one rendering costs and stops it at its limits.</summary>
internal sealed class RenderState
{
    private const int WorkPerStep = 256;
    private const int UnitsPerElement = 24; // a value has 24 bytes, and a list that grows holds as many again
    private const int UnitsPerText = 40; // a text is two objects, 40 and 22 bytes beside its characters, rounded up with their place in a list
    private const int InputCharactersPerStep = 16; // sixteen times what one reading of the messages costs
    private const int UnitsPerInputCharacter = 64;

    private readonly ChatTemplateLimits _limits;
    private readonly long _maxSteps;
    private long _steps;
    private long _work;
    private long _allocationLeft;
    private int _recursion;

    public RenderState(ChatTemplateLimits limits, long inputCharacters, DateTimeOffset now)
    {
        _limits = limits;
        _maxSteps = Math.Min(limits.MaxSteps, long.MaxValue / 2) + (inputCharacters / InputCharactersPerStep);
        _allocationLeft = limits.MaxAllocation + (UnitsPerInputCharacter * inputCharacters);
        Now = now;
    }

    /// <summary>What <c>strftime_now</c> formats.</summary>
    public DateTimeOffset Now { get; }

    /// <summary>The line of the node under evaluation.</summary>
    public int Line { get; private set; }

    /// <summary>The column of the node under evaluation.</summary>
    public int Column { get; private set; }

    /// <summary>The longest text in UTF-16 units. UTF-8 needs at least as many bytes, so the exact check is made once, on the output.</summary>
    public int MaxText => _limits.MaxOutputBytes;

    /// <summary>Notes where evaluation is, for error messages, and counts a step.</summary>
    public void At(Node node)
    {
        Line = node.Line;
        Column = node.Column;
        if (++_steps > _maxSteps)
        {
            throw TooManySteps();
        }
    }

    /// <summary>Moves the place back to <paramref name="node"/> after its children were evaluated.</summary>
    public void Back(Node node)
    {
        Line = node.Line;
        Column = node.Column;
    }

    /// <summary>Counts characters or elements that an operation reads.</summary>
    public void Work(long amount)
    {
        _work += amount;
        if (_work >= WorkPerStep)
        {
            _steps += _work / WorkPerStep;
            _work %= WorkPerStep;
            if (_steps > _maxSteps)
            {
                throw TooManySteps();
            }
        }
    }

    /// <summary>Counts characters of a text about to be made.</summary>
    public void AllocateText(long characters)
    {
        if (characters > MaxText)
        {
            throw Fail($"a text of {characters} characters is longer than the {MaxText} allowed");
        }

        Allocate(characters);
    }

    /// <summary>Counts a text of its own about to be made, which is more than its characters: a million empty ones are no small thing.</summary>
    public void AllocateNewText(long characters)
    {
        AllocateText(characters);
        Allocate(UnitsPerText);
    }

    /// <summary>Counts elements of a list or dictionary about to be made.</summary>
    public void AllocateElements(long elements) => Allocate(elements * UnitsPerElement);

    /// <summary>Enters a macro or a recursive loop.</summary>
    public void EnterCall(string name)
    {
        if (_recursion >= _limits.MaxRecursion || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Fail($"'{name}' is called more than {_limits.MaxRecursion} deep");
        }

        _recursion++;
    }

    /// <summary>Leaves a macro or a recursive loop.</summary>
    public void LeaveCall() => _recursion--;

    /// <summary>The longest <c>range</c>.</summary>
    public int MaxRange => _limits.MaxRange;

    /// <summary>An exception at the current place.</summary>
    public ChatTemplateException Fail(string problem) => new(problem, Line, Column);

    private void Allocate(long units)
    {
        Work(units);
        _allocationLeft -= units;
        if (_allocationLeft < 0)
        {
            throw Fail($"the template makes more than {_limits.MaxAllocation} characters of intermediate text and lists");
        }
    }

    private ChatTemplateException TooManySteps() => Fail($"the template takes more than {_maxSteps} steps");
}
