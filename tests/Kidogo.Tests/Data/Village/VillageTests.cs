// The village: what a seed decides, what stories may not contradict, and what three languages have to get right.
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kidogo.Data;
using Kidogo.Data.Village;

namespace Kidogo.Tests.Data.Village;

public sealed class VillageTests
{
    private static readonly VillageLanguage s_english = VillageLanguage.BuiltIn("en")!, s_french = VillageLanguage.BuiltIn("fr")!, s_swahili = VillageLanguage.BuiltIn("sw")!;

    public static TheoryData<string> Codes => [.. VillageLanguage.BuiltInCodes];

    private static IEnumerable<VillageStory> Stories(string code, int count, VillageLevel level = VillageLevel.Full, ulong seed = 1, VillageSplit split = VillageSplit.Training) =>
        new VillageGenerator(new VillageOptions { Language = VillageLanguage.BuiltIn(code)!, Level = level, Seed = seed, Split = split }).Stories(count);

    [Fact]
    public void Story_SameSeedAndNumber_IsTheSame()
    {
        VillageOptions options = new() { Language = s_english, Seed = 7 };
        Assert.Equal(Bytes(new VillageGenerator(options).Story(12), options), Bytes(new VillageGenerator(options).Story(12), options));
        Assert.NotEqual(Bytes(new VillageGenerator(options).Story(12), options), Bytes(new VillageGenerator(options with { Seed = 8 }).Story(12), options));
        Assert.NotEqual(new VillageGenerator(options).Story(12).Text, new VillageGenerator(options).Story(13).Text);
        Assert.NotEmpty(new VillageGenerator(options).Story(long.MaxValue).Text);
    }

    [Theory]
    [InlineData(VillageLevel.Simple)]
    [InlineData(VillageLevel.Full)]
    public void Splits_OfAnySeeds_ShareNoStory(VillageLevel level)
    {
        HashSet<string> training = [.. Stories("en", 3000, level, 1).Concat(Stories("en", 1000, level, 99)).Select(story => story.Text)];
        string[] test = [.. Stories("en", 1000, level, 1, VillageSplit.Test).Select(story => story.Text)];
        Assert.DoesNotContain(test, training.Contains);
    }

    [Fact]
    public void Languages_OneSeed_TellTheSameStories()
    {
        foreach ((VillageStory english, VillageStory french, VillageStory swahili) in Stories("en", 200).Zip(Stories("fr", 200), Stories("sw", 200)))
        {
            Assert.Equal(english.EndsWell, french.EndsWell);
            Assert.Equal(english.Questions.Select(Place), french.Questions.Select(Place));
            Assert.Equal(english.Questions.Select(Place), swahili.Questions.Select(Place));
        }

        static (string, int) Place(VillageQuestion question) => (question.Form, question.Choices.ToList().IndexOf(question.Answer));
    }

