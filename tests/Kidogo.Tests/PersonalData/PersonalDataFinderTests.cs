// What is found in texts, in disguise too, and what is not.
using Kidogo.Privacy;

namespace Kidogo.Tests.PersonalData;

public sealed class PersonalDataFinderTests
{
    private static readonly PersonalDataFinder s_finder = new();

    [Theory]
    [InlineData("call +221 77 123 45 67 now", "phone", "+221 77 123 45 67")]
    [InlineData("appelle le 77 123 45 67", "phone", "77 123 45 67")]
    [InlineData("simu yangu ni 0712 345 678", "phone", "0712 345 678")]
    [InlineData("τηλ. 694 123 4567", "phone", "694 123 4567")]
    [InlineData("ring 020 7946 0958", "id", "020 7946 0958")]
    [InlineData("paid with 4111 1111 1111 1111", "card", "4111 1111 1111 1111")]
    [InlineData("IBAN GR16 0110 1250 0000 0001 2300 695", "iban", "GR16 0110 1250 0000 0001 2300 695")]
    [InlineData("ΑΦΜ 094259216", "id", "094259216")]
    [InlineData("NIDA 19900101-12345-00001-23", "id", "19900101-12345-00001-23")]
    [InlineData("CNI 1 751 1990 01234 5", "id", "1 751 1990 01234 5")]
    [InlineData("NIR 1 84 12 76 451 089 46", "id", "1 84 12 76 451 089 46")]
    [InlineData("her ID number is 23456789", "phone", "23456789")]
    [InlineData("passport AB1234567", "id", "AB1234567")]
    [InlineData("GHA-123456789-0", "id", "GHA-123456789-0")]
    [InlineData("write to amina.diop@example.sn please", "email", "amina.diop@example.sn")]
    [InlineData("amina at gmail dot com", "email", "amina at gmail dot com")]
    [InlineData("it is 192.168.1.17", "ip", "192.168.1.17")]
    [InlineData("mac 00:1A:2B:3C:4D:5E", "ip", "00:1A:2B:3C:4D:5E")]
    [InlineData("at 12 Rue Carnot", "address", "12 Rue Carnot")]
    [InlineData("S.L.P 1234", "address", "S.L.P 1234")]
    [InlineData("στην Οδός Ερμού 15", "address", "Οδός Ερμού 15")]
    [InlineData("Plot No. 12 Block C", "address", "Plot No. 12 Block C")]
    [InlineData("alizaliwa 12/03/1985", "birth", "12/03/1985")]
    [InlineData("né le 3 mars 1985", "birth", "3 mars 1985")]
    [InlineData("date_of_birth: 1985-03-12", "birth", "1985-03-12")]
    [InlineData("{\"birthDate\":\"1985-03-12\"}", "birth", "1985-03-12")]
    [InlineData("date_naissance=12/03/1985", "birth", "12/03/1985")]
    [InlineData("https://example.org/?to=amina.diop%40example.sn", "email", "amina.diop%40example.sn")]
    [InlineData("I have diabetes", "health", "diabetes")]
    [InlineData("elle est séropositive", "health", "séropositive")]
    [InlineData("meet Fatou Diop there", "name", "Fatou Diop")]
    [InlineData("met John Smith today", "name", "John Smith")]
    [InlineData("μίλησα με τον Γιώργος Παπαδόπουλος", "name", "Γιώργος Παπαδόπουλος")]
    [InlineData("jina langu ni neema", "name", "neema")]
    [InlineData("watu walimwona uThandi hapo", "name", "uThandi")]
    [InlineData("we met fatou diop here", "name", "fatou diop")]
    public void Find_Plain_IsFound(string text, string kind, string value)
    {
        PersonalFinding finding = Assert.Single(s_finder.Find(text));
        Assert.Equal((kind, value), (finding.Kind.ToString().ToLowerInvariant(), text.Substring(finding.Start, finding.Length)));
    }

