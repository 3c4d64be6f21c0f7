"""Medians and ratios of what ./run collected, beside what was aimed at, as Markdown.   table.py FOLDER HAS_AVX_VNNI"""
import json
import statistics
import sys
from collections import defaultdict

folder, has_vnni = sys.argv[1], sys.argv[2] != "0"
targets = {"1": (2.0, 1.25), "2": (1.8, 1.35), "3": (2.2 if has_vnni else 1.6, 1.4), "4": (5.0, 1.5), "5": (None, 1.1), "6": (1.6, 1.6), "7": (2.0, 1.3)}
MEMORY_TARGET, START_TARGET, TOKENS_TARGET, TOKENS_RATE, FMA_TARGET = 1.1, 2.0, 4.0, 10.0, 75


def lines(name):
    with open(f"{folder}/{name}") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip()]


def median(values):
    return statistics.median(values) if values else float("nan")


rates = defaultdict(list)
for row, who, peak, report in lines("speed"):
    report = json.loads(report)
    rates[row, who, "prefill"].append(report["prefill_tokens_per_second" if who == "kidogo" else "pp_tps"])
    rates[row, who, "decode"].append(report["decode_tokens_per_second" if who == "kidogo" else "tg_tps"])
    rates[row, who, "peak"].append(int(peak) * 1024 / 1e6)

titles = lines("titles")
if titles:
    print("| model | prompt + generated | prefill: Kidogo, llama.cpp | ratio | aim | decode: Kidogo, llama.cpp | ratio | aim | peak MB: Kidogo, llama.cpp | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
for row, title, prompt, generate, sequences in titles:
    cells = [title, f"{prompt} + {generate}" + (f", {sequences} at once" if sequences != "1" else "")]
    for measure, target in (("prefill", targets[row][0]), ("decode", targets[row][1])):
        ours, theirs = median(rates[row, "kidogo", measure]), median(rates[row, "peer", measure])
        cells += [f"{ours:,.0f}, {theirs:,.0f}", f"**{ours / theirs:.2f}**", "see below" if target is None else f"{target}"]
    ours, theirs = median(rates[row, "kidogo", "peak"]), median(rates[row, "peer", "peak"])
    cells += [f"{ours:,.0f}, {theirs:,.0f}", f"{ours / theirs:.2f}" + (f" (aim {MEMORY_TARGET})" if row == "1" else "") if theirs else "-"]
    print("| " + " | ".join(cells) + " |")

peaks = [json.loads(line[0]) for line in lines("fma")]
if peaks:
    prompt = next(int(title[2]) for title in titles if title[0] == "5")
    hidden, layers, key_values, inner, vocabulary = 576, 30, 192, 1536, 49152
    matrices = layers * (2 * hidden * hidden + 2 * hidden * key_values + 3 * hidden * inner)
    flops = 2 * matrices + 2 * hidden * vocabulary / prompt + layers * 4 * hidden * (prompt + 1) / 2  # a token of the prompt; the head is for the last alone
    peak = max(each["gflops"] for each in peaks)
    gflops = median(rates["5", "kidogo", "prefill"]) * flops / 1e9
    print(f"\nF16 prefill: {gflops:,.0f} GFLOP/s of a float32 FMA peak of {peak:,.0f} ({peaks[0]['vector_bits']}-bit vectors): **{100 * gflops / peak:.0f} %**, aim {FMA_TARGET} %.")

seconds = defaultdict(list)
for name, start, end in lines("seconds"):
    seconds[name].append(float(end) - float(start))
counted = {name: median(values[1:]) for name, values in seconds.items()}
if "start kidogo" in counted:
    ours, theirs = counted["start kidogo"], counted["start peer"]
    print(f"\nProcess start to end of `logits` for 20 ids, real SmolLM2: {ours:.3f} s, llama.cpp {theirs:.3f} s: **{ours / theirs:.2f}**, aim at most {START_TARGET}.")
if "tokens peer" in counted:
    with open(f"{folder}/bytes") as file:
        size = int(file.read())
    ours = median([report["megabytes_per_second"] for report in (json.loads(line[0]) for line in lines("tokens")) if "megabytes_per_second" in report])
    first = next(report["first_megabytes_per_second"] for report in (json.loads(line[0]) for line in lines("tokens")) if "first_megabytes_per_second" in report)
    theirs = size / (counted["tokens peer"] - counted["empty peer"]) / 1e6
    print(f"\nTokenising WikiText-2's test set ({size / 1e6:.2f} MB, one thread): {ours:.1f} MB/s (the first time in a process {first:.1f}), llama.cpp {theirs:.1f}: **{ours / theirs:.1f}**, aim {TOKENS_TARGET} and {TOKENS_RATE:.0f} MB/s.")
