// Numbers between bounds as expressions of a grammar, digit by digit. Knows no schemas.
using System.Globalization;
using System.Numerics;

namespace Kidogo.Inference.Constraints;

/// <summary>Integers and decimal numbers from a lowest to a highest value, in plain decimal notation.</summary>
internal static class JsonNumberRange
{
    private const int MostDigits = 16;

    private static Expression AnyFraction { get; } = Expression.Then(Expression.Text("."), JsonText.Digit.Times(1, MostDigits)).Maybe();

    /// <summary>Integers between bounds; null for no bound. Null where there is none.</summary>
    public static Expression? Integers(BigInteger? least, BigInteger? most)
    {
        List<Expression> choices = [];
        if (least is null || least < 0)
        {
            // -m with m from max(1, -most) to -least
            BigInteger from = most is { } high && high < 0 ? -high : 1;
            if (Magnitudes(from, least is { } low ? -low : null) is { } negatives)
            {
                choices.Add(Expression.Then(Expression.Text("-"), negatives));
            }
        }

        if ((most is null || most >= 0) && Magnitudes(BigInteger.Max(least ?? 0, 0), most) is { } positives)
        {
            choices.Add(positives);
        }

        return choices.Count == 0 ? null : Expression.Either([.. choices]);
    }

    /// <summary>Decimal numbers between bounds; null for no bound. Null where there is none.</summary>
    /// <param name="least">The lowest.</param>
    /// <param name="most">The highest.</param>
    /// <param name="excludesLeast">Whether the lowest itself is left out.</param>
    /// <param name="excludesMost">Whether the highest itself is left out.</param>
    public static Expression? Decimals(decimal? least, decimal? most, bool excludesLeast, bool excludesMost)
    {
        List<Expression> choices = [];
        if (least is null || least < 0)
        {
            Bound from = most is { } high && high < 0 ? new Bound(-high, excludesMost) : new Bound(0, IsExcluded: true);
            Bound? to = least is { } low ? new Bound(-low, excludesLeast) : null;
            if (Magnitudes(from, to) is { } negatives)
            {
                choices.Add(Expression.Then(Expression.Text("-"), negatives));
            }
        }

        if (most is null || most >= 0)
        {
            Bound from = least is { } low && low >= 0 ? new Bound(low, excludesLeast) : new Bound(0, IsExcluded: false);
            if (Magnitudes(from, most is { } high ? new Bound(high, excludesMost) : null) is { } positives)
            {
                choices.Add(positives);
            }
        }

        return choices.Count == 0 ? null : Expression.Either([.. choices]);
    }

    private readonly record struct Bound(decimal Value, bool IsExcluded)
    {
        public BigInteger Whole => new(decimal.Truncate(Value));

        /// <summary>Digits after the point, without zeros at the end.</summary>
        public string Fraction
        {
            get
            {
                string text = Value.ToString(CultureInfo.InvariantCulture);
                int point = text.IndexOf('.');
                return point < 0 ? "" : text[(point + 1)..].TrimEnd('0');
            }
        }
    }

    private static Expression? Magnitudes(Bound from, Bound? to)
    {
        List<Expression> choices = [];
        BigInteger low = from.Whole;
        if (to is not { } last)
        {
            Add(low, Above(from.Fraction, from.IsExcluded));
            choices.Add(Expression.Then(Magnitudes(low + 1, null)!, AnyFraction));
        }
        else if (last.Value < from.Value || (last.Value == from.Value && (from.IsExcluded || last.IsExcluded)))
        {
            return null;
        }
        else if (low == last.Whole)
        {
            Add(low, Between(from.Fraction, from.IsExcluded, last.Fraction, last.IsExcluded));
        }
        else
        {
            Add(low, Above(from.Fraction, from.IsExcluded));
            if (Magnitudes(low + 1, last.Whole - 1) is { } between)
            {
                choices.Add(Expression.Then(between, AnyFraction));
            }

            Add(last.Whole, Below(last.Fraction, last.IsExcluded));
        }

        return choices.Count == 0 ? null : Expression.Either([.. choices]);

        void Add(BigInteger whole, Expression? fraction)
        {
            if (fraction is not null)
            {
                choices.Add(Expression.Then(Expression.Text(whole.ToString(CultureInfo.InvariantCulture)), fraction));
            }
        }
    }

    /// <summary>".ddd" or nothing, as a fraction from a bound upwards.</summary>
    private static Expression Above(string bound, bool isExcluded) =>
        bound.Length > 0 ? Expression.Then(Expression.Text("."), DigitsAbove(bound, isExcluded))
        : isExcluded ? Expression.Then(Expression.Text("."), DigitsAbove("", isExcluded: true))
        : AnyFraction;

    /// <summary>".ddd" or nothing, as a fraction up to a bound; null where there is none.</summary>
    private static Expression? Below(string bound, bool isExcluded)
    {
        if (bound.Length == 0)
        {
            return isExcluded ? null : Zeros();
        }

        return Expression.Then(Expression.Text("."), DigitsBelow(bound, isExcluded)!).Maybe();
    }

    private static Expression? Between(string low, bool excludesLow, string high, bool excludesHigh)
    {
        Expression? some = DigitsBetween(low, excludesLow, high, excludesHigh);
        some = some is null ? null : Expression.Then(Expression.Text("."), some);
        bool none = low.Length == 0 && !excludesLow; // no fraction is the fraction 0
        return some is null ? (none ? Expression.Empty : null) : none ? some.Maybe() : some;
    }

    private static Expression Zeros() => Expression.Then(Expression.Text("."), Expression.Text("0").Times(1, MostDigits)).Maybe();

    private static Expression Any(int least) => JsonText.Digit.Times(least, MostDigits);