    [Theory]
    [InlineData("0\u200B7\u200B1\u200B2\u200D3\u20604\uFEFF5\u00AD678")] // zero-width letters
    [InlineData("O712 34S 67B")] // letters that look like digits
    [InlineData("О712 345 678")] // the first is Cyrillic
    [InlineData("٠٧١٢٣٤٥٦٧٨")]
    [InlineData("०७१२३४५६७८")]
    [InlineData("０７１２３４５６７８")]
    [InlineData("𝟎𝟕𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖")]
    [InlineData("⓪⑦①②③④⑤⑥⑦⑧")]
    [InlineData("0️⃣7️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣")]
    [InlineData("0 7 1 2 3 4 5 6 7 8")]
    [InlineData("0-7-1-2-3-4-5-6-7-8")]
    [InlineData("0.7.1.2.3.4.5.6.7.8")]
    [InlineData("0,7,1,2,3,4,5,6,7,8")]
    [InlineData("0_7_1_2_3_4_5_6_7_8")]
    [InlineData("(0712) 345/678")]
    [InlineData("07\u033112\u0332345678")] // marks on digits
    [InlineData("аmina@gmail.com")] // the first letter is Cyrillic
    [InlineData("amina＠gmail．com")]
    [InlineData("am\u200Bina@gm\u200Bail.com")]
    public void Find_Disguised_IsFound(string value)
    {
        string text = $"the thing is {value} as agreed";
        IReadOnlyList<PersonalFinding> found = s_finder.Find(text);
        Assert.NotEmpty(found);
        int start = text.IndexOf(value, StringComparison.Ordinal);
        Assert.Equal((start, start + value.Length), (Math.Min(start, found[0].Start), Math.Max(start + value.Length, found[^1].End)));
        Assert.True(found.Sum(finding => finding.Length) >= 0.9 * value.Length, text);
    }

    [Theory]
    [InlineData("What is malaria and how is it treated?")]
    [InlineData("How many people live in Dakar? In 2019 it had 1,146,053 inhabitants and 12 000 000 FCFA.")]
    [InlineData("Pi is 3.14159265358979 and the speed of light 299792458 m/s.")]
    [InlineData("Sort 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2001, 2004, 2010.")]
    [InlineData("Between 1789-1799, on 14/07/1789 and 2024-11-23 10:15.")]
    [InlineData("Ni nini mji mkuu wa Tanzania?")]
    [InlineData("Quelle est la capitale du Sénégal ?")]
    [InlineData("Ποια είναι η πρωτεύουσα της Ελλάδας;")]
    [InlineData("Write a Python function that reads a JSON file with PostgreSQL and Docker.")]
    [InlineData("The meeting is on Monday in Nairobi, not in January.")]
    [InlineData("")]
    [InlineData("\u200B\u200B")]
    [InlineData("\ud800")]
    public void Find_Nothing_IsNotFound(string text) => Assert.Empty(s_finder.Find(text).Select(finding => text.Substring(finding.Start, finding.Length)));

    [Fact]
    public void Options_PatternsAllowExceptAndHealth_Change()
    {
        PersonalDataFinder finder = new(new PrivacyOptions { Patterns = [@"kdg-\d{4}"], Allow = ["Mbwambo"], Except = new HashSet<PersonalKind> { PersonalKind.Email }, Health = HealthRule.Any });
        Assert.Equal([PersonalKind.Pattern], finder.Find("the file KDG-1234 is open").Select(finding => finding.Kind));
        Assert.Empty(finder.Find("the shop Mbwambo is open, a@b.com"));
        Assert.Equal([PersonalKind.Health], finder.Find("what is malaria").Select(finding => finding.Kind));
        Assert.Throws<ArgumentException>(() => new PersonalDataFinder(new PrivacyOptions { Patterns = ["(a)\\1"] }));
        Assert.Throws<ArgumentException>(() => new PersonalDataFinder(new PrivacyOptions { Patterns = [.. Enumerable.Repeat("a", 65)] }));
    }

    [Theory]
    [InlineData("9", 20_000)]
    [InlineData("1 ", 20_000)]
    [InlineData("Aa ", 10_000)]
    [InlineData("a@", 10_000)]
    [InlineData("GR", 10_000)]
    [InlineData("12 Rue ", 5_000)]
    [InlineData("\u0301", 20_000)]
    [InlineData("my name is ", 3_000)]
    [InlineData("::", 10_000)]
    public async Task Find_LongHostileText_Ends(string piece, int times) =>
        await Task.Run(() => s_finder.Find(string.Concat(Enumerable.Repeat(piece, times)))).WaitAsync(TimeSpan.FromSeconds(60)); // quadratic work would take hours

    [Fact]
    public void Homoglyphs_Tables_AreOfOneLength() => Assert.Equal('A', Homoglyphs.ToLatin('А'));
}
