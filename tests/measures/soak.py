"""Soak: load at 0.8 of what the devices can do, and a fault every second, for as long as asked (half an hour by default).

Faults: the process is stopped for a while (SIGSTOP), one device's thread alone is frozen, clients leave in the middle of
a body or while they wait, inputs are broken, policies are swapped, SIGHUP is sent. Every job that was accepted must be
found again and end, with words if it failed; every certificate must agree with itself, with the answers that came, and
with this process's clock; memory must not grow. The seed is printed.
"""

import base64
import collections
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time

from mosel_server import Frozen, Measure, Server, arguments, linear_profile, open_socket, program

LANES = 2
REQUESTS = 4
FIXED_MS, EACH_MS = 20.0, 2.5
CHEAP_FIXED_MS, CHEAP_EACH_MS = 5.0, 0.6
CONFIG = f"""
[queue]
lanes = {LANES}

[finished]
keep_ms = 20000

[drain]
announce_ms = 0
linger_ms = 0
"""


class Load:
    """Jobs sent at random times, each on a connection of its own thread; what became of them."""

    def __init__(self, server, rate, seed):
        self.server = server
        self.rate = rate
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.wrong = []
        self.lost = []
        self.open = {}
        self.stopped = threading.Event()

    def run(self, threads=24):
        self.next_at = time.monotonic()
        workers = [threading.Thread(target=self.work, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        return workers

    def arrival(self):
        """When the next job is due: a Poisson process."""
        with self.lock:
            self.next_at += self.random.expovariate(self.rate)
            # after a stop of the process the load does not catch up
            self.next_at = max(self.next_at, time.monotonic() - 0.5)
            seed = self.random.random()
            return self.next_at, seed

    def work(self):
        while not self.stopped.is_set():
            at, seed = self.arrival()
            time.sleep(max(0.0, at - time.monotonic()))
            try:
                self.one(random.Random(seed))
            except OSError as error:
                self.count(f"connection: {type(error).__name__}")

    def one(self, chance):
        job = {
            "model": "toy",
            "deadline_ms": chance.choice([150, 300, 600, 1500]),
            "min_accuracy": chance.choice([0.0, 0.72, 0.78]),
            "on_late": chance.choice(["run", "drop"]),
            "tenant": chance.choice(["a", "b", "c"]),
            "requests": [{"text": f"t{at}", "extra": "x"} for at in range(chance.randint(1, 2 * REQUESTS))],
        }
        begin = time.monotonic()
        answer = self.server.submit(job, wait=chance.choice([None, 5, 30]), timeout=90)
        took_ms = (time.monotonic() - begin) * 1000
        if answer.status == 202:
            self.follow(job, answer.json["id"], begin)
        elif answer.status == 200:
            self.ended(job, answer.json, took_ms)
        else:
            self.count(f"refused: {answer.status} {answer.code}")

    def follow(self, job, name, begin):
        """Looks until the job has ended."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                answer = self.server.get(f"/v1/jobs/{name}", timeout=30)
            except OSError:
                time.sleep(0.1)
                continue
            if answer.status != 200:
                return self.lost.append((name, answer.status, answer.body[:200]))
            if "certificate" in answer.json:
                return self.ended(job, answer.json, (time.monotonic() - begin) * 1000)
            time.sleep(0.05)
        self.lost.append((name, "has not ended within a minute", answer.body[:300]))

    def ended(self, job, view, took_ms):
        self.count(view["state"] + (" in time" if view["certificate"]["in_time"] else ""))
        for fault in faults_of(job, view, took_ms):
            self.wrong.append((fault, json.dumps(view)[:1500]))

    def count(self, what):
        with self.lock:
            self.counts[what] += 1


def faults_of(job, view, took_ms):
    """What in a job's view is not true, as far as its client can tell."""
    certificate, state = view["certificate"], view["state"]
    outputs = view.get("outputs") or []
    answered = [output for output in outputs if output and output.get("label") is not None]
    mix = sum(share["requests"] for share in certificate["mix"])
    finish, deadline = certificate["finish_ms"], certificate["deadline_ms"]
    if state == "served" and (len(answered) != len(job["requests"]) or mix != len(answered)):
        yield "a served job has an answer to every request, and its mix counts them"
    if certificate["in_time"] != (state == "served" and finish <= deadline):
        yield "in time means that every request was answered by the deadline"
    if deadline != job["deadline_ms"]:
        yield "the deadline is the one that was asked for"
    # the arrival is after this process began to send, the end before it had the answer
    if finish > took_ms + 1:
        yield "no job ends after its client has read of its end"
    if mix:
        mean = sum(share["requests"] * share["accuracy"] for share in certificate["mix"]) / mix
        if abs(mean - certificate["accuracy"]) > 1e-6:
            yield "the accuracy is the mean over the mix"
        if state == "served" and (mean < job["min_accuracy"] - 1e-9 or certificate["floor_kept"] is not True):
            yield "a served job keeps its floor"
    if state in ("failed", "partial") and not view.get("reason"):
        yield "a job that failed says why"


class Faults:
    """One fault a second."""

    def __init__(self, server, folder, seed):
        self.server = server
        self.folder = folder
        self.chance = random.Random(seed)
        self.counts = collections.Counter()

    def one(self):
        kind = self.chance.choices(
            [self.pause, self.freeze, self.leave_body, self.leave_wait, self.broken, self.swap, self.hang_up],
            [2, 2, 4, 4, 4, 2, 1],
        )[0]
        self.counts[kind.__name__] += 1
        kind()

    def pause(self):
        os.kill(self.server.pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.05, 1.5))
        os.kill(self.server.pid, signal.SIGCONT)

    def freeze(self):
        with Frozen(self.server.pid, f"device-{self.chance.randrange(LANES)}"):
            time.sleep(self.chance.uniform(0.1, 4))

    def leave_body(self):
        with open_socket(self.server) as connection:
            head = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
            connection.sendall(head.encode() + b'{"model": "toy", "requests": [')
            if self.chance.random() < 0.5:
                # an abrupt end: RST
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def leave_wait(self):
        body = json.dumps({"model": "toy", "deadline_ms": 5000, "requests": [{"text": "x", "extra": "y"}] * 8}).encode()
        with open_socket(self.server) as connection:
            head = f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            time.sleep(self.chance.uniform(0, 0.05))

    def broken(self):
        picture = base64.b64encode(self.chance.randbytes(300)).decode()
        bodies = [
            b"{",
            b'{"model": "toy", "deadline_ms": NaN, "requests": []}',
            json.dumps({"model": "toy", "deadline_ms": 300, "requests": [{"text": {"base64": picture}, "extra": "x"}]}).encode(),
            json.dumps({"model": "toy", "deadline_ms": 300, "requests": [{"text": "t" * 100_000, "extra": "x"}]}).encode(),
            json.dumps({"model": "nobody", "deadline_ms": 300, "requests": [{}]}).encode(),
            self.chance.randbytes(2000),
        ]
        self.server.request("POST", "/v1/jobs", self.chance.choice(bodies), {"Content-Type": "application/json"})

    def swap(self):
        name = self.chance.choice(["exact", "greedy", "highest-accuracy"])
        words = [str(program()), "policy", "use", name, "--server", self.server.url]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        self.counts["swapped" if done.returncode == 0 else f"not swapped: {done.stderr.strip()[:120]}"] += 1

    def hang_up(self):
        os.kill(self.server.pid, signal.SIGHUP)


def main():
    options = arguments(__doc__, seconds=1800.0, seed=0)
    seed = options.seed or random.randrange(1 << 32)
    measure = Measure(f"soak: {options.seconds:.0f} s at 0.8x on {LANES} lanes, a fault every second, seed {seed}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mosel-soak-"))
    cheap = (["text"], CHEAP_FIXED_MS, CHEAP_EACH_MS, 740)
    profile = linear_profile(folder, "toy", FIXED_MS, EACH_MS, modalities=("text", "extra"), more=[cheap])
    # jobs have REQUESTS requests on average: one whole batch of 8 and what is left, roughly two batches of 4
    job_ms = FIXED_MS + EACH_MS * (REQUESTS + 0.5)
    rate = 0.8 * LANES * 1000 / job_ms
    server = Server(["--journal", folder / "journal"], CONFIG, [profile])
    with server:
        load, faults = Load(server, rate, seed), Faults(server, folder, seed + 1)
        workers = load.run()
        warm = min(60.0, options.seconds / 3)
        begin, resident, highest = time.monotonic(), None, 0
        while time.monotonic() < begin + options.seconds:
            second = time.monotonic() + 1
            faults.one()
            if server.child.poll() is not None:
                measure.row("the server", f"ended with {server.child.returncode}", "lives", False)
                measure.note("\n".join(list(server.lines)[-15:]))
                break
            if resident is None and time.monotonic() >= begin + warm:
                resident = server.resident_bytes()
            time.sleep(max(0.0, second - time.monotonic()))
        load.stopped.set()
        for worker in workers:
            worker.join(timeout=100)
        grown = server.resident_bytes() / resident - 1 if resident and server.child.poll() is None else 0
        server.terminate()
        code = server.wait(60)
    accepted = sum(count for what, count in load.counts.items() if not what.startswith(("refused", "connection")))
    measure.note(f"faults {dict(faults.counts)}")
    measure.note(f"jobs {dict(sorted(load.counts.items()))}")
    measure.row("jobs lost", f"{len(load.lost)} of {accepted} accepted", "0", not load.lost)
    measure.row("wrong certificates", len(load.wrong), "0", not load.wrong)
    measure.row("memory grown after the first minute", f"{100 * grown:.1f} %", "<= 2 %", grown <= 0.02)
    measure.row("exit code", code, "0", code == 0)
    for what in (load.lost + load.wrong)[:5]:
        measure.note(str(what))
    measure.end()


if __name__ == "__main__":
    main()
