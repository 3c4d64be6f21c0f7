// A teacher that cuts texts into other tokens than the student: compared where both have read the same bytes (ULD). Knows no optimiser.
using Kidogo.Data;
using Kidogo.Models;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;
using Kidogo.Text.Tokenizers;
using Kidogo.Training.Recipes;

namespace Kidogo.Training.Distillation;

/// <summary>Universal logit distillation (Boizard et al., arXiv 2402.12030). There the i-th tokens of both are compared; here those after which both have
/// read as many bytes of the text, since only then do
/// both say what comes next of the same.</summary>
internal sealed class OtherTokenizerTeacher : Teacher
{
    private readonly OpenTeacher _opened;
    private readonly Tokenizer _own, _students;
    private readonly SequenceBatch _sequences = new();
    private int? _mark;

    private OtherTokenizerTeacher(DistillationRecipe recipe, OpenTeacher opened, Tokenizer own, Tokenizer students)
        : base(recipe) => (_opened, _own, _students) = (opened, own, students);

    public override DecoderConfig Config => _opened.Loaded.Config;

    /// <summary>Opens a teacher.</summary>
    /// <exception cref="RecipeException">It has no tokenizer.</exception>
    public static OtherTokenizerTeacher Open(DistillationRecipe recipe, string? loadAs, Tokenizer students, int threads)
    {
        OpenTeacher opened = OpenTeacher.Open(recipe.Teacher, loadAs, threads);
        ModelText text = ModelText.Of(opened.Loaded.Header);
        if (text.HasTokenizer)
        {
            return new OtherTokenizerTeacher(recipe, opened, text.Tokenizer, students);
        }

        opened.Dispose();
        throw new RecipeException($"The teacher {recipe.Teacher} has no tokenizer, so it cannot read the student's texts. Give one that has, or another distance.");
    }

    public override CrossEntropyResult Compare(ComputeContext context, Tensor logits, TokenBatch batch, ReadOnlySpan<int> targets, long count, LayerTaps? taps)
    {
        _sequences.Clear();
        List<int> ofStudent = [], ofTeacher = [];
        int row = 0;
        foreach (BatchSegment segment in batch.Segments)
        {
            Pair(batch.Ids.AsSpan(segment.First, segment.Length), targets.Slice(row, segment.Length), row, ofStudent, ofTeacher);
            row += segment.Length;
        }

        int counted = targets.Length - targets.Count(CrossEntropyOp.NoTarget);
        if (ofStudent.Count == 0 || counted == 0)
        {
            Tensor nothing = context.Rent(1, 1);
            nothing.Span.Clear();
            return new CrossEntropyResult(nothing, 0, 0, 0);
        }

        // Fewer places are compared than there are targets: a micro-batch counts as much as its targets all the same.
        double share = (double)counted / count;
        CrossEntropyResult result = ResponseLossOp.Apply(context, RowsOp.Apply(context, logits, ofStudent.ToArray()), Logits(ofTeacher), [], Options(0));
        return result with { Loss = ScaleOp.Apply(context, result.Loss, (float)share), Value = result.Value * share };
    }

    public override void Dispose()
    {
        _sequences.Dispose();
        _opened.Dispose();
    }

    /// <summary>Finds the places of a sequence that both have read up to, and adds the teacher's tokens to the next pass.</summary>
    private void Pair(ReadOnlySpan<int> ids, ReadOnlySpan<int> targets, int firstRow, List<int> ofStudent, List<int> ofTeacher)
    {
        ReadOnlySpan<byte> text = _students.DecodeBytes(ids, skipSpecial: true);
        int start = 0;
        while (start < text.Length && (text[start] & 0xC0) == 0x80)
        {
            start++; // a window may begin within a character
        }

        int[] theirs = _own.Encode(text[start..], addSpecial: true);
        theirs = theirs.Length > Config.ContextLength ? theirs[..Config.ContextLength] : theirs;
        if (theirs.Length == 0)
        {
            return;
        }

        int teacherRow = _sequences.TokenCount;
        _sequences.Add(null, theirs, LogitRows.All);
        Dictionary<int, int> places = [];
        int[] ends = Ends(_own, theirs, start);
        for (int i = 0; i < ends.Length; i++)
        {
            places[ends[i]] = teacherRow + i; // control tokens end where the token before them does: the last counts
        }

        ends = Ends(_students, ids, 0);
        for (int i = 0; i < ends.Length; i++)
        {
            if (targets[i] != CrossEntropyOp.NoTarget && (i + 1 == ends.Length || ends[i + 1] != ends[i]) && places.TryGetValue(ends[i], out int place))
            {
                ofStudent.Add(firstRow + i);
                ofTeacher.Add(place);
            }
        }
    }

    /// <summary>How many bytes of the text have been read after each token.</summary>
    private static int[] Ends(Tokenizer tokenizer, ReadOnlySpan<int> ids, int start)
    {
        int[] ends = new int[ids.Length];
        int end = 0;
        for (int i = 0; i < ids.Length; i++)
        {
            end += tokenizer.Kind(ids[i]) is TokenKind.Control or TokenKind.Unused ? 0 : tokenizer.PieceBytes(ids[i]).Length;
            ends[i] = end;
        }

        int added = end - tokenizer.DecodeBytes(ids, skipSpecial: true).Length; // a space before the first word that is none of the text's
        for (int i = 0; i < ends.Length; i++)
        {
            ends[i] = start + Math.Max(0, ends[i] - Math.Max(0, added));
        }

        return ends;
    }

    private Tensor Logits(List<int> rows)
    {
        ComputeContext context = _opened.Context;
        context.ReleaseTo(_mark ??= context.Mark());
        Tensor all = _opened.Loaded.Model.Forward(context, _sequences), chosen = context.Rent(rows.Count, all.Columns);
        for (int i = 0; i < rows.Count; i++)
        {
            all.Row(rows[i]).CopyTo(chosen.Row(i));
        }

        return chosen;
    }
}
