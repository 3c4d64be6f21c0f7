// Rows of chance, for benchmarks. Knows a vocabulary's size.
namespace Kidogo.Data.Packing;

/// <summary>Rows of one document each, of ids that a hash of seed, row and column draws uniformly.</summary>
internal sealed class RandomRows(int vocabulary, int context, ulong seed, int[] byteLengths) : RowSource
{
    private readonly int[] _ids = new int[context + 1];
    private long _rows;

    public override long Rows => _rows;

    public override double Epochs => 0;

    public override SourcePosition Position
    {
        get => new(_rows, _rows * context, _rows * context, _rows, 0, _rows);
        set => _rows = value.Open == value.Rows && value.Next == value.Rows && value.Offset == 0 && value.Rows >= 0 ? value.Rows : throw Impossible(value);
    }

    public override bool Next(TokenBatch batch, int source)
    {
        ulong key = Mix.Hash(seed, (ulong)_rows);
        for (int i = 0; i < _ids.Length; i++)
        {
            _ids[i] = (int)Math.BigMul(Mix.Hash(key, (ulong)i), (ulong)vocabulary, out _); // the upper half of the product: [0, vocabulary)
        }

        batch.BeginRow(source);
        batch.Add(0, _ids, [], byteLengths);
        _rows++;
        return true;
    }
}
