"""The whole process stands still for 3 s (SIGSTOP) with a batch in flight; then tight jobs come to an idle, healthy server.

    python3 tests/measures/pause.py [--mosel PATH] [--seconds 3]

The aim: at least 99 % of those that come within a second of the pause's end are accepted, and no lane was suspect.
"""

import os
import signal
import threading
import time

from mosel_server import Measure, Server, arguments, linear_profile


def main():
    options = arguments(__doc__.splitlines()[0], seconds=3.0)
    measure = Measure("A pause with a batch in flight")
    server = Server(config="[drain]\nannounce_ms = 0\nlinger_ms = 0\n")
    server.words += ["--timed", str(linear_profile(server.folder, "toy", 15.0, 5.0))]
    with server:
        threading.Thread(target=submit, args=(server, 8, 60_000), daemon=True).start()
        time.sleep(0.03)
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(options.seconds)
        os.kill(server.pid, signal.SIGCONT)
        end = time.monotonic() + 1.0
        time.sleep(0.1)
        codes = []
        while time.monotonic() < end:
            codes.append(submit(server, 1, 50).status)
        accepted = sum(code == 200 for code in codes)
        share = accepted / max(1, len(codes))
        measure.row("tight jobs accepted", f"{accepted} of {len(codes)}", ">= 99 %", share >= 0.99)
        samples = server.metrics()
        lost = sum(value for name, value in samples.items() if name.startswith("mosel_lanes_lost_total"))
        measure.row("lanes lost", int(lost), "0", lost == 0)
        ready = server.get("/readyz").status
        measure.row("ready afterwards", ready, "200", ready == 200)
    measure.end()


def submit(server, requests, deadline_ms):
    return server.submit({"model": "toy", "deadline_ms": deadline_ms, "requests": [{"text": "a"}] * requests}, wait=5)


main()
