#!/usr/bin/env python3
"""Sentiment by a head on a model's mean states, beside the most frequent label and a bag of words: four fifths of a set to learn from, by seed, the last fifth to judge.

    bench/experiments/sentiment.py FOLDER SET.jsonl ... -- NAME=MODEL ...     KIDOGO names the program; lines of a set are {"text": ..., "label": ...}
"""
import collections, json, math, os, random, re, subprocess, sys

SEEDS = (0, 1, 2)


def words(text):
    return re.findall(r"\w+|[^\w\s]", text.lower())


def naive_bayes(train, test):
    counts, lines, known = collections.defaultdict(collections.Counter), collections.Counter(), set()
    for text, label in train:
        lines[label] += 1
        counts[label].update(words(text))
        known.update(words(text))
    totals = {label: sum(counts[label].values()) for label in lines}

    def score(text, label):
        return math.log(lines[label] / len(train)) + sum(math.log((counts[label][word] + 1) / (totals[label] + len(known))) for word in words(text) if word in known)

    return sum(max(lines, key=lambda candidate: score(text, candidate)) == label for text, label in test) / len(test)


def logistic_regression(train, test, rate=0.5, decay=1e-4, rounds=30):
    """Of tf-idf vectors of length one, by plain stochastic gradients."""
    labels = sorted({label for _, label in train})
    documents = collections.Counter(word for text, _ in train for word in set(words(text)))

    def vector(text):
        values = {word: (1 + math.log(count)) * math.log(len(train) / documents[word]) for word, count in collections.Counter(words(text)).items() if word in documents}
        length = math.sqrt(sum(value * value for value in values.values())) or 1
        return {word: value / length for word, value in values.items()}

    weights, bias = {label: collections.defaultdict(float) for label in labels}, dict.fromkeys(labels, 0.0)

    def scores(values):
        return {label: bias[label] + sum(weights[label][word] * value for word, value in values.items()) for label in labels}

    examples, order = [(vector(text), label) for text, label in train], random.Random(0)
    for _ in range(rounds):
        order.shuffle(examples)
        for values, right in examples:
            said = scores(values)
            top = max(said.values())
            total = sum(math.exp(score - top) for score in said.values())
            for label in labels:
                gradient = math.exp(said[label] - top) / total - (label == right)
                bias[label] -= rate * gradient
                for word, value in values.items():
                    weights[label][word] -= rate * (gradient * value + decay * weights[label][word])
    return sum(max((said := scores(vector(text))), key=said.get) == label for text, label in test) / len(test)


def head(model, train, test, seed, folder):
    kidogo, data, out = os.environ.get("KIDOGO", "kidogo"), os.path.join(folder, "train.jsonl"), os.path.join(folder, "head")
    with open(data, "w") as file:
        file.writelines(json.dumps({"text": text, "label": label}) + "\n" for text, label in train)
    subprocess.run(["rm", "-rf", out], check=True)
    subprocess.run([kidogo, "adapt", model, out, "--task", "classify", "--data", data, "--seed", str(seed)], check=True, capture_output=True)
    lines = "".join(" ".join(text.split()) + "\n" for text, _ in test)
    said = subprocess.run([kidogo, "classify", out, "--json"], input=lines, check=True, capture_output=True, text=True).stdout
    given = re.findall(r'"label":\s*"([^"]*)"', said)
    assert len(given) == len(test), f"{len(given)} answers to {len(test)} lines"
    return sum(label == right for label, (_, right) in zip(given, test)) / len(test)


def main():
    folder, rest = sys.argv[1], sys.argv[2:]
    sets, models = rest[: rest.index("--")], dict(item.split("=", 1) for item in rest[rest.index("--") + 1 :])
    os.makedirs(folder, exist_ok=True)
    for path in sets:
        rows = [json.loads(line) for line in open(path)]
        results = collections.defaultdict(list)
        for seed in SEEDS:
            shuffled = rows[:]
            random.Random(seed).shuffle(shuffled)
            pairs, cut = [(row["text"], row["label"]) for row in shuffled], len(rows) * 4 // 5
            train, test = pairs[:cut], pairs[cut:]
            frequent = collections.Counter(label for _, label in train).most_common(1)[0][0]
            results["most frequent label"].append(sum(label == frequent for _, label in test) / len(test))
            results["naive Bayes"].append(naive_bayes(train, test))
            results["logistic regression"].append(logistic_regression(train, test))
            for name, model in models.items():
                results[name].append(head(model, train, test, seed, folder))
        for name, shares in results.items():
            print(f"{os.path.basename(path)} {name}: {sum(shares) / len(shares):.3f} ({', '.join(f'{share:.3f}' for share in shares)})", flush=True)


main()