    [Fact]
    public void Answers_SimpleEnglish_FollowFromTheTextAsAReaderSeesIt()
    {
        int judged = 0;
        foreach (VillageStory story in Stories("en", 400, VillageLevel.Simple))
        {
            (Dictionary<string, string> places, Dictionary<string, string> holders) = ReadSimple(story.Text);
            foreach (VillageQuestion question in story.Questions)
            {
                string about = Regex.Match(question.Text, @"^(?:Where is (\w+)|Who has (the \w+)|Who is ((?:at|in|on) the \w+))\?$") is { Success: true } match
                    ? match.Groups[1].Value + match.Groups[2].Value + match.Groups[3].Value
                    : throw new InvalidOperationException(question.Text);
                string[] there = [.. places.Where(each => each.Value == about).Select(each => each.Key)];
                string? expected = question.Form switch
                {
                    "where-person" => places.GetValueOrDefault(about),
                    "who-has" => holders.GetValueOrDefault(about),
                    _ => there.Length == 1 ? there[0] : null,
                };
                Assert.Equal(expected is null ? "Nobody knows." : char.ToUpperInvariant(expected[0]) + expected[1..] + ".", question.Answer);
                Assert.Equal(expected is not null, question.IsKnown);
                judged++;
            }
        }

        Assert.True(judged > 1000);
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Questions_OfManyStories_HaveEveryFormAndOneRightAnswer(string code)
    {
        VillageStory[] stories = [.. Stories(code, 600)];
        VillageQuestion[] questions = [.. stories.SelectMany(story => story.Questions)];
        Assert.Equal(["came-first", "holder-before", "how-many", "place-before", "where-person", "where-thing", "who-at", "who-gave", "who-has"], questions.Select(question => question.Form).Distinct().Order());
        Assert.All(questions, question => Assert.Single(question.Choices, question.Answer));
        Assert.All(questions, question => Assert.Equal(question.IsKnown, question.Answer != question.Choices[^1]));
        Assert.InRange(questions.Count(question => !question.IsKnown) / (double)questions.Length, 0.12, 0.3);
        Assert.InRange(stories.Count(story => story.EndsWell) / (double)stories.Length, 0.25, 0.75);
        Assert.All(stories, story => Assert.Equal(story.Questions.Count, story.Questions.Select(question => question.Text).Distinct().Count()));
    }

    [Theory]
    [MemberData(nameof(Codes))]
    public void Sentences_OfManyStories_AreWellFormed(string code)
    {
        foreach (VillageStory story in Stories(code, 300))
        {
            foreach (string sentence in story.Questions.SelectMany(question => new[] { question.Text, question.Answer }).Concat([story.Summary, story.Text, story.Ending.Text, story.Ending.Answer]))
            {
                Assert.True(char.IsUpper(sentence[0]), sentence);
                Assert.True(sentence[^1] is '.' or '?', sentence);
                Assert.DoesNotContain("  ", sentence, StringComparison.Ordinal);
                Assert.DoesNotContain("{", sentence, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void French_ManyStories_ElidesAndContracts()
    {
        Regex wrong = new(@"\b(le|la|de) [aeiouhéèêàâîôœ]|\b[àde]+ les? |\bde le\b|\bà le\b", RegexOptions.IgnoreCase);
        string[] texts = [.. Stories("fr", 500).SelectMany(story => story.Questions.SelectMany(question => new[] { question.Text, question.Answer }).Append(story.Text).Append(story.Summary))];
        Assert.All(texts, text => Assert.DoesNotMatch(wrong, text));
        Assert.Contains(texts, text => text.Contains("à l'école", StringComparison.Ordinal));
        Assert.Contains(texts, text => text.Contains("au marché", StringComparison.Ordinal));
        Assert.Contains(texts, text => text.Contains("d'œufs", StringComparison.Ordinal));
    }

    [Fact]
    public void French_Agrees_ByGender()
    {
        int school = Place(s_french, "school"), amina = Person(s_french, "amina"), juma = Person(s_french, "juma");
        Assert.Equal("Amina est allée à l'école.", s_french.Say("events went", new VillageCast(amina, Place: school)));
        Assert.Equal("Juma est allé au puits.", s_french.Say("events went", new VillageCast(juma, Place: Place(s_french, "well"))));
        Assert.Equal("Amina était heureuse.", s_french.Say("events rejoiced", new VillageCast(amina)));
        Assert.Equal("Combien d'oranges Amina a-t-elle ?", s_french.Say("questions how-many", new VillageCast(amina, Good: Good(s_french, "orange"))));
        Assert.Equal("Amina a acheté une mangue.", s_french.Say("events bought", new VillageCast(amina, Good: Good(s_french, "mango"), Count: 1)));
        Assert.Equal("Amina a acheté un œuf.", s_french.Say("events bought", new VillageCast(amina, Good: Good(s_french, "egg"), Count: 1)));
        Assert.Equal("L'anneau était sur le pont.", s_french.Say("events lay", new VillageCast(-1, Place: Place(s_french, "bridge"), Thing: Thing(s_french, "ring"))));
        Assert.Equal("Amina voulait la clé et l'a obtenue.", s_french.Say("summaries met", new VillageCast(amina, Thing: Thing(s_french, "key"))));
    }

    // Numerals and verbs by noun class, from grammars of Swahili: ki-/vi-, n-, m-/mi- and u-, ji-/ma-, and animals, which agree as people do.
    [Theory]
    [InlineData("cup", 2, "Amina alinunua vikombe viwili.", "Amina ana vikombe vingapi?")]
    [InlineData("cup", 1, "Amina alinunua kikombe kimoja.", "Amina ana vikombe vingapi?")]
    [InlineData("mango", 3, "Amina alinunua maembe matatu.", "Amina ana maembe mangapi?")]
    [InlineData("banana", 4, "Amina alinunua ndizi nne.", "Amina ana ndizi ngapi?")]
    [InlineData("fish", 2, "Amina alinunua samaki wawili.", "Amina ana samaki wangapi?")]
    [InlineData("egg", 8, "Amina alinunua mayai manane.", "Amina ana mayai mangapi?")]
    public void Swahili_Numerals_AgreeByClass(string good, int count, string bought, string asked)
    {
        VillageCast cast = new(Person(s_swahili, "amina"), Good: Good(s_swahili, good), Count: count);
        Assert.Equal(bought, s_swahili.Say("events bought", cast));
        Assert.Equal(asked, s_swahili.Say("questions how-many", cast));
    }

    [Theory]
    [InlineData("key", "Ufunguo ulikuwa sokoni.", "Ufunguo uko wapi?")]
    [InlineData("book", "Kitabu kilikuwa sokoni.", "Kitabu kiko wapi?")]
    [InlineData("lamp", "Taa ilikuwa sokoni.", "Taa iko wapi?")]
    [InlineData("box", "Sanduku lilikuwa sokoni.", "Sanduku liko wapi?")]
    public void Swahili_Verbs_AgreeByClass(string thing, string told, string asked)
    {
        VillageCast cast = new(-1, Place: Place(s_swahili, "market"), Thing: Thing(s_swahili, thing));
        Assert.Equal(told, s_swahili.Say("events lay", cast));
        Assert.Equal(asked, s_swahili.Say("questions where-thing", cast));
    }

    [Fact]
    public void English_Articles_AndPlurals()
    {
        Assert.Equal("Amina bought two fish.", s_english.Say("events bought", new VillageCast(0, Good: Good(s_english, "fish"), Count: 2)));
        Assert.Equal("Where was Juma before he went to the garden?", s_english.Say("questions place-before", new VillageCast(1, Place: Place(s_english, "garden"))));
        Assert.Equal("In the garden.", s_english.Say("answers place", new VillageCast(-1, Place: Place(s_english, "garden"))));
    }

    [Fact]
    public void World_WhatContradictsTheStory_IsNotAllowed()
    {
        VillageWorld world = new(3, 3, 2, 1);
        world.Apply(new VillageEvent(VillageEventKind.Was, new VillageCast(0, Place: 0)), 0);
        world.Apply(new VillageEvent(VillageEventKind.Lay, new VillageCast(-1, Place: 1, Thing: 0)), 0);
        Assert.False(world.Allows(new VillageEvent(VillageEventKind.Took, new VillageCast(0, Thing: 0)))); // it is elsewhere
        Assert.False(world.Allows(new VillageEvent(VillageEventKind.Gave, new VillageCast(0, 1, Thing: 0)))); // has it not
        world.Apply(new VillageEvent(VillageEventKind.Went, new VillageCast(0, Place: 1)), 0);
        world.Apply(new VillageEvent(VillageEventKind.Took, new VillageCast(0, Thing: 0)), 0);
        Assert.False(world.Allows(new VillageEvent(VillageEventKind.Gave, new VillageCast(0, 1, Thing: 0)))); // the other is not told to be there
        Assert.False(world.Allows(new VillageEvent(VillageEventKind.Sold, new VillageCast(0, Good: 0, Count: 1))));
        world.Apply(new VillageEvent(VillageEventKind.Lost, new VillageCast(0, Thing: 0)), 0);
        Assert.Equal((-1, -1), (world.HolderOf(0), world.PlaceOfThing(0)));
        world.Apply(new VillageEvent(VillageEventKind.Arrived, new VillageCast(2, Place: 2)), 0);
        Assert.False(world.Allows(new VillageEvent(VillageEventKind.Found, new VillageCast(2, Place: 2, Thing: 0)))); // it was never there
        Assert.True(world.Allows(new VillageEvent(VillageEventKind.Found, new VillageCast(0, Place: 1, Thing: 0))));
        Assert.Throws<InvalidOperationException>(() => world.Apply(new VillageEvent(VillageEventKind.Sold, new VillageCast(0, Good: 0, Count: 1)), 0));
    }

    [Theory]
    [InlineData("language = en English", "", "does not say its language")]
    [InlineData("[goods]", "[food]", "no section \"food\"")]
    [InlineData("went = {who} went {place.to}.", "went = {who} went {thing.to}.", "stands for nothing here")]
    [InlineData("went = {who} went {place.to}.", "wnet = {who} went {place.to}.", "has no \"wnet\"")]
    [InlineData("unknown = Nobody knows.", "", "lacks unknown")]
    [InlineData("market: it; one = market", "market: its; one = market", "the class its")]
    [InlineData("market: it; one = market", "market: it", "where a word was expected")]
    [InlineData("market: it; one = market", "market: it; one = school", "\"At the school.\"")]
    [InlineData("the = the {one}", "the = {the}", "made of itself")]
    [InlineData("the = the {one}", "the = the {one", "braces")]
    [InlineData("num7 = seven", "", "\"count7\"")]
    [InlineData("a -> an before aeiou", "a an", "where a join was expected")]
    [InlineData("[class it]", "[class he]", "twice")]
    public void LanguageFile_ThatCannotTellStories_IsRefused(string line, string instead, string expected)
    {
        string whole = Resource("english");
        int at = whole.IndexOf(line, StringComparison.Ordinal);
        string broken = whole[..at] + instead + whole[(at + line.Length)..];
        DataFormatException refused = Assert.Throws<DataFormatException>(() => VillageLanguageReader.Parse(broken, "x.village"));
        Assert.StartsWith("x.village", refused.Message, StringComparison.Ordinal);
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LanguageFile_FormsWithinForms_EndSoon()
    {
        string many = string.Join("\n", Enumerable.Range(0, 40).Select(i => $"f{i} = {string.Concat(Enumerable.Repeat($"{{f{i + 1}}}", 40))}"));
        string whole = Resource("english").Replace("the = the {one}", $"the = {{f0}}\n{many}\nf40 =", StringComparison.Ordinal);
        Assert.Throws<DataFormatException>(() => VillageLanguageReader.Parse(whole, "x.village"));
    }

    [Fact]
    public void LanguageFile_AFourthLanguage_NeedsNoCode()
    {
        string pirate = Resource("english").Replace("language = en English", "language = x-pirate Pirate", StringComparison.Ordinal).Replace("Nobody knows.", "Arr, who knows!", StringComparison.Ordinal);
        VillageLanguage language = VillageLanguageReader.Parse(pirate, "pirate.village");
        VillageStory story = new VillageGenerator(new VillageOptions { Language = language }).Story(3);
        Assert.Equal("x-pirate", language.Code);
        Assert.Equal("Arr, who knows!", story.Questions[0].Choices[^1]);
        Assert.Equal(Stories("en", 4, seed: 0).Last().Text, story.Text);
    }

    [Theory]
    [InlineData(VillageForm.Stories)]
    [InlineData(VillageForm.Conversations)]
    public void Files_Lines_AreObjects(VillageForm form)
    {
        VillageOptions options = new() { Language = s_french };
        using MemoryStream stream = new();
        foreach (VillageStory story in new VillageGenerator(options).Stories(5))
        {
            VillageFiles.Write(stream, form, story, options);
        }

        string[] lines = Encoding.UTF8.GetString(stream.ToArray()).TrimEnd('\n').Split('\n');
        Assert.Equal(5, lines.Length);
        foreach (string line in lines)
        {
            using JsonDocument json = JsonDocument.Parse(line);
            Assert.True(json.RootElement.TryGetProperty(form == VillageForm.Stories ? "questions" : "messages", out JsonElement list) && list.GetArrayLength() > 0);
        }
    }

    private static string Bytes(VillageStory story, VillageOptions options)
    {
        using MemoryStream stream = new();
        VillageFiles.Write(stream, VillageForm.Stories, story, options);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string Resource(string name)
    {
        using StreamReader reader = new(typeof(VillageLanguage).Assembly.GetManifestResourceStream($"Kidogo.Data.Village.{name}.village")!);
        return reader.ReadToEnd();
    }

    private static int Person(VillageLanguage language, string key) => language.People.ToList().FindIndex(word => word.Key == key);

    private static int Place(VillageLanguage language, string key) => language.Places.ToList().FindIndex(word => word.Key == key);

    private static int Thing(VillageLanguage language, string key) => language.Things.ToList().FindIndex(word => word.Key == key);

    private static int Good(VillageLanguage language, string key) => language.Goods.ToList().FindIndex(word => word.Key == key);

    /// <summary>A reader of its own: where people are and who has what, by the sentences alone.</summary>
    private static (Dictionary<string, string> Places, Dictionary<string, string> Holders) ReadSimple(string text)
    {
        Dictionary<string, string> places = [], holders = [];
        foreach (string sentence in text.TrimEnd('.').Split(". "))
        {
            Match moved = Regex.Match(sentence, @"^(\w+) (?:was|went) (?:at|to|in|on) the (\w+)$");
            Match took = Regex.Match(sentence, @"^(\w+) took (the \w+)$"), gave = Regex.Match(sentence, @"^(\w+) gave (the \w+) to (\w+)$"), lost = Regex.Match(sentence, @"^(\w+) lost (the \w+)$");
            if (moved.Success)
            {
                string place = moved.Groups[2].Value;
                places[moved.Groups[1].Value] = $"{(place is "garden" or "field" or "forest" ? "in" : place == "bridge" ? "on" : "at")} the {place}";
            }
            else if (took.Success)
            {
                holders[took.Groups[2].Value] = took.Groups[1].Value;
            }
            else if (gave.Success)
            {
                Assert.Equal(gave.Groups[1].Value, holders[gave.Groups[2].Value]);
                Assert.Equal(places[gave.Groups[1].Value], places[gave.Groups[3].Value]);
                holders[gave.Groups[2].Value] = gave.Groups[3].Value;
            }
            else
            {
                Assert.True(lost.Success, sentence);
                Assert.True(holders.Remove(lost.Groups[2].Value));
            }
        }

        return (places, holders);
    }
}
