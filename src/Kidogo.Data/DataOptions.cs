// What training data is made of: sources, split, seed. Knows no files and no tokens.
using Kidogo.Text.ChatTemplates;

namespace Kidogo.Data;

/// <summary>What ends a document of a <c>.txt</c> file.</summary>
public enum DocumentBorder
{
    /// <summary>One or more lines with nothing or only white space (ASCII). The default.</summary>
    Blank,

    /// <summary>The end of a line.</summary>
    Line,

    /// <summary>The end of the file.</summary>
    File,
}

/// <summary>What a source holds.</summary>
public enum SourceKind
{
    /// <summary>
    /// Found out: <c>.txt</c> is text; of <c>.jsonl</c> the first line decides: with <see cref="DataSource.Field"/> it is text, else with <c>messages</c> or
    /// <c>conversations</c> it is conversations.
    /// </summary>
    Detect,

    /// <summary>Documents of text.</summary>
    Text,

    /// <summary>
    /// Conversations, one a line of <c>.jsonl</c>: <c>{"messages": [{"role": …, "content": …}, …]}</c>, or <c>{"conversations": [{"from": "human" | "gpt",
    /// "value": …}, …]}</c>.
    /// <c>tools</c> beside them is given to the template.
    /// </summary>
    Conversations,

    /// <summary>No file at all: ids drawn uniformly from the vocabulary, for benchmarks. The path is <see cref="DataSource.RandomPath"/>.</summary>
    Random,
}

/// <summary>One source of a mixture.</summary>
public sealed record DataSource
{
    /// <summary>The path that means random ids.</summary>
    public const string RandomPath = "random";

    /// <summary>
    /// A file (<c>.txt</c>, <c>.jsonl</c>, either with <c>.gz</c> after it) or a folder, of which all such files are read, recursively and in ordinal order of
    /// their paths relative to it; names that begin with a dot and links to folders are passed over.
    /// </summary>
    public required string Path { get; init; }

    /// <summary>The source's share of the rows that are trained on, relative to the others': above 0. Null: in proportion to its tokens. All sources have one
    /// or none has.</summary>
    public double? Weight { get; init; }

    /// <summary>The field of a <c>.jsonl</c> line that holds the text. Default <c>text</c>.</summary>
    public string Field { get; init; } = "text";

    /// <summary>What ends a document of <c>.txt</c>. Default <see cref="DocumentBorder.Blank"/>.</summary>
    public DocumentBorder Documents { get; init; } = DocumentBorder.Blank;

    /// <summary>What the source holds. Default <see cref="SourceKind.Detect"/>.</summary>
    public SourceKind Kind { get; init; } = SourceKind.Detect;
}

/// <summary>How conversations become text.</summary>
/// <param name="Template">The chat template.</param>
/// <param name="Input">The special tokens and variables for it; its messages and tools are replaced by each conversation's.</param>
public sealed record ChatSetup(ChatTemplate Template, ChatTemplateInput Input);

/// <summary>Which data, how it is split and in which rows it comes.</summary>
public sealed record DataOptions
{
    /// <summary>The sources; at least one.</summary>
    public required IReadOnlyList<DataSource> Sources { get; init; }

    /// <summary>The folder for the tokenised shards; made if absent. It may be shared by several runs and deleted between them.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>Positions of a row: 1 to 1,048,576.</summary>
    public required int Context { get; init; }

    /// <summary>
    /// Of each source, the share of its documents (in [0, 0.5]) that is held out. Default 0.01. Above 0, at least one document is held out wherever there are
    /// two.
    /// </summary>
    /// <remarks>A document is held out or not by a hash of its content and the seed: its copies share its fate, and other files or their order change
    /// nothing.</remarks>
    public double HeldOut { get; init; } = 0.01;

    /// <summary>Instead of <see cref="HeldOut"/>, the number of documents held out of each source (more where the last has copies). Null: by share.</summary>
    public int? HeldOutDocuments { get; init; }

    /// <summary>Decides the split and the order. Default 0.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether invalid UTF-8 is an error instead of being counted and replaced with U+FFFD. Default false.</summary>
    public bool Strict { get; init; }

    /// <summary>Whether conversations longer than the context are left out and counted instead of being an error. Default false.</summary>
    public bool SkipLongConversations { get; init; }

    /// <summary>Whether the tokenizer's end-of-text token ends each document of text. Default true.</summary>
    public bool EndDocuments { get; init; } = true;

    /// <summary>Threads that tokenise. Default 0: as many as there are processors. Changes no byte of the result.</summary>
    public int Workers { get; init; }
}

/// <summary>How far tokenising has come.</summary>
/// <param name="Source">The source's path.</param>
/// <param name="BytesDone">Bytes of all sources' files (as stored, so packed ones count packed) that are done.</param>
/// <param name="BytesTotal">Bytes of all sources' files.</param>
/// <param name="Documents">Documents so far.</param>
/// <param name="Tokens">Tokens so far.</param>
public readonly record struct DataProgress(string Source, long BytesDone, long BytesTotal, long Documents, long Tokens);
