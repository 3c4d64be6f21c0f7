// How far the relations among a student's examples are from those among a teacher's: widths may differ. Knows no layers.
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace Kidogo.Tensors.Ops;

/// <summary>What is compared of N examples.</summary>
public enum ExampleRelation
{
    /// <summary>Distances over their mean, by Huber's loss; the mean over N² ordered pairs (Park et al., arXiv 1904.05068, section 3.2.1).</summary>
    Distance,

    /// <summary>Cosines of the angles of triples, by Huber's loss; the mean over N³ (the same, section 3.2.2).</summary>
    Angle,

    /// <summary>Products of all pairs, each example's brought to length 1; the mean square over N² (Tung and Mori, arXiv 1907.09682, section 3.1).</summary>
    Similarity,

    /// <summary>1 - linear centred kernel alignment (Kornblith et al., arXiv 1905.00414, section 3).</summary>
    Alignment,
}

/// <summary>The distance of relations among some rows. All of it in double, on the calling thread: its work grows with the third power of the rows.</summary>
public static class ExampleRelationOp
{
    /// <summary>Computes the loss.</summary>
    /// <param name="context">How to compute.</param>
    /// <param name="student">[T, D]</param>
    /// <param name="teacher">[T, D'], which gets no gradient.</param>
    /// <param name="rows">The examples: rows of both, none twice, two or more; empty for all.</param>
    /// <param name="relation">What is compared.</param>
    /// <exception cref="ArgumentException">Rows do not belong together, or there are fewer than two.</exception>
    public static FeatureLoss Apply(ComputeContext context, Tensor student, Tensor teacher, ReadOnlySpan<int> rows, ExampleRelation relation)
    {
        int[] chosen = rows.IsEmpty ? [.. Enumerable.Range(0, student.Rows)] : rows.ToArray();
        if (student.Rows != teacher.Rows || chosen.Length < 2 || chosen.AsSpan().ContainsAnyExceptInRange(0, student.Rows - 1))
        {
            throw new ArgumentException($"Relations need two rows or more that both sides have; there are {chosen.Length} of {student.Rows} and {teacher.Rows}.", nameof(rows));
        }

        Examples s = Examples.Of(student, chosen), t = Examples.Of(teacher, chosen);
        double[]? slopes = context.Records(student) ? new double[s.Values.Length] : null; // with the loss, since they come from the same relations
        double value = Of(relation, s, t, slopes);
        Tensor loss = context.Rent(1, 1);
        loss.Span[0] = (float)value;
        if (slopes is not null)
        {
            Record(context, student, chosen, slopes, s.Width, loss);
        }

        return new FeatureLoss(loss, value);
    }

    private static void Record(ComputeContext context, Tensor student, int[] chosen, double[] slopes, int width, Tensor loss) => context.Record(loss, () =>
    {
        Tensor gradient = context.GradientOf(student);
        for (int i = 0; i < chosen.Length; i++)
        {
            Span<float> row = gradient.Row(chosen[i]);
            for (int c = 0; c < row.Length; c++)
            {
                row[c] += (float)(loss.Gradient!.Span[0] * slopes[(i * width) + c]);
            }
        }
    });

    private static double Of(ExampleRelation relation, Examples s, Examples t, double[]? slopes) => relation switch
    {
        ExampleRelation.Distance => Distances(s, t, slopes),
        ExampleRelation.Angle => Angles(s, t, slopes),
        ExampleRelation.Similarity => Similarities(s, t, slopes),
        _ => Alignment(s, t, slopes),
    };

