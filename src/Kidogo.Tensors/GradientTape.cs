// The record of a forward pass, played backwards for its gradients, and the tensors that live as long as it. Knows no ops.
using System.Runtime.InteropServices;
using Kidogo.Tensors.Kernels;

namespace Kidogo.Tensors;

/// <summary>Reverse-mode differentiation (Linnainmaa 1970): ops are recorded in the order they ran, and asked for their inputs' gradients in the opposite order.</summary>
/// <remarks>
/// When the turn comes to the op that made a tensor, all that used the tensor have had theirs: its gradient is complete, and afterwards neither it nor the
/// gradient is needed any more. So memory falls while the pass goes back, and the next pass finds storage of the sizes it needs, or a little larger ones:
/// batches of packed documents differ by a few rows from step to step.
/// </remarks>
internal sealed class GradientTape(bool checkpoints, bool storesBFloat16)
{
    private readonly List<Step> _steps = [];
    private readonly List<Tensor> _rented = [];
    private readonly FreeStorage _free = new();
    private bool _isJudging;

    /// <summary>Whether ops run without being recorded.</summary>
    public bool IsPaused { get; private set; }

    /// <summary>Bytes of all storage, rented or free.</summary>
    public long Bytes { get; private set; }

    /// <summary>A tensor of undefined content.</summary>
    public Tensor Rent(int rows, int columns)
    {
        int room = Math.Max(1, checked(rows * columns));
        Tensor tensor;
        if (_free.Take(room, ofAnySize: _isJudging) is { } storage) // judging needs little of what the steps left, often for fewer rows
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

    /// <summary>Computes one of the blocks that follow each other, and keeps of it what its gradients need, in the form that the context asks for.</summary>
    public Tensor Run(Tensor x, Func<Tensor, Tensor> block)
    {
        if (_isJudging)
        {
            Tensor result = WithoutInner(x, block);
            if (result != x && !x.IsParameter)
            {
                Return(x); // the next block reads this one's result
            }

            return result;
        }

        return checkpoints ? Recompute(x, block) : storesBFloat16 && !IsPaused ? Narrowed(x, block) : block(x);
    }

    /// <summary>Computes something that nobody asks the gradients of, in storage that is there, and gives all of it back.</summary>
    public T Judge<T>(Func<T> compute)
    {
        if (_steps.Count > 0 || IsPaused)
        {
            throw new InvalidOperationException("A pass is recorded that nobody has gone back through yet: its tensors would be lost. Call Backward or Forget first.");
        }

        (IsPaused, _isJudging) = (true, true);
        try
        {
            return compute();
        }
        finally
        {
            (IsPaused, _isJudging) = (false, false);
            Forget();
        }
    }

    public Tensor Recompute(Tensor x, Func<Tensor, Tensor> block)
    {
        if (IsPaused)
        {
            return block(x); // an inner block of one that is computed again anyway
        }

        Tensor result;
        IsPaused = true;
        try
        {
            result = WithoutInner(x, block);
        }
        finally
        {
            IsPaused = false;
        }

        NarrowTensor? kept = storesBFloat16 ? Narrow(x) : null;
        Record(result, () =>
        {
            int step = _steps.Count;
            if (kept is { } narrow)
            {
                Widen(narrow);
            }

            int inner = _rented.Count;
            Tensor again = block(x);
            (again.Gradient, result.Gradient) = (result.Gradient, null);
            PlayBack(step, inner, x);
        });
        return result;
    }

    /// <summary>Computes a block of which only the result stays.</summary>
    private Tensor WithoutInner(Tensor x, Func<Tensor, Tensor> block)
    {
        int mark = _rented.Count;
        Tensor result = block(x);
        if (_rented.LastIndexOf(result, _rented.Count - 1, _rented.Count - mark) is var at and >= 0) // else it is x
        {
            _rented.RemoveAt(at);
            ReturnFrom(mark);
            _rented.Add(result);
        }

        return result;
    }

    /// <summary>Computes a block whose tensors are kept as bfloat16 until the pass goes back through it; no more than one block's are wide at a time.</summary>
    private Tensor Narrowed(Tensor x, Func<Tensor, Tensor> block)
    {
        int mark = _rented.Count;
        Tensor result = block(x);
        int end = _rented.Count;
        List<NarrowTensor> kept = [];
        for (int i = mark; i <= end; i++)
        {
            Tensor tensor = i < end ? _rented[i] : x;
            if (tensor != result && Narrow(tensor) is { } narrow)
            {
                kept.Add(narrow);
            }
        }

        _steps.Add(new Step(null, () => kept.ForEach(Widen)));
        return result;
    }

    /// <summary>Takes the storage of a tensor whose values are all bfloat16: nothing is lost.</summary>
    /// <returns>Its values in half the storage; null where it is no such tensor, and is left as it is.</returns>
    private NarrowTensor? Narrow(Tensor x)
    {
        if (x.IsParameter || x.Length == 0)
        {
            return null;
        }

        Tensor halves = Rent(1, (x.Length + 1) / 2);
        if (!BFloat16Rounding.TryNarrow(x.Span, MemoryMarshal.Cast<float, ushort>(halves.Span)))
        {
            Return(halves);
            return null;
        }

        NarrowTensor narrow = new(x, x.Rows, x.Columns, halves);
        Return(x);
        return narrow;
    }

    private void Widen(NarrowTensor narrow)
    {
        Tensor room = Rent(narrow.Rows, narrow.Columns);
        BFloat16Rounding.Widen(MemoryMarshal.Cast<float, ushort>(narrow.Halves.Span)[..room.Length], room.Span);
        narrow.Tensor.TakeOver(room);
        Return(narrow.Halves);
    }

    /// <summary>Goes back to step <paramref name="first"/>, then gives back what was rented from <paramref name="mark"/> on, but the gradient of <paramref name="input"/>.</summary>
    private void PlayBack(int first, int mark, Tensor? input = null)
    {
        while (_steps.Count > first)
        {
            Step step = _steps[^1];
            _steps.RemoveAt(_steps.Count - 1);
            if (step.Output is null) // no op: what the steps before it need is made ready
            {
                step.Backward();
                continue;
            }

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

    private readonly record struct Step(Tensor? Output, Action Backward);

    /// <summary>A tensor that gave its storage away, and its values as bfloat16.</summary>
    private readonly record struct NarrowTensor(Tensor Tensor, int Rows, int Columns, Tensor Halves);
}
