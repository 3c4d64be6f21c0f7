// Words of somebody's health. Knows no medicine beyond its lists.
using System.Text.RegularExpressions;

namespace Kidogo.Privacy;

/// <summary>Finds states (HIV positive, diagnosed with) always, and illnesses where the text is about somebody.</summary>
internal static partial class HealthFinder
{
    /// <summary>Adds what is found.</summary>
    /// <param name="folded">The text.</param>
    /// <param name="rule">How much counts.</param>
    /// <param name="found">What was found before; a name in it makes the text one about somebody.</param>
    public static void Find(FoldedText folded, HealthRule rule, List<PersonalFinding> found)
    {
        foreach (string text in folded.Text == folded.Latin ? [folded.Text] : new[] { folded.Text, folded.Latin })
        {
            foreach (Match match in State().Matches(text))
            {
                found.Add(folded.Finding(PersonalKind.Health, match.Index, match.Length));
            }

            MatchCollection illnesses = Illness().Matches(text);
            if (illnesses.Count > 0 && (rule == HealthRule.Any || found.Exists(finding => finding.Kind is PersonalKind.Name) || Somebody().IsMatch(text)))
            {
                foreach (Match match in illnesses)
                {
                    found.Add(folded.Finding(PersonalKind.Health, match.Index, match.Length));
                }
            }
        }
    }

    [GeneratedRegex(@"(?<!\w)(?:(?:hiv|vih|aids|sida|ukimwi|tb|hepatitis|covid(?:-19)?)[\s-](?:positive|positif|positive|\+|chanya)|s[ée]ropositi(?:f|ve)s?|diagnosed with|diagnosis:|diagnosti(?:c|qué)e? (?:de|d'|du)|suffers? from|souffre de|souffrant de|anaugua|ninaugua|amegunduliwa|anaishi na (?:vvu|ukimwi|virusi)|πάσχ(?:ω|ει) από|διαγνώστηκ\p{L}+|οροθετικ\p{L}+|i am pregnant|i'm pregnant|(?:she|he|my \w+) is pregnant|je suis enceinte|(?:elle|ma \w+) est enceinte|nina mimba|ana mimba|είμαι έγκυος|είναι έγκυος|suicidal|my symptoms|medical record|dossier m[ée]dical|rekodi za matibabu|ιατρικό ιστορικό|blood type|groupe sanguin|viral load|charge virale|cd4 count|(?:metformin|insulin|dolutegravir|efavirenz|tenofovir|lamivudine|warfarin|lithium|sertraline|fluoxetine|methadone|risperidone|artemether)\s\d{1,4}\s?m[cg]g?)(?!\w)", RegexOptions.IgnoreCase)]
    private static partial Regex State();

    [GeneratedRegex(@"(?<!\w)(?:hiv|vih|aids|sida|ukimwi|vvu|diabet\p{L}+|diab[èe]te|kisukari|διαβήτη\p{L}*|cancer\p{L}*|saratani|καρκίνο\p{L}*|tumou?rs?|tumeur\p{L}*|leuk[a]?emia|leuc[ée]mie|tuberculos\p{L}+|kifua kikuu|φυματίωση\p{L}*|malaria|paludisme|ελονοσία\p{L}*|hepatitis|h[ée]patite|ηπατίτιδα\p{L}*|hypertension|shinikizo la damu|υπέρταση\p{L}*|asthma|asthme|pumu|άσθμα\p{L}*|epilep\p{L}+|kifafa|επιληψία\p{L}*|depress(?:ion|ed)|d[ée]pression|d[ée]pressi(?:f|ve)|sonona|κατάθλιψη\p{L}*|schizophren\p{L}+|bipolar|bipolaire|σχιζοφρ\p{L}+|anxiety disorder|ptsd|autis\p{L}+|alzheimer\p{L}*|dementia|d[ée]mence|parkinson\p{L}*|stroke|heart attack|infarctus|kiharusi|έμφραγμα\p{L}*|pregnan\p{L}+|enceinte|grossesse|mimba|ujauzito|έγκυο\p{L}*|εγκυμοσύνη\p{L}*|abortion|avortement|miscarriage|fausse couche|έκτρωση\p{L}*|syphilis|gonorrh\p{L}+|chlamydia|herpes|sickle cell|dr[ée]panocytose|selimundu|an[a]?emia|covid(?:-19)?|chemotherapy|chimioth[ée]rapie|dialys\p{L}+|surgery|chirurgie|upasuaji|χειρουργ\p{L}+|antiretroviral\p{L}*|insulin\p{L}*|metformin\p{L}*|antidepressant\p{L}*|addict\p{L}+|alcoholi\p{L}+|overdose|cholera|kipindupindu|typhoid|typho[ïi]de|ulcers?|vidonda vya tumbo|psychiatri\p{L}+|m[ée]dicaments?|prescription|ordonnance|symptom\p{L}*|dalili|συμπτώματ\p{L}*)(?!\w)", RegexOptions.IgnoreCase)]
    private static partial Regex Illness();

    [GeneratedRegex(@"(?<!\w)(?:i|i'm|i've|my|me|mine|he|she|his|her|him|hers|patient'?s?|je|j'ai|j'|mon|ma|mes|il|elle|son|sa|ses|patiente?|mari|femme|husband|wife|mother|father|son|daughter|brother|sister|boss|colleague|neighbou?r|mimi|nina|nime|nili|sina|yangu|wangu|langu|changu|zangu|yake|wake|mgonjwa|mama yangu|baba yangu|mke|mume|mtoto wangu|έχω|μου|μας|του|της|ασθενή\p{L}*|πάσχ\p{L}+|ina|na da|tana|yana|mara lafiya|dama|sama|mi[\s]|ami|ngi\p{L}+)(?!\w)", RegexOptions.IgnoreCase)]
    private static partial Regex Somebody();
}