    private static double Distances(Examples s, Examples t, double[]? slopes)
    {
        int n = s.Count;
        double[] ofS = s.Distances(out double meanOfS), ofT = t.Distances(out double meanOfT), flows = new double[n * n];
        double loss = 0, intoMean = 0;
        for (int at = 0; at < flows.Length; at++)
        {
            double x = Quotient(ofS[at], meanOfS) - Quotient(ofT[at], meanOfT);
            loss += Huber(x);
            flows[at] = Math.Clamp(x, -1, 1) / ((double)n * n);
            intoMean -= flows[at] * Quotient(ofS[at], meanOfS * meanOfS);
        }

        for (int at = 0; slopes is not null && at < flows.Length; at++)
        {
            (int i, int j) = (at / n, at % n);
            double flow = Quotient(Quotient(flows[at], meanOfS) + (intoMean / ((double)n * (n - 1))), ofS[at]);
            for (int c = 0; c < s.Width && i != j; c++)
            {
                double part = flow * (s.Values[(i * s.Width) + c] - s.Values[(j * s.Width) + c]);
                slopes[(i * s.Width) + c] += part;
                slopes[(j * s.Width) + c] -= part;
            }
        }

        return loss / ((double)n * n);
    }

    private static double Angles(Examples s, Examples t, double[]? slopes)
    {
        int n = s.Count;
        double loss = 0, share = 1 / ((double)n * n * n);
        double[] flows = new double[n * n], into = new double[s.Width];
        for (int vertex = 0; vertex < n; vertex++)
        {
            double[] lengths = new double[n];
            Examples rays = s.RaysFrom(vertex, lengths), others = t.RaysFrom(vertex, new double[n]);
            double[] cosines = rays.Products(), wanted = others.Products();
            for (int at = 0; at < flows.Length; at++)
            {
                double x = cosines[at] - wanted[at];
                loss += Huber(x);
                flows[at] = Math.Clamp(x, -1, 1) * share;
            }

            for (int b = 0; slopes is not null && b < n; b++)
            {
                if (lengths[b] == 0)
                {
                    continue;
                }

                Array.Clear(into);
                for (int c = 0; c < n; c++)
                {
                    TensorPrimitives.MultiplyAdd(rays.Row(c), 2 * flows[(b * n) + c], into, into); // the cosine of (b, c) is that of (c, b)
                }

                double along = TensorPrimitives.Dot<double>(into, rays.Row(b));
                for (int c = 0; c < s.Width; c++)
                {
                    double part = (into[c] - (along * rays.Values[(b * s.Width) + c])) / lengths[b];
                    slopes[(b * s.Width) + c] += part;
                    slopes[(vertex * s.Width) + c] -= part;
                }
            }
        }

        return loss * share;
    }

    private static double Similarities(Examples s, Examples t, double[]? slopes)
    {
        int n = s.Count;
        Examples ofS = new(s.Products(), n), ofT = new(t.Products(), n);
        double[] lengths = ofS.Normalize();
        ofT.Normalize();
        double[] into = new double[n * n];
        double loss = 0;
        for (int i = 0; i < n; i++)
        {
            Span<double> flow = into.AsSpan(i * n, n);
            for (int j = 0; j < n; j++)
            {
                double difference = ofS.Values[(i * n) + j] - ofT.Values[(i * n) + j];
                loss += difference * difference;
                flow[j] = 2 * difference / ((double)n * n);
            }

            double along = TensorPrimitives.Dot<double>(flow, ofS.Row(i));
            for (int j = 0; j < n; j++)
            {
                flow[j] = Quotient(flow[j] - (along * ofS.Values[(i * n) + j]), lengths[i]);
            }
        }

        AddProductFlows(s, into, slopes);
        return loss / ((double)n * n);
    }

    private static double Alignment(Examples s, Examples t, double[]? slopes)
    {
        Examples centred = s.Centred();
        double[] k = centred.Products(), l = t.Centred().Products();
        double both = TensorPrimitives.Dot<double>(k, l), ofK = TensorPrimitives.Norm<double>(k), ofL = TensorPrimitives.Norm<double>(l);
        if (slopes is not null)
        {
            double[] into = [.. k.Select((each, at) => Quotient(Quotient(both * each, ofK * ofK) - l[at], ofK * ofL))];
            double[] ofCentred = new double[slopes.Length];
            AddProductFlows(centred, into, ofCentred);
            TensorPrimitives.Add(slopes, new Examples(ofCentred, s.Width).Centred().Values, slopes);
        }

        return 1 - Quotient(both, ofK * ofL);
    }

