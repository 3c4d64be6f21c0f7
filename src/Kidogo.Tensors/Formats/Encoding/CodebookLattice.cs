// A codebook as a quantiser needs it: which point lies at a place of the grid, and where none does, which points are near. Knows no blocks and no scales.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Kidogo.Tensors.Formats.Encoding;

/// <summary>The points of a codebook among all places of a small regular grid, with the nearest points of every place that is no point.</summary>
/// <remarks>
/// A place is D digits below L (3^8 or 8^4 places), numbered with the first digit lowest; points are numbered in the order of their places. The neighbours of a place are the points at its N smallest distinct distances, by distance,
/// then by number: of equally good ones a search takes the first. Everything is computed from the published set of points when it is first needed; the distance of two places is that of their lower digits
/// plus that of their upper ones, so a table of 81 x 81 (or 64 x 64) distances makes the largest codebook in some milliseconds.
/// </remarks>
internal sealed class CodebookLattice
{
    /// <summary>Neighbours that are looked at together.</summary>
    private const int Lanes = 8;

    private readonly ushort[] _places; // place of each point
    private readonly int[] _pointAt; // for each place the point's number, or where its neighbours start, less than 0: ~start
    private readonly ushort[] _neighbours; // chunks of 8 numbers; the last chunk of a place repeats its last neighbour
    private readonly byte[] _digits; // for each chunk [D, 8]: digit i of the 8 neighbours side by side
    private readonly float[] _odd; // [points, D]: 2 · digit + 1
    private readonly byte[] _chunks; // chunks of a place, by the number of its first chunk

    private CodebookLattice(ReadOnlySpan<ulong> members, int levels, int dimensions, int distances)
    {
        Levels = levels;
        Dimensions = dimensions;
        int size = (int)Math.Pow(levels, dimensions);
        List<ushort> places = [];
        for (int place = 0; place < size; place++)
        {
            if (((members[place / 64] >> (place % 64)) & 1) != 0)
            {
                places.Add((ushort)place);
            }
        }

        _places = [.. places];
        _pointAt = new int[size];
        _pointAt.AsSpan().Fill(-1);
        for (int i = 0; i < _places.Length; i++)
        {
            _pointAt[_places[i]] = i;
        }

        List<ushort> neighbours = [];
        List<byte> chunks = [];
        FindNeighbours(distances, neighbours, chunks);
        _neighbours = [.. neighbours];
        _chunks = [.. chunks];
        _odd = new float[_places.Length * dimensions];
        for (int i = 0; i < _odd.Length; i++)
        {
            _odd[i] = (2 * (_places[i / dimensions] / (int)Math.Pow(levels, i % dimensions) % levels)) + 1;
        }

        _digits = new byte[_neighbours.Length * dimensions];
        for (int i = 0; i < _neighbours.Length; i++)
        {
            int place = _places[_neighbours[i]];
            for (int j = 0; j < dimensions; j++)
            {
                (place, int digit) = Math.DivRem(place, levels);
                _digits[(i / Lanes * Lanes * dimensions) + (j * Lanes) + (i % Lanes)] = (byte)digit;
            }
        }
    }

    /// <summary>The lattice of IQ2_XXS.</summary>
    public static CodebookLattice IQ2_XXS => s_iq2_xxs.Value;

    /// <summary>The lattice of IQ2_XS.</summary>
    public static CodebookLattice IQ2_XS => s_iq2_xs.Value;

    /// <summary>The lattice of IQ2_S.</summary>
    public static CodebookLattice IQ2_S => s_iq2_s.Value;

    /// <summary>The lattice of IQ3_XXS.</summary>
    public static CodebookLattice IQ3_XXS => s_iq3_xxs.Value;

    /// <summary>The lattice of IQ3_S.</summary>
    public static CodebookLattice IQ3_S => s_iq3_s.Value;

    /// <summary>The lattice of IQ1_S and IQ1_M.</summary>
    public static CodebookLattice IQ1 => s_iq1.Value;

    /// <summary>L: values of a digit.</summary>
    public int Levels { get; }

