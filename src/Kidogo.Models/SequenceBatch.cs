// Sequences that go through a model side by side. Knows token ids, not text, and nothing of the model but its limits.
using System.Runtime.InteropServices;
using Kidogo.Models.Adapters;
using Kidogo.Tensors;
using Kidogo.Tensors.Ops;

namespace Kidogo.Models;

/// <summary>Which rows of a sequence get logits.</summary>
public enum LogitRows
{
    /// <summary>None: the tokens only go into the cache.</summary>
    None,

    /// <summary>The last.</summary>
    Last,

    /// <summary>All.</summary>
    All,
}

/// <summary>One pass's work: new tokens of several sequences, each with its cache, in rows one after the other.</summary>
/// <remarks>Made once and used again (<see cref="Clear"/>): then a pass allocates nothing. Results of a sequence do not depend on which others are in the batch.</remarks>
public sealed class SequenceBatch : IDisposable
{
    private readonly List<Sequence> _sequences = [];
    private readonly List<int> _tokens = [];
    private readonly List<int> _positions = [];
    private readonly List<int> _logitRows = [];
    private readonly List<int> _selectedLogitRows = [];
    private readonly List<KvCache> _temporary = [];
    private readonly List<RowVariant> _variants = [];
    private SequenceRows[] _rows = [];
    private int _firstSelected;
    private int _countSelected;
    private int _firstRow;
    private int _rowsSelected;

    /// <summary>Number of sequences.</summary>
    public int Count => _sequences.Count;

    /// <summary>T: rows, the new tokens of all sequences.</summary>
    public int TokenCount => _tokens.Count;

    /// <summary>Rows that get logits: the rows of what <see cref="DecoderModel.Forward"/> returns.</summary>
    public int LogitRowCount => _logitRows.Count;

    /// <summary>What passes shall leave of their inside; null (the default) for nothing.</summary>
    public LayerTaps? Taps { get; set; }

    /// <summary>The first of the rows that are computed now.</summary>
    internal int FirstSelectedRow => _firstRow;

    /// <summary>The whole length of the sequences that are computed now, or the context that their caches declare.</summary>
    internal int RotaryLength { get; private set; }

    /// <summary>The ids of the rows that are computed now. [T]</summary>
    internal ReadOnlySpan<int> Tokens => CollectionsMarshal.AsSpan(_tokens).Slice(_firstRow, _rowsSelected);

    /// <summary>The positions of the rows that are computed now. [T]</summary>
    internal ReadOnlySpan<int> Positions => CollectionsMarshal.AsSpan(_positions).Slice(_firstRow, _rowsSelected);

    /// <summary>Which of the rows that are computed now get logits.</summary>
    internal ReadOnlySpan<int> SelectedLogitRows => CollectionsMarshal.AsSpan(_selectedLogitRows);

