// Check digits of numbers that people are known by. Each is the rule of its own register.
namespace Kidogo.Privacy;

/// <summary>Tests digits against the rules by which they were made.</summary>
internal static class Checksums
{
    private static readonly byte[,] s_dihedral =
    {
        { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, { 1, 2, 3, 4, 0, 6, 7, 8, 9, 5 }, { 2, 3, 4, 0, 1, 7, 8, 9, 5, 6 }, { 3, 4, 0, 1, 2, 8, 9, 5, 6, 7 }, { 4, 0, 1, 2, 3, 9, 5, 6, 7, 8 },
        { 5, 9, 8, 7, 6, 0, 4, 3, 2, 1 }, { 6, 5, 9, 8, 7, 1, 0, 4, 3, 2 }, { 7, 6, 5, 9, 8, 2, 1, 0, 4, 3 }, { 8, 7, 6, 5, 9, 3, 2, 1, 0, 4 }, { 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 },
    };

    private static readonly byte[] s_permuted = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];

    /// <summary>ISO/IEC 7812: every second digit from the right doubled.</summary>
    public static bool Luhn(ReadOnlySpan<char> digits)
    {
        int sum = 0;
        for (int i = 0; i < digits.Length; i++)
        {
            int digit = digits[^(i + 1)] - '0';
            sum += i % 2 == 0 ? digit : digit < 5 ? 2 * digit : (2 * digit) - 9;
        }

        return sum % 10 == 0;
    }

    /// <summary>Verhoeff's check digit, over the dihedral group: Nigeria's NIN, India's Aadhaar.</summary>
    public static bool Verhoeff(ReadOnlySpan<char> digits)
    {
        int check = 0;
        for (int i = 0; i < digits.Length; i++)
        {
            int digit = digits[^(i + 1)] - '0';
            for (int turn = 0; turn < i % 8; turn++)
            {
                digit = s_permuted[digit];
            }

            check = s_dihedral[check, digit];
        }

        return check == 0;
    }

    /// <summary>ISO 7064, remainder by 97, of an account number: its first four characters go to the end, letters count from 10.</summary>
    public static bool Iban(ReadOnlySpan<char> account)
    {
        int rest = 0;
        for (int i = 0; i < account.Length; i++)
        {
            char c = account[(i + 4) % account.Length];
            int value = char.IsAsciiDigit(c) ? c - '0' : char.ToUpperInvariant(c) - 'A' + 10;
            rest = ((value > 9 ? rest * 100 : rest * 10) + value) % 97;
        }

        return rest == 1;
    }

    /// <summary>Greece's AFM: nine digits, powers of two by 11, by 10.</summary>
    public static bool Afm(ReadOnlySpan<char> digits)
    {
        int sum = 0;
        for (int i = 0; i < 8; i++)
        {
            sum += (digits[i] - '0') << (8 - i);
        }

        return digits.Length == 9 && sum % 11 % 10 == digits[8] - '0' && digits.ContainsAnyExcept('0');
    }

    /// <summary>France's NIR: the key is 97 less the remainder of the first thirteen.</summary>
    public static bool Nir(ReadOnlySpan<char> digits)
    {
        long number = long.Parse(digits[..13], System.Globalization.CultureInfo.InvariantCulture);
        return 97 - (number % 97) == int.Parse(digits[13..15], System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Whether two digits each are a day, a month and a year in the given order.</summary>
    public static bool IsDate(ReadOnlySpan<char> day, ReadOnlySpan<char> month) =>
        int.Parse(day, System.Globalization.CultureInfo.InvariantCulture) is >= 1 and <= 31 && int.Parse(month, System.Globalization.CultureInfo.InvariantCulture) is >= 1 and <= 12;
}