    /// <summary>D: digits of a point.</summary>
    public int Dimensions { get; }

    /// <summary>Points of the codebook.</summary>
    public int Points => _places.Length;

    /// <summary>The number of a place.</summary>
    /// <param name="digits">[D]</param>
    public int Place(ReadOnlySpan<byte> digits)
    {
        int place = 0;
        for (int i = digits.Length - 1; i >= 0; i--)
        {
            place = (place * Levels) + digits[i];
        }

        return place;
    }

    /// <summary>Whether there is a point at <paramref name="place"/>, and its number.</summary>
    public bool TryGetPoint(int place, out int point)
    {
        point = _pointAt[place];
        return point >= 0;
    }

    /// <summary>Writes the digits of a point.</summary>
    /// <param name="point">Its number.</param>
    /// <param name="digits">[D]</param>
    public void CopyDigits(int point, Span<byte> digits)
    {
        int place = _places[point];
        for (int i = 0; i < digits.Length; i++)
        {
            (place, int digit) = Math.DivRem(place, Levels);
            digits[i] = (byte)digit;
        }
    }

    /// <summary>[D] 2 · digit + 1 of a point.</summary>
    public ReadOnlySpan<float> OddCoordinates(int point) => _odd.AsSpan(point * Dimensions, Dimensions);

    /// <summary>The neighbour of a place, which is no point, that errs least: Σ w (scale · (factor · digit + offset) - x)², from the first weight to the last; of equals the first.</summary>
    /// <param name="place">A place without a point.</param>
    /// <param name="x">[D]</param>
    /// <param name="w">[D]</param>
    /// <param name="scale">The scale.</param>
    /// <param name="factor">With <paramref name="offset"/> it makes a coordinate of a digit, exactly.</param>
    /// <param name="offset">As the factor.</param>
    /// <returns>The number of the point.</returns>
    /// <remarks>Lanes: 8 neighbours each, which add over the same digits in the same order, so each distance is that of the scalar twin.</remarks>
    public int Nearest(int place, ReadOnlySpan<float> x, ReadOnlySpan<float> w, float scale, float factor, float offset)
    {
        int first = ~_pointAt[place];
        int chunks = _chunks[first];
        ref byte digits = ref MemoryMarshal.GetReference(_digits.AsSpan(first * Lanes * Dimensions, chunks * Lanes * Dimensions));
        Vector256<float> scales = Vector256.Create(scale);
        Vector256<float> factors = Vector256.Create(factor);
        Vector256<float> offsets = Vector256.Create(offset);
        Vector256<float> best = Vector256.Create(float.MaxValue);
        Vector256<int> bestChunk = default;
        for (int chunk = 0; chunk < chunks; chunk++)
        {
            Vector256<float> error = default;
            for (int i = 0; i < x.Length; i++)
            {
                Vector128<byte> eight = Vector128.CreateScalar(Unsafe.ReadUnaligned<ulong>(
                    ref Unsafe.Add(ref digits, ((chunk * x.Length) + i) * Lanes))).AsByte();
                Vector256<int> wide = Vector256.WidenLower(Vector128.WidenLower(eight).ToVector256()).AsInt32();
                Vector256<float> difference = (scales * ((Vector256.ConvertToSingle(wide) * factors) + offsets)) - Vector256.Create(x[i]);
                error += Vector256.Create(w[i]) * difference * difference;
            }

            Vector256<float> better = Vector256.LessThan(error, best);
            best = Vector256.ConditionalSelect(better, error, best);
            bestChunk = Vector256.ConditionalSelect(better.AsInt32(), Vector256.Create(chunk), bestChunk);
        }

        int found = 0;
        float least = best[0];
        for (int lane = 0; lane < Lanes; lane++)
        {
            int order = (bestChunk[lane] * Lanes) + lane;
            if (lane == 0 || best[lane] < least || (best[lane] == least && order < found))
            {
                least = best[lane];
                found = order;
            }
        }

        return _neighbours[(first * Lanes) + found];
    }

