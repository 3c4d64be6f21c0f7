// The record of a forward pass, played backwards for its gradients, and the tensors that live as long as it. Knows no ops.
namespace Kidogo.Tensors;

/// <summary>Reverse-mode differentiation (Linnainmaa 1970): ops are recorded in the order they ran, and asked for their inputs' gradients in the opposite order.</summary>
/// <remarks>
/// When the turn comes to the op that made a tensor, all that used the tensor have had theirs: its gradient is complete, and afterwards neither it nor the
/// gradient is needed any more. So memory falls while the pass goes back, and the next pass finds storage of the sizes it needs, or a little larger ones:
/// batches of packed documents differ by a few rows from step to step.
/// </remarks>
internal sealed class GradientTape(bool storesBFloat16)
{
    private readonly List<Step> _steps = [];
    private readonly List<Tensor> _rented = [];
    private readonly FreeStorage _free = new();

    /// <summary>Whether ops run without being recorded.</summary>
    public bool IsPaused { get; private set; }

    /// <summary>Bytes of all storage, rented or free.</summary>
    public long Bytes { get; private set; }

    /// <summary>A tensor of undefined content.</summary>
    public Tensor Rent(int rows, int columns)
    {
        int room = Math.Max(1, checked(rows * columns));
        Tensor tensor;
        if (_free.Take(room) is { } storage)
        {
            tensor = Tensor.InStorage(storage, rows, columns);
        }
        else
        {
            if (_free.Drop(room) is { } small)
            {
                Bytes -= (long)Tensor.RoomOf(small) * sizeof(float);
            }

            tensor = new Tensor();
            tensor.Reshape(rows, columns);
            Bytes += (long)room * sizeof(float);
        }

        _rented.Add(tensor);
        return tensor;
    }

    /// <summary>Takes the storage of a tensor that nothing needs any more. Once only.</summary>
    public void Return(Tensor tensor)
    {
        float[] storage = tensor.TakeStorage();
        if (storage.Length > 0) // not returned before
        {
            _free.Add(storage);
        }
    }

    public void Record(Tensor output, Action backward)
    {
        output.NeedsGradient = true;
        _steps.Add(new Step(output, backward));
    }

    public Tensor GradientOf(Tensor x, out bool isNew)
    {
        isNew = x.Gradient is null;
        if (x.Gradient is null)
        {
            x.Gradient = x.IsParameter ? new Tensor(x.Rows, x.Columns) : Rent(x.Rows, x.Columns); // a parameter's lives on
        }

        return x.Gradient;
    }

    public static bool HandOver(Tensor output, Tensor x)
    {
        if (x.Gradient is not null || x.IsParameter || x.Rows != output.Rows || x.Columns != output.Columns)
        {
            return false;
        }

        (x.Gradient, output.Gradient) = (output.Gradient, null);
        return true;
    }

    public Tensor Overwrite(Tensor x)
    {
        (int rows, int columns) = (x.Rows, x.Columns);
        Tensor heir = Tensor.InStorage(x.TakeStorage(), rows, columns);
        _rented.Add(heir);
        return heir;
    }

    public void Backward(Tensor loss)
    {
        if (loss.Length != 1 || !loss.NeedsGradient)
        {
            throw new InvalidOperationException(loss.Length != 1
                ? $"Gradients are those of one number, but the loss is {loss.Rows} x {loss.Columns}."
                : "Nothing that was recorded led to the loss: no parameter was used, or the pass was forgotten.");
        }

        GradientOf(loss, out _).Span.Fill(1);
        PlayBack(0, 0);
    }

    public void Forget()
    {
        _steps.Clear();
        ReturnFrom(0);
    }

    public Tensor Recompute(Tensor x, Func<Tensor, Tensor> block)
    {
        if (IsPaused)
        {
            return block(x); // an inner block of one that is computed again anyway
        }

        int mark = _rented.Count;
        Tensor result;
        IsPaused = true;
        try
        {
            result = block(x);
        }
        finally
        {
            IsPaused = false;
        }

        _rented.RemoveAt(_rented.LastIndexOf(result));
        ReturnFrom(mark);
        _rented.Add(result);
        ushort[]? kept = storesBFloat16 ? Compress(x) : null;
        Record(result, () =>
        {
            int step = _steps.Count;
            if (kept is not null)
            {
                Restore(x, kept, result.Rows);
            }

            int inner = _rented.Count;
            Tensor again = block(x);
            (again.Gradient, result.Gradient) = (result.Gradient, null);
            PlayBack(step, inner, x);
        });
        return result;
    }

    /// <summary>Takes the storage of a tensor whose values are all bfloat16: nothing is lost.</summary>
    /// <returns>The upper halves of its values; null where it is no such tensor, and is left as it is.</returns>
    private ushort[]? Compress(Tensor x)
    {
        ushort[] halves = new ushort[x.Length];
        if (x.IsParameter || x.Length == 0 || !Kernels.BFloat16Rounding.TryNarrow(x.Span, halves))
        {
            return null;
        }

        Bytes += (long)halves.Length * sizeof(ushort);
        Return(x);
        return halves;
    }

    private void Restore(Tensor x, ushort[] halves, int rows)
    {
        Tensor room = Rent(rows, halves.Length / rows);
        Kernels.BFloat16Rounding.Widen(halves, room.Span);
        x.TakeOver(room);
        Bytes -= (long)halves.Length * sizeof(ushort);
    }

    /// <summary>Goes back to step <paramref name="first"/>, then gives back what was rented from <paramref name="mark"/> on, but the gradient of <paramref name="input"/>.</summary>
    private void PlayBack(int first, int mark, Tensor? input = null)
    {
        while (_steps.Count > first)
        {
            Step step = _steps[^1];
            _steps.RemoveAt(_steps.Count - 1);
            if (step.Output.Gradient is not null)
            {
                step.Backward();
            }

            if (step.Output.Gradient is { } gradient) // not handed over to an input
            {
                step.Output.Gradient = null;
                Return(gradient);
            }

            Return(step.Output);
        }

        Tensor? kept = input?.Gradient;
        bool isRentedHere = kept is not null && _rented.LastIndexOf(kept) >= mark;
        if (isRentedHere)
        {
            _rented.Remove(kept!);
        }

        ReturnFrom(mark);
        if (isRentedHere)
        {
            _rented.Add(kept!);
        }
    }

    private void ReturnFrom(int mark)
    {
        for (int i = mark; i < _rented.Count; i++)
        {
            Return(_rented[i]);
        }

        _rented.RemoveRange(mark, _rented.Count - mark);
    }

    private readonly record struct Step(Tensor Output, Action Backward);
}
