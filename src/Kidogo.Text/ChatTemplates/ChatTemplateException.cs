// The one exception of chat templates: parsing, rendering, limits, and what a template itself refuses.
namespace Kidogo.Text.ChatTemplates;

/// <summary>A chat template could not be parsed or rendered, or refused the conversation itself.</summary>
public sealed class ChatTemplateException : Exception
{
    /// <summary>Makes an exception without a message.</summary>
    public ChatTemplateException()
    {
        Problem = Message;
    }

    /// <summary>Makes an exception without a place in the template.</summary>
    public ChatTemplateException(string message)
        : base(message)
    {
        Problem = message;
    }

    /// <summary>Makes an exception with a cause.</summary>
    public ChatTemplateException(string message, Exception innerException)
        : base(message, innerException)
    {
        Problem = message;
    }

    internal ChatTemplateException(string problem, int line, int column, bool refusedByTemplate = false, Exception? cause = null)
        : base(line > 0 ? $"chat template, line {line}, column {column}: {problem}" : problem, cause)
    {
        Problem = problem;
        Line = line;
        Column = column;
        RefusedByTemplate = refusedByTemplate;
    }

    /// <summary>The line in the template, from 1; 0 where there is none.</summary>
    public int Line { get; }

    /// <summary>The column in that line, from 1, in UTF-16 units; 0 where there is none.</summary>
    public int Column { get; }

    /// <summary>What happened, without the place. When <see cref="RefusedByTemplate"/>, the template's own words.</summary>
    public string Problem { get; }

    /// <summary>True when the template called <c>raise_exception</c>: the conversation does not suit the model, and nothing is wrong with the template.</summary>
    public bool RefusedByTemplate { get; }
}