    /// <summary>The scalar twin of <see cref="Nearest"/>.</summary>
    public int NearestScalar(int place, ReadOnlySpan<float> x, ReadOnlySpan<float> w, float scale, float factor, float offset)
    {
        int first = ~_pointAt[place];
        int found = _neighbours[first * Lanes];
        float least = float.MaxValue;
        Span<byte> digits = stackalloc byte[Dimensions];
        foreach (ushort point in _neighbours.AsSpan(first * Lanes, _chunks[first] * Lanes))
        {
            CopyDigits(point, digits);
            float error = 0;
            for (int i = 0; i < x.Length; i++)
            {
                float difference = (scale * ((digits[i] * factor) + offset)) - x[i];
                error += w[i] * difference * difference;
            }

            if (error < least)
            {
                least = error;
                found = point;
            }
        }

        return found;
    }

    private void FindNeighbours(int distances, List<ushort> neighbours, List<byte> chunks)
    {
        int half = (int)Math.Pow(Levels, Dimensions / 2);
        byte[] table = HalfDistances(half);
        int largest = Dimensions * (Levels - 1) * (Levels - 1);
        byte[] distance = new byte[_places.Length];
        bool[] occurs = new bool[largest + 1];
        List<ushort> own = [];
        for (int place = 0; place < _pointAt.Length; place++)
        {
            if (_pointAt[place] >= 0)
            {
                continue;
            }

            ReadOnlySpan<byte> low = table.AsSpan(place % half * half, half);
            ReadOnlySpan<byte> high = table.AsSpan(place / half * half, half);
            Array.Clear(occurs);
            for (int j = 0; j < _places.Length; j++)
            {
                distance[j] = (byte)(low[_places[j] % half] + high[_places[j] / half]);
                occurs[distance[j]] = true;
            }

            own.Clear();
            int left = distances;
            for (int wanted = 0; wanted <= largest && left > 0; wanted++)
            {
                if (!occurs[wanted])
                {
                    continue;
                }

                left--;
                for (int j = distance.AsSpan().IndexOf((byte)wanted); j >= 0 && j < distance.Length; j++)
                {
                    if (distance[j] == wanted)
                    {
                        own.Add((ushort)j);
                    }
                }
            }

            _pointAt[place] = ~chunks.Count;
            int needed = (own.Count + Lanes - 1) / Lanes;
            for (int i = 0; i < needed * Lanes; i++)
            {
                neighbours.Add(own[Math.Min(i, own.Count - 1)]);
            }

            for (int i = 0; i < needed; i++)
            {
                chunks.Add((byte)needed);
            }
        }
    }

    /// <summary>[half, half] Squared distances between places of half as many digits, in steps of digits.</summary>
    private byte[] HalfDistances(int half)
    {
        byte[] table = new byte[half * half];
        for (int a = 0; a < half; a++)
        {
            for (int b = 0; b < half; b++)
            {
                (int restA, int restB, int sum) = (a, b, 0);
                for (int i = 0; i < Dimensions / 2; i++)
                {
                    int difference = (restA % Levels) - (restB % Levels);
                    sum += difference * difference;
                    restA /= Levels;
                    restB /= Levels;
                }

                table[(a * half) + b] = (byte)sum;
            }
        }

        return table;
    }

    private static readonly Lazy<CodebookLattice> s_iq2_xxs = new(() => new(CodebookPoints.IQ2_XXS, 3, 8, 2));
    private static readonly Lazy<CodebookLattice> s_iq2_xs = new(() => new(CodebookPoints.IQ2_XS, 3, 8, 2));
    private static readonly Lazy<CodebookLattice> s_iq2_s = new(() => new(CodebookPoints.IQ2_S, 3, 8, 1));
    private static readonly Lazy<CodebookLattice> s_iq3_xxs = new(() => new(CodebookPoints.IQ3_XXS, 8, 4, 2));
    private static readonly Lazy<CodebookLattice> s_iq3_s = new(() => new(CodebookPoints.IQ3_S, 8, 4, 3));
    private static readonly Lazy<CodebookLattice> s_iq1 = new(() => new(CodebookPoints.IQ1, 3, 8, 3));
}
