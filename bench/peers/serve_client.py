"""Asks a server of Kidogo's for bench/peers/serve and prints what it measured as JSON; standard library only.

serve_client.py streams|prefix|mask URL        table FOLDER        load URL MINUTES PROCESS
"""
import http.client
import json
import random
import statistics
import sys
import threading
import time
from urllib.parse import urlparse

ENDLESS = {"logit_bias": {"0": -100, "2": -100}}  # SmolLM2's ends of text and of a turn: every answer is as long as it may be
WORDS = "The village lies by the river and people walk to the market with baskets of maize in the early morning while children sing on the road ".split()


def prompt(tokens, seed):
    """Words that make about so many tokens, different from the first on for each seed."""
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(tokens))


def post(url, body, timeout=600):
    at = urlparse(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=timeout)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def whole(url, body):
    connection, response = post(url, body)
    answer = json.loads(response.read())
    connection.close()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {answer}")
    return answer


def stream(url, body, found):
    """Appends (first token, last token, tokens) in seconds from the request."""
    start = time.perf_counter()
    connection, response = post(url, body | {"stream": True, "stream_options": {"include_usage": True}})
    first = last = tokens = None
    for line in response:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        chunk = json.loads(line[6:])
        if chunk.get("usage"):
            tokens = chunk["usage"]["completion_tokens"]
        elif chunk["choices"]:
            last = time.perf_counter() - start
            first = first or last
    connection.close()
    found.append((start + first, start + last, tokens, first))


def together(jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def streams(url):
    whole(url, {"prompt": "warm up", "max_tokens": 16})
    found = []
    start = time.perf_counter()
    bodies = [{"prompt": prompt(118, seed), "max_tokens": 128, "temperature": 0} | ENDLESS for seed in range(8)]
    together([lambda body=body: stream(url, body, found) for body in bodies])
    begun = max(each[0] for each in found)  # all have their first token
    ended = min(each[1] for each in found)
    share = (ended - begun) / statistics.mean(each[1] - each[0] for each in found)
    return {
        "decode": sum(each[2] - 1 for each in found) * share / (ended - begun),
        "first": statistics.mean(each[3] for each in found),
        "all": max(each[1] for each in found) - start,
    }


def prefix(url):
    text = prompt(1900, time.time_ns())
    times = []
    for question in ("", " Yes", " No"):
        found = []
        stream(url, {"prompt": text + question, "max_tokens": 4, "temperature": 0} | ENDLESS, found)
        times.append(found[0][3])
    return {"cold": times[0], "warm": statistics.mean(times[1:])}


def mask(url):
    schema = {"type": "object", "properties": {"items": {"type": "array", "minItems": 12, "maxItems": 12, "items": {
        "type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "count": {"type": "integer"}}, "required": ["name", "count"], "additionalProperties": False}}},
        "required": ["items"], "additionalProperties": False}
    rates = {}
    for name, extra in (("free", ENDLESS), ("masked", {"json_schema": schema}), ("free", ENDLESS), ("masked", {"json_schema": schema})):
        answer = whole(url, {"prompt": "A list of things and how many there are:", "max_tokens": 200, "temperature": 0} | extra)
        rates.setdefault(name, []).append(answer["timings"]["predicted_per_second"])
    return {name: each[-1] for name, each in rates.items()} | {"first masked": rates["masked"][0]}


def table(folder):
    def rows(name):
        return [json.loads(line) for line in open(f"{folder}/{name}")]

    def median(name, key):
        return statistics.median(row[key] for row in rows(name))

    # llama.cpp computes eight prompts of 128 in one go: the first token of each is there when all are.
    peer_first = statistics.median(8 * 128 / row["pp_tps"] for row in rows("peer"))
    first, decode, peer, bench = median("streams", "first"), median("streams", "decode"), median("peer", "tg_tps"), median("bench", "decode_tokens_per_second")
    cold, warm, free, masked = median("prefix", "cold"), median("prefix", "warm"), median("mask", "free"), median("mask", "masked")
    print("| measure | Kidogo's server | beside it | ratio | aim |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(f"| 8 streams, 128 + 128: decode, tokens/s | {decode:.0f} | llama.cpp {peer:.0f} | **{decode / peer:.2f}** | 1.5 |")
    print(f"| the same: first token, mean, s | {first:.2f} | llama.cpp {peer_first:.2f} | **{peer_first / first:.2f}** | 1.5 |")
    print(f"| the same, beside `kidogo bench --batch 8` | {decode:.0f} | {bench:.0f} | **{decode / bench:.3f}** | 0.98 |")
    print(f"| a prefix of about 2,000 tokens, first token, s | again {warm:.3f} | cold {cold:.3f} | **{warm / cold:.3f}** | 0.05 |")
    print(f"| a JSON schema as a mask, tokens/s | {masked:.0f} | without {free:.0f} | **{masked / free:.3f}** | 0.95 |")


def load(url, minutes, process):
    end = time.time() + 60 * float(minutes)
    statuses, wrong, lock = {}, [], threading.Lock()

    def memory():
        with open(f"/proc/{process}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def count(status, meant):
        with lock:
            statuses[status] = statuses.get(status, 0) + 1
            if status not in meant:
                wrong.append(status)

    def client(seed):
        draw = random.Random(seed)
        while time.time() < end:
            body = {"prompt": prompt(draw.choice([5, 40, 300]), draw.random()), "max_tokens": draw.randint(4, 80), "temperature": draw.choice([0, 0.8])}
            kind = draw.random()
            try:
                if kind < 0.1:  # goes away half-way
                    connection, response = post(url, body | {"stream": True, "max_tokens": 400} | ENDLESS)
                    for _ in range(draw.randint(0, 20)):
                        response.readline()
                    response.close()
                    connection.close()
                elif kind < 0.15:
                    connection, response = post(url, {"prompt": "x " * 9000, "max_tokens": 4})
                    response.read()
                    count(response.status, (400,))
                    connection.close()
                elif kind < 0.2:
                    connection, response = post(url, {"prompt": 7.5, "nonsense": [1]})
                    response.read()
                    count(response.status, (400,))
                    connection.close()
                elif kind < 0.6:
                    stream(url, body, [])
                    count(200, (200,))
                else:
                    connection, response = post(url, body)
                    response.read()
                    count(response.status, (200, 429))
                    connection.close()
            except Exception as failure:
                with lock:
                    wrong.append(repr(failure))

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    measured = []
    while time.time() < end:
        time.sleep(1)
        measured.append((time.time(), memory()))
    for thread in threads:
        thread.join()
    time.sleep(2)
    at = urlparse(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
    connection.request("GET", "/slots")
    slots = json.loads(connection.getresponse().read())
    busy = sum(bool(slot.get("is_processing")) for slot in slots)
    after = [value for when, value in measured if when > end - 60 * float(minutes) + 60] or [value for _, value in measured[len(measured) // 2:]]
    print()
    print(f"Mixed load, {minutes} minutes, 16 clients: answers by status {dict(sorted(statuses.items()))}; not intended: {wrong[:10] or 'none'}; "
          f"memory after the first minute {min(after):.0f} to {max(after):.0f} MiB, at the end {after[-1]:.0f}; places taken at the end: {busy} of {len(slots)}.")
    if wrong or busy or max(after) > 1.05 * min(after):
        raise SystemExit("That is not what was meant: no error but the intended ones, memory flat within 5 %, no place taken.")


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "table":
        table(*rest)
    elif what == "load":
        load(*rest)
    else:
        print(json.dumps({"streams": streams, "prefix": prefix, "mask": mask}[what](*rest)))
