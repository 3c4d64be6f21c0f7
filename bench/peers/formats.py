"""Medians and ratios of what ./formats collected, beside what was aimed at, as Markdown.   formats.py FOLDER"""
import json
import statistics
import sys
from collections import defaultdict

folder = sys.argv[1]
PREFILL_TARGET, DECODE_TARGET, BANDWIDTH_TARGET = 1.2, 1.0, 70
AIMED = {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"}  # the K-quants and IQ4; the share of the bandwidth is asked of all of 4 bits and more


def lines(name):
    with open(f"{folder}/{name}") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip()]


rates = defaultdict(list)
for format_name, who, report in lines("speed"):
    report = json.loads(report)
    rates[format_name, who, "prefill"].append(report["prefill_tokens_per_second" if who == "kidogo" else "pp_tps"])
    rates[format_name, who, "decode"].append(report["decode_tokens_per_second" if who == "kidogo" else "tg_tps"])

bandwidth = max(json.loads(line[0])["bandwidth_bytes_per_second"] for line in lines("bandwidth"))
print(f"Memory reads at {bandwidth / 1e9:.1f} GB/s (the better of before and after).\n")
print("| format | bits | prefill: Kidogo, llama.cpp | ratio | aim | decode: Kidogo, llama.cpp | ratio | aim | of the bandwidth | aim |")
print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
for format_name, report in lines("inspect"):
    tensors = json.loads(report)["tensors"]
    matrices = [tensor for tensor in tensors if tensor["name"] != "token_embd.weight"]  # a token reads one row of it
    read = sum(tensor["bytes"] for tensor in matrices)
    weights = 0
    for tensor in matrices:
        size = 1
        for length in tensor["shape"]:
            size *= length
        weights += size
    bits = 8 * read / weights
    cells = [format_name, f"{bits:.2f}"]
    for measure, target in (("prefill", PREFILL_TARGET), ("decode", DECODE_TARGET)):
        ours, theirs = (statistics.median(rates[format_name, who, measure]) for who in ("kidogo", "peer"))
        cells += [f"{ours:,.1f}, {theirs:,.1f}", f"**{ours / theirs:.2f}**", f"{target}" if format_name in AIMED else "-"]
    share = 100 * statistics.median(rates[format_name, "kidogo", "decode"]) * read / bandwidth
    cells += [f"**{share:.0f} %**", f"{BANDWIDTH_TARGET} %" if bits >= 4 else "-"]
    print("| " + " | ".join(cells) + " |")
