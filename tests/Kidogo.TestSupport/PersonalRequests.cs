// Requests with and without personal data, drawn by a seed: names, numbers and addresses of Senegal, Tanzania and Greece. Not the finder's lists.
namespace Kidogo.TestSupport;

/// <summary>Draws requests.</summary>
internal static class PersonalRequests
{
    private static readonly string[] s_names =
    [
        "Fatou Ndiaye", "Moussa Sarr", "Aïssatou Bâ", "Cheikh Tidiane Gueye", "Ndèye Coumba Mbengue", "Ousmane Thiandoum", "Rokhaya Tounkara", "Pape Malick Niasse", "Seynabou Kâ", "Ibrahima Diatta",
        "Neema Mwakasege", "Juma Kapinga", "Rehema Mtui", "Baraka Nyangasa", "Zainabu Mwinyimvua", "Hamisi Lukindo", "Upendo Mgaya", "Salum Kipanga", "Anna Mbilinyi", "Godlisten Mrosso",
        "Γιώργος Καραμήτρος", "Ελένη Στεργίου", "Δημήτρης Μπακογιάννης", "Κατερίνα Ζαχαροπούλου", "Νίκος Τσιλιγιάννης", "Yannis Karamitros", "Eleni Stergiou", "Dimitris Tsiligiannis", "Katerina Zacharopoulou", "Sofia Xanthopoulou",
    ];

    private static readonly string[] s_withName =
    [
        "Please write a letter to {0} about the rent.", "Écris une lettre à {0} pour demander un rendez-vous.", "Andika barua kwa {0} kuhusu kodi ya nyumba.", "Γράψε ένα γράμμα στον {0} για το ενοίκιο.",
        "{0} borrowed my bicycle. How do I ask for it back?", "Je m'appelle {0} et je cherche un emploi.", "Jina langu ni {0}. Nisaidie kuandika wasifu.", "Με λένε {0} και ψάχνω δουλειά.",
        "Summarise: yesterday {0} said that the harvest was late.", "Is {0} a good choice for treasurer of our group?",
    ];

    private static readonly string[] s_withNumber =
    [
        "Send a message to {0} that I am late.", "Mon numéro est le {0}, rappelle-moi.", "Nipigie simu {0} kesho asubuhi.", "Το τηλέφωνό μου είναι {0}.", "Is {0} a valid number?", "Translate into English: piga {0} haraka.", "My account is {0}, what is the fee?",
    ];

    private static readonly string[] s_withAddress =
    [
        "Deliver the parcel to {0} please.", "Comment aller à {0} en bus ?", "Ninaishi {0}, nifike vipi sokoni?", "Μένω στη διεύθυνση {0}, πώς πάω στο λιμάνι;", "The house at {0} is for sale; write an advertisement.",
    ];

    private static readonly string[] s_without =
    [
        "Explain {0} in simple words.", "Write a short poem about {0}.", "What are three advantages of {0}?", "Explique {0} avec des mots simples.", "Écris un poème court sur {0}.", "Eleza {0} kwa maneno rahisi.",
        "Andika shairi fupi kuhusu {0}.", "Εξήγησε με απλά λόγια τι είναι {0}.", "Give me a recipe with {0} for {1} people.", "How much is {1} times {1}?", "If {1} kg of rice cost {2} FCFA, what do 3 kg cost?",
        "What happened in {3} in Africa?", "How far is it from Dakar to Nairobi, about {2} km?", "Write a Python function that adds {1} and {1}.", "Translate into Swahili: the market opens at {1} o'clock.",
        "Which rivers flow through Tanzania and Senegal?", "Who won the election of {3} in Greece, and by how many votes?", "List {1} animals that live in the Serengeti.", "Summarise the history of Athens until {3}.", "Why do prices rise by {1} % on Mondays in January?",
    ];

    private static readonly string[] s_topics = ["rain", "photosynthesis", "mangoes", "la pluie", "le mil", "l'eau", "mvua", "mahindi", "maji", "η βροχή", "η ελιά", "το νερό", "solar panels", "a savings group", "fishing", "goats", "beans", "the moon"];