    /// <summary>Whether all sequences rotate alike, even where the rotation depends on the length.</summary>
    internal bool HasOneRotaryLength
    {
        get
        {
            foreach (Sequence sequence in _sequences)
            {
                if (sequence.RotaryLength != _sequences[0].RotaryLength)
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>Takes all sequences out; keeps the memory.</summary>
    public void Clear()
    {
        _sequences.Clear();
        _tokens.Clear();
        _logitRows.Clear();
    }

    /// <summary>Adds the next tokens of a sequence.</summary>
    /// <param name="cache">What is remembered of the sequence, to which the tokens are added; null to compute the tokens as a whole sequence that nothing is kept of (scoring).</param>
    /// <param name="tokens">The ids, one or more.</param>
    /// <param name="logits">Which rows get logits.</param>
    /// <param name="adapter">The adapter of the model that the sequence is computed with; <see cref="Adapter.None"/> for the base as it is, null for what the model does by default.</param>
    /// <exception cref="ArgumentException">There are no tokens, or the cache is in the batch already.</exception>
    public void Add(KvCache? cache, ReadOnlySpan<int> tokens, LogitRows logits, Adapter? adapter = null)
    {
        if (tokens.IsEmpty)
        {
            throw new ArgumentException("A sequence without tokens cannot be computed: give at least one.", nameof(tokens));
        }

        foreach (Sequence other in _sequences)
        {
            if (cache is not null && other.Cache == cache)
            {
                throw new ArgumentException("The cache is in the batch already: a sequence is added once, with all its new tokens.", nameof(cache));
            }
        }

        int first = _tokens.Count;
        _tokens.AddRange(tokens);
        _sequences.Add(new Sequence(cache, cache is null, first, tokens.Length, 0, adapter, 0));
        for (int row = logits == LogitRows.All ? first : _tokens.Count - 1; logits != LogitRows.None && row < _tokens.Count; row++)
        {
            _logitRows.Add(row);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (KvCache cache in _temporary)
        {
            cache.Dispose();
        }

        _temporary.Clear();
    }

    /// <summary>Checks the batch against the model's limits and finds all positions, for a pass that is recorded: every sequence is whole, and has no cache.</summary>
    internal void PrepareWithoutCaches(DecoderModel model)
    {
        CheckFilled(model);
        foreach (ref Sequence sequence in CollectionsMarshal.AsSpan(_sequences))
        {
            if (!sequence.IsTemporary)
            {
                throw new ArgumentException("A sequence with a cache cannot be in a training batch, since no gradient flows into a cache: add it whole, with null for the cache.");
            }

            if (model.Config.LearnedPositions > 0 && sequence.Rows > model.Config.LearnedPositions)
            {
                throw new ArgumentException($"The sequence is {sequence.Rows} tokens long, but the model has learned {model.Config.LearnedPositions} positions. Cut the text into shorter windows.");
            }

            int number = model.Adapters.NumberOf(sequence.Adapter);
            if (number != model.Adapters.DefaultNumber)
            {
                throw new ArgumentException("Sequences of a training batch are computed with the model's own adapter; choose that one, and name none here.");
            }

            sequence = sequence with { Cache = null, RotaryLength = sequence.Rows, AdapterNumber = number };
            for (int i = 0; i < sequence.Rows; i++)
            {
                _positions.Add(i);
            }
        }
    }

    /// <summary>Checks the batch against the model's limits, gives sequences without a cache one, and finds all positions. Changes no caller's cache.</summary>
    internal void Prepare(DecoderModel model, KvFormat temporaryFormat)
    {
        CheckFilled(model);
        int used = 0;
        foreach (ref Sequence sequence in CollectionsMarshal.AsSpan(_sequences))
        {
            KvCache cache = sequence.IsTemporary ? Temporary(used++, model, temporaryFormat, sequence.Rows) : sequence.Cache!;
            if (cache.Model != model)
            {
                throw new ArgumentException("A cache in the batch was made by another model.");
            }

            int number = model.Adapters.NumberOf(sequence.Adapter);
            if (cache.Length > 0 && cache.AdapterNumber != number)
            {
                throw new ArgumentException("What is in a cache was computed with another adapter than the sequence goes on with. Clear the cache, or give the adapter that the sequence began with.");
            }

            cache.AdapterNumber = number;
            int start = cache.Length;
            long end = (long)start + sequence.Rows;
            int limit = model.Config.LearnedPositions > 0 ? Math.Min(model.Config.LearnedPositions, cache.ContextLength) : cache.ContextLength;
            if (end > limit)
            {
                throw new ArgumentException($"The sequence would be {end} tokens long ({start} cached and {sequence.Rows} new), but the context has {limit}. Shorten the text, or declare a longer context if the model allows.");
            }

            sequence = sequence with { Cache = cache, RotaryLength = cache.ContextLength, AdapterNumber = number };
            for (int i = 0; i < sequence.Rows; i++)
            {
                _positions.Add(start + i);
            }
        }
    }

    /// <summary>Takes out of all caches what a pass that failed has put in.</summary>
    internal void TakeBack()
    {
        foreach (Sequence sequence in _sequences)
        {
            sequence.Cache?.TakeBack(_positions[sequence.FirstRow]);
        }
    }

    /// <summary>Chooses the sequences that the next pass computes.</summary>
    internal void Select(int first, int count)
    {
        _firstSelected = first;
        _countSelected = count;
        _firstRow = _sequences[first].FirstRow;
        Sequence last = _sequences[first + count - 1];
        _rowsSelected = last.FirstRow + last.Rows - _firstRow;
        RotaryLength = _sequences[first].RotaryLength;
        _selectedLogitRows.Clear();
        foreach (int row in _logitRows)
        {
            if (row >= _firstRow && row < _firstRow + _rowsSelected)
            {
                _selectedLogitRows.Add(row - _firstRow);
            }
        }
    }

    /// <summary>The rows and stores of the chosen sequences for one layer; no stores in training.</summary>
    internal ReadOnlySpan<SequenceRows> RowsOfLayer(int layer)
    {
        if (_rows.Length < _countSelected)
        {
            _rows = new SequenceRows[Math.Max(_countSelected, 2 * _rows.Length)];
        }

        for (int i = 0; i < _countSelected; i++)
        {
            Sequence sequence = _sequences[_firstSelected + i];
            _rows[i] = new SequenceRows(sequence.FirstRow - _firstRow, sequence.Rows, sequence.Cache?[layer]);
        }

        return _rows.AsSpan(0, _countSelected);
    }

    /// <summary>Which adapters the rows that are computed now have, neighbours of one adapter together.</summary>
    internal ReadOnlySpan<RowVariant> RowVariants()
    {
        _variants.Clear();
        for (int i = _firstSelected; i < _firstSelected + _countSelected; i++)
        {
            AddVariant(_sequences[i].Rows, _sequences[i].AdapterNumber);
        }

        return CollectionsMarshal.AsSpan(_variants);
    }

    /// <summary>The same of the rows that get logits.</summary>
    internal ReadOnlySpan<RowVariant> LogitVariants()
    {
        _variants.Clear();
        int i = _firstSelected;
        foreach (int row in _selectedLogitRows)
        {
            while (_firstRow + row >= _sequences[i].FirstRow + _sequences[i].Rows)
            {
                i++;
            }

            AddVariant(1, _sequences[i].AdapterNumber);
        }

        return CollectionsMarshal.AsSpan(_variants);
    }

    private void AddVariant(int rows, int number)
    {
        RowVariant last = _variants.Count > 0 ? _variants[^1] : default;
        if (_variants.Count > 0 && last.Variant == number)
        {
            _variants[^1] = last with { Rows = last.Rows + rows };
        }
        else
        {
            _variants.Add(new RowVariant(last.FirstRow + last.Rows, rows, number));
        }
    }

    private void CheckFilled(DecoderModel model)
    {
        if (_sequences.Count == 0)
        {
            throw new ArgumentException("The batch is empty: add at least one sequence.");
        }

        CheckTokens(model.Config.VocabSize);
        _positions.Clear();
    }

    private void CheckTokens(int vocabulary)
    {
        for (int i = 0; i < _tokens.Count; i++)
        {
            if ((uint)_tokens[i] >= (uint)vocabulary)
            {
                throw new ArgumentException($"The token id {_tokens[i]} in row {i} is outside the model's vocabulary of {vocabulary} (0 to {vocabulary - 1}).");
            }
        }
    }

    private KvCache Temporary(int index, DecoderModel model, KvFormat format, int length)
    {
        if (_temporary.Count > 0 && (_temporary[0].Model != model || _temporary[0].Format != format))
        {
            Dispose();
        }

        if (index == _temporary.Count)
        {
            _temporary.Add(new KvCache(model, length, format));
        }

        _temporary[index].Restart(length);
        return _temporary[index];
    }

    /// <summary>One sequence of the batch.</summary>
    /// <param name="Cache">Its cache, perhaps a temporary one.</param>
    /// <param name="IsTemporary">Whether nothing is kept of it.</param>
    /// <param name="FirstRow">Its first row in the batch.</param>
    /// <param name="Rows">How many.</param>
    /// <param name="RotaryLength">What a rotation that depends on the length goes by.</param>
    /// <param name="Adapter">The adapter that was asked for.</param>
    /// <param name="AdapterNumber">Its number in the model, once that is known; 0 for none.</param>
    private readonly record struct Sequence(KvCache? Cache, bool IsTemporary, int FirstRow, int Rows, int RotaryLength, Adapter? Adapter, int AdapterNumber);
}
