"""Neighbors beside broken and dear pictures: one client sends 20 a second, the others' accepted jobs shall not be late for it.

    python3 tests/measures/bad_pictures.py [--mosel PATH] [--seconds 20] [--rate 20] [--neighbors 15]

The real `emoji` model. The aim: at most 0.5 % of the neighbors' accepted jobs are late.
"""

import base64
import threading
import time

from mosel_server import Measure, Server, arguments
from pictures import broken, dear, png


def main():
    options = arguments(__doc__.splitlines()[0], seconds=20.0, rate=20.0, neighbors=15.0)
    measure = Measure("Broken and dear pictures beside neighbors")
    bad = [base64.b64encode((broken if number % 2 else dear)(number // 2)).decode() for number in range(20)]
    good = [base64.b64encode(png(72, 72, seed=number)).decode() for number in range(8)]
    server = Server(arguments=["--model", "emoji"], mosel=options.mosel)
    with server:
        own = longest(server, good)
        deadline = max(60.0, 4 * own)
        print(f"a job of 4 requests takes {own:.0f} ms; deadlines are {deadline:.0f} ms")
        answers = {"neighbors": [], "bad": []}
        end = time.monotonic() + options.seconds
        loads = [
            threading.Thread(target=load, args=(server, answers["bad"], options.rate, end, lambda n: job([bad[n % len(bad)]], 2000))),
            threading.Thread(
                target=load,
                args=(server, answers["neighbors"], options.neighbors, end, lambda n: job([good[n % 8]] * 4, deadline)),
            ),
        ]
        [thread.start() for thread in loads]
        [thread.join() for thread in loads]
        ended = [answer.json for answer in answers["neighbors"] if answer.status == 200]
        late = sum(1 for body in ended if not body["certificate"]["in_time"])
        share = late / max(1, len(ended))
        measure.row("neighbors' jobs accepted", f"{len(ended)} of {len(answers['neighbors'])}", "> 50 %", 2 * len(ended) > len(answers["neighbors"]))
        measure.row("of these late", f"{late} ({100 * share:.2f} %)", "<= 0.5 %", share <= 0.005)
        served = [body for body in (answer.json for answer in answers["bad"] if answer.status == 200) if body["state"] == "served"]
        states = sorted({answer.json.get("state", answer.code) for answer in answers["bad"]})
        most = max((answer.json["timings"].get("prepare_ms", 0) for answer in answers["bad"] if answer.status == 200), default=0)
        print(f"bad pictures: {len(answers['bad'])} sent, {len(served)} served, ends {states}, at most {most:.1f} ms of preparation")
        errors = sum(1 for body in served for output in body["outputs"] if "error" in output)
        measure.row("served jobs with an error in them", errors, "0", errors == 0)
    measure.end()


def job(pictures, deadline):
    requests = [{"image": {"base64": picture}, "text": "sun"} for picture in pictures]
    return {"model": "emoji", "deadline_ms": deadline, "min_accuracy": 0.84, "requests": requests}


def longest(server, good):
    times = sorted(server.submit(job([good[0]] * 4, 60_000), wait=30).json["timings"]["device_ms"] for _ in range(10))
    return times[-1]


def load(server, answers, rate, end, make):
    threads, number, due = [], 0, time.monotonic()
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        body = make(number)
        thread = threading.Thread(target=lambda body=body: answers.append(server.submit(body, wait=20)))
        thread.start()
        threads.append(thread)
        number, due = number + 1, due + 1 / rate
    [thread.join() for thread in threads]


main()