    /// <summary>Requests with personal data, with what must not leave.</summary>
    public static IEnumerable<(string Text, string Secret)> With(int count, int seed = 1)
    {
        Random random = new(seed);
        for (int i = 0; i < count; i++)
        {
            (string[] forms, string secret) = (i % 3) switch
            {
                0 => (s_withName, Pick(random, s_names)),
                1 => (s_withNumber, Number(random)),
                _ => (s_withAddress, Address(random)),
            };
            yield return (Pick(random, forms).Replace("{0}", secret, StringComparison.Ordinal), secret);
        }
    }

    /// <summary>Requests without.</summary>
    public static IEnumerable<string> Without(int count, int seed = 2)
    {
        Random random = new(seed);
        for (int i = 0; i < count; i++)
        {
            yield return Pick(random, s_without).Replace("{0}", Pick(random, s_topics), StringComparison.Ordinal).Replace("{1}", $"{random.Next(2, 90)}", StringComparison.Ordinal)
                .Replace("{2}", $"{random.Next(3, 90) * 500}", StringComparison.Ordinal).Replace("{3}", $"{random.Next(1850, 2026)}", StringComparison.Ordinal);
        }
    }

    private static string Number(Random random) => random.Next(12) switch
    {
        0 => $"+221 7{Pick(random, ["0", "5", "6", "7", "8"])} {Digits(random, 3)} {Digits(random, 2)} {Digits(random, 2)}",
        1 => $"77{Digits(random, 7)}",
        2 => $"33 8{Digits(random, 2)} {Digits(random, 2)} {Digits(random, 2)}",
        3 => $"+255 7{Digits(random, 2)} {Digits(random, 3)} {Digits(random, 3)}",
        4 => $"07{Digits(random, 2)}-{Digits(random, 3)}-{Digits(random, 3)}",
        5 => $"06{Digits(random, 8)}",
        6 => $"+30 69{Digits(random, 8)}",
        7 => $"69{Digits(random, 1)} {Digits(random, 3)} {Digits(random, 4)}",
        8 => $"19{random.Next(50, 99)}0{random.Next(1, 9)}1{random.Next(0, 9)}-{Digits(random, 5)}-{Digits(random, 5)}-{Digits(random, 2)}", // NIDA
        9 => $"1{Digits(random, 3)}19{random.Next(50, 99)}{Digits(random, 5)}", // CNI
        10 => string.Join(' ', $"07{Digits(random, 8)}".Select(c => c.ToString())),
        _ => string.Join('\u200B', $"07{Digits(random, 8)}".Select(c => c.ToString())),
    };

    private static string Address(Random random) => random.Next(9) switch
    {
        0 => $"{random.Next(1, 200)} Rue {Pick(random, ["Carnot", "Moussé Diop", "de Thiong", "Félix Faure"])}, Dakar",
        1 => $"Sicap Liberté {random.Next(1, 6)}, villa n° {random.Next(1000, 9999)}",
        2 => $"Parcelles Assainies, Unité {random.Next(1, 26)}, villa {random.Next(10, 600)}",
        3 => $"S.L.P {random.Next(100, 70000)}, Dodoma",
        4 => $"P.O. Box {random.Next(100, 70000)}, Arusha",
        5 => $"Mtaa wa Livingstone, nyumba namba {random.Next(1, 400)}, Kariakoo",
        6 => $"Οδός {Pick(random, ["Ερμού", "Σταδίου", "Πανεπιστημίου", "Τσιμισκή"])} {random.Next(1, 200)}, Αθήνα",
        7 => $"{Pick(random, ["Ερμού", "Αγίου Δημητρίου", "Κηφισίας"])} {random.Next(1, 200)}, {random.Next(104, 199)} {random.Next(10, 99)} Αθήνα",
        _ => $"Plot No. {random.Next(1, 900)}, Block {Pick(random, ["A", "B", "C"])}, Mikocheni",
    };

    private static string Digits(Random random, int count) => string.Concat(Enumerable.Range(0, count).Select(_ => random.Next(10)));

    private static T Pick<T>(Random random, T[] from) => from[random.Next(from.Length)];
}