    /// <summary>Digits that make a fraction of at least, or above, a bound.</summary>
    private static Expression DigitsAbove(string bound, bool isExcluded)
    {
        if (bound.Length == 0)
        {
            return isExcluded // above 0: zeros, then another digit
                ? Expression.Then(Expression.Text("0").Times(0, MostDigits - 1), Expression.OneOf(('1', '9')), Any(0))
                : Any(0);
        }

        List<Expression> choices = [Expression.Then(Expression.Text(bound[..1]), DigitsAbove(bound[1..], isExcluded))];
        if (bound[0] < '9')
        {
            choices.Add(Expression.Then(Expression.OneOf((bound[0] + 1, '9')), Any(0)));
        }

        return Expression.Either([.. choices]);
    }

    /// <summary>One digit or more that make a fraction of at most, or below, a bound with digits; null where there are none.</summary>
    private static Expression? DigitsBelow(string bound, bool isExcluded)
    {
        List<Expression> choices = [];
        if (bound[0] > '0')
        {
            choices.Add(Expression.Then(Expression.OneOf(('0', bound[0] - 1)), Any(0)));
        }

        Expression? rest = bound.Length > 1 ? DigitsBelow(bound[1..], isExcluded)?.Maybe() // shorter is smaller, for bounds do not end in 0
            : isExcluded ? null
            : Expression.Text("0").Times(0, MostDigits);
        if (bound.Length > 1)
        {
            rest ??= Expression.Empty;
        }

        if (rest is not null)
        {
            choices.Add(Expression.Then(Expression.Text(bound[..1]), rest));
        }

        return choices.Count == 0 ? null : Expression.Either([.. choices]);
    }

    /// <summary>One digit or more between two bounds; null where there are none.</summary>
    private static Expression? DigitsBetween(string low, bool excludesLow, string high, bool excludesHigh)
    {
        if (high.Length == 0)
        {
            return low.Length > 0 || excludesLow || excludesHigh ? null : Expression.Text("0").Times(1, MostDigits);
        }

        char first = low.Length > 0 ? low[0] : '0';
        string lowRest = low.Length > 0 ? low[1..] : "";
        List<Expression> choices = [];
        if (first == high[0])
        {
            Expression? rest = DigitsBetween(lowRest, excludesLow, high[1..], excludesHigh);
            bool canEnd = lowRest.Length == 0 && !excludesLow && (high.Length > 1 || !excludesHigh);
            rest = canEnd ? rest?.Maybe() ?? Expression.Empty : rest;
            return rest is null ? null : Expression.Then(Expression.Text(high[..1]), rest);
        }

        choices.Add(Expression.Then(Expression.Text(first.ToString()), DigitsAbove(lowRest, excludesLow)));
        if (first + 1 <= high[0] - 1)
        {
            choices.Add(Expression.Then(Expression.OneOf((first + 1, high[0] - 1)), Any(0)));
        }

        Expression? atHigh = high.Length > 1 ? DigitsBelow(high[1..], excludesHigh)?.Maybe() ?? Expression.Empty : excludesHigh ? null : Expression.Text("0").Times(0, MostDigits);
        if (atHigh is not null)
        {
            choices.Add(Expression.Then(Expression.Text(high[..1]), atHigh));
        }

        return Expression.Either([.. choices]);
    }

    /// <summary>Integers from 0 on between bounds, without leading zeros; null where there are none.</summary>
    private static Expression? Magnitudes(BigInteger from, BigInteger? to)
    {
        if (to < from)
        {
            return null;
        }

        List<Expression> choices = [];
        int longest = to?.ToString(CultureInfo.InvariantCulture).Length ?? Math.Max(MostDigits, from.ToString(CultureInfo.InvariantCulture).Length + 1);
        for (int length = from.ToString(CultureInfo.InvariantCulture).Length; length <= longest; length++)
        {
            BigInteger lowest = length == 1 ? 0 : BigInteger.Pow(10, length - 1), highest = BigInteger.Pow(10, length) - 1;
            lowest = BigInteger.Max(lowest, from);
            highest = to is { } limit ? BigInteger.Min(highest, limit) : highest;
            if (lowest <= highest)
            {
                choices.Add(SameLength(lowest.ToString(CultureInfo.InvariantCulture), highest.ToString(CultureInfo.InvariantCulture)));
            }
        }

        return Expression.Either([.. choices]);
    }

    private static Expression SameLength(string low, string high)
    {
        if (low.Length == 0)
        {
            return Expression.Empty;
        }

        if (low.All(digit => digit == '0') && high.All(digit => digit == '9'))
        {
            return JsonText.Digit.Times(low.Length, low.Length);
        }

        if (low[0] == high[0])
        {
            return Expression.Then(Expression.Text(low[..1]), SameLength(low[1..], high[1..]));
        }

        string zeros = new('0', low.Length - 1), nines = new('9', low.Length - 1);
        bool isLowWhole = low[1..] == zeros, isHighWhole = high[1..] == nines;
        char first = isLowWhole ? low[0] : (char)(low[0] + 1), last = isHighWhole ? high[0] : (char)(high[0] - 1);
        List<Expression> choices = [];
        if (!isLowWhole)
        {
            choices.Add(Expression.Then(Expression.Text(low[..1]), SameLength(low[1..], nines)));
        }

        if (first <= last)
        {
            choices.Add(Expression.Then(Expression.OneOf((first, last)), SameLength(zeros, nines)));
        }

        if (!isHighWhole)
        {
            choices.Add(Expression.Then(Expression.Text(high[..1]), SameLength(zeros, high[1..])));
        }

        return Expression.Either([.. choices]);
    }
}
