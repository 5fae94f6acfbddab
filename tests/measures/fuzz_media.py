"""20,000 changed pictures sent to the real `emoji` model, 16 a job: no job is lost, the server's memory stays flat.

    python3 tests/measures/fuzz_media.py [--mosel PATH] [--files 20000] [--seed 1]

What each file becomes is checked by models/src/prepare/mutated.rs, over all formats; here it is the server that is.
"""

import base64
import pathlib
import random

from mosel_server import Measure, ROOT, Server, arguments
from pictures import broken, dear, mutated, png

REQUESTS = 16


def main():
    options = arguments(__doc__.splitlines()[0], files=20000.0, seed=1.0)
    measure = Measure("Changed pictures")
    source = random.Random(int(options.seed))
    fixtures = [path.read_bytes() for path in sorted((ROOT / "models/tests/fixtures").glob("*.jpg"))]
    seeds = fixtures + [png(20, 20), png(64, 40, color=6), png(33, 9, color=0, depth=16), broken(2), dear(3)]
    server = Server(arguments=["--model", "emoji"], mosel=options.mosel)
    with server:
        ends, early, late = {}, None, None
        jobs = int(options.files) // REQUESTS
        for number in range(jobs):
            files = [mutated(source.choice(seeds), source) for _ in range(REQUESTS)]
            requests = [{"image": {"base64": base64.b64encode(file).decode()}, "text": "sun"} for file in files]
            answer = server.submit({"model": "emoji", "deadline_ms": 60000, "min_accuracy": 0.84, "requests": requests}, wait=60)
            end = answer.json["state"] if answer.status == 200 else answer.code
            ends[end] = ends.get(end, 0) + 1
            if number == jobs // 5:
                early = rss(server)
        late = rss(server)
        print(f"ends: {dict(sorted(ends.items()))}")
        known = {"served", "partial", "failed", "input_not_picture", "input_picture_size"}
        measure.row("ends that are none of an input's", sum(count for end, count in ends.items() if end not in known), "0", set(ends) <= known)
        lost = sum(value for name, value in server.metrics().items() if name.startswith("mosel_models_lost_total"))
        measure.row("models rebuilt", int(lost), "0", lost == 0)
        growth = (late - early) / early if early else 0.0
        measure.row("memory after a fifth of them and after all", f"{early} and {late} kB", "+ 5 %", growth <= 0.05)
    measure.end()


def rss(server):
    lines = pathlib.Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


main()