    /// <summary>With G = X Xᵀ, what flows from G into X: (dG + dGᵀ) X.</summary>
    private static void AddProductFlows(Examples x, double[] flows, double[]? slopes)
    {
        int n = x.Count;
        for (int at = 0; slopes is not null && at < flows.Length; at++)
        {
            (int i, int j) = (at / n, at % n);
            Span<double> ofI = slopes.AsSpan(i * x.Width, x.Width), ofJ = slopes.AsSpan(j * x.Width, x.Width);
            TensorPrimitives.MultiplyAdd(x.Row(j), flows[at], ofI, ofI);
            TensorPrimitives.MultiplyAdd(x.Row(i), flows[at], ofJ, ofJ);
        }
    }

    private static double Huber(double x) => Math.Abs(x) < 1 ? 0.5 * x * x : Math.Abs(x) - 0.5;

    /// <summary>x / y, and 0 where y is: of examples that are alike.</summary>
    private static double Quotient(double x, double y) => y == 0 ? 0 : x / y;

    /// <summary>Some rows in double.</summary>
    private sealed class Examples(double[] values, int width)
    {
        public double[] Values => values;

        public int Width => width;

        public int Count => values.Length / width;

        public static Examples Of(Tensor rows, int[] chosen)
        {
            double[] values = new double[chosen.Length * rows.Columns];
            for (int i = 0; i < chosen.Length; i++)
            {
                TensorPrimitives.ConvertChecked<float, double>(rows.Row(chosen[i]), values.AsSpan(i * rows.Columns, rows.Columns));
            }

            return new Examples(values, rows.Columns);
        }

        public ReadOnlySpan<double> Row(int row) => values.AsSpan(row * width, width);

        /// <summary>[N, N]</summary>
        public double[] Products()
        {
            double[] products = new double[Count * Count];
            for (int at = 0; at < products.Length; at++)
            {
                products[at] = TensorPrimitives.Dot(Row(at / Count), Row(at % Count));
            }

            return products;
        }

        /// <summary>[N, N], and their mean over the pairs of different examples.</summary>
        public double[] Distances(out double mean)
        {
            double[] distances = new double[Count * Count];
            for (int at = 0; at < distances.Length; at++)
            {
                distances[at] = TensorPrimitives.Distance(Row(at / Count), Row(at % Count));
            }

            mean = distances.Sum() / ((double)Count * (Count - 1));
            return distances;
        }

        /// <summary>The directions from one example to all, zeros to itself.</summary>
        public Examples RaysFrom(int vertex, double[] lengths)
        {
            double[] rays = new double[values.Length];
            for (int i = 0; i < Count; i++)
            {
                Span<double> ray = rays.AsSpan(i * width, width);
                TensorPrimitives.Subtract(Row(i), Row(vertex), ray);
            }

            Examples all = new(rays, width);
            all.Normalize().CopyTo(lengths, 0);
            return all;
        }

        /// <summary>Brings every row to length 1, zeros excepted, and gives the lengths there were.</summary>
        public double[] Normalize()
        {
            double[] lengths = new double[Count];
            for (int i = 0; i < Count; i++)
            {
                Span<double> row = values.AsSpan(i * width, width);
                lengths[i] = TensorPrimitives.Norm<double>(row);
                if (lengths[i] > 0)
                {
                    TensorPrimitives.Divide(row, lengths[i], row);
                }
            }

            return lengths;
        }

        /// <summary>The same less the mean row.</summary>
        public Examples Centred()
        {
            double[] mean = new double[width], centred = [.. values];
            for (int i = 0; i < Count; i++)
            {
                TensorPrimitives.Add(mean, Row(i), mean);
            }

            TensorPrimitives.Divide(mean, Count, mean);
            for (int i = 0; i < Count; i++)
            {
                Span<double> row = centred.AsSpan(i * width, width);
                TensorPrimitives.Subtract(row, mean, row);
            }

            return new Examples(centred, width);
        }
    }
}
