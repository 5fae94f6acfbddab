"""A Mosel server for measurements: started as a child, asked over HTTP, stopped. Python's standard library only.

    with Server(timed=[linear_profile(folder, "toy", 20.0, 2.5)]) as server:
        answer = server.submit({"model": "toy", "deadline_ms": 200, "requests": [{"text": "a"}]}, wait=1)
        print(answer.status, answer.json)

Every script here is one measure: `python3 tests/measures/NAME.py [--mosel PATH]` prints what it saw beside what is aimed at,
and ends with 1 if an aim was missed.
"""

import argparse
import collections
import ctypes
import http.client
import json
import math
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Answer:
    """The status, headers and body of a response."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The word of an error; None for an answer that is none."""
        try:
            return self.json["error"]["code"]
        except (ValueError, KeyError, TypeError):
            return None


class Server:
    """`mosel serve` as a child process on a free port; `config` is TOML text, `arguments` are flags."""

    def __init__(self, arguments=(), config="", timed=(), mosel=None, stderr=None, env=None, folder=None):
        self.mosel = str(mosel or program())
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="mosel-measure-"))
        words = [self.mosel, "serve", "--listen", "127.0.0.1:0"]
        if config:
            (self.folder / "mosel.toml").write_text(config)
            words += ["--config", str(self.folder / "mosel.toml")]
        for profile in timed:
            words += ["--timed", str(profile)]
        self.words = words + [str(word) for word in arguments]
        self.lines = collections.deque(maxlen=2000)
        self.stderr = stderr
        self.env = dict(os.environ, **(env or {}))
        self.child = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self, ready=True):
        pipe = subprocess.PIPE if self.stderr is None else self.stderr
        self.child = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=pipe, text=True, env=self.env, cwd=ROOT)
        if self.stderr is None:
            threading.Thread(target=self._keep, args=(self.child.stderr,), daemon=True).start()
        self.url = None
        for line in self.child.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("listening on "):
                self.url = line.split("listening on ", 1)[1].strip()
                break
        if self.url is None:
            self.child.wait()
            raise SystemExit("the server did not start:\n" + "\n".join(self.lines))
        threading.Thread(target=self._keep, args=(self.child.stdout,), daemon=True).start()
        host, port = self.url.split("//", 1)[1].rsplit(":", 1)
        self.host, self.port = host, int(port)
        if ready:
            self.until_ready()
        return self

    def _keep(self, stream):
        for line in stream:
            self.lines.append(line.rstrip())

    def until_ready(self, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.child.poll() is None:
            try:
                if self.get("/readyz").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit("the server is not ready:\n" + "\n".join(self.lines))

    @property
    def pid(self):
        return self.child.pid

    def connect(self, timeout=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=60, connection=None):
        """One request, on a connection of its own unless one is given."""
        own = connection is None
        connection = connection or self.connect(timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            if own:
                connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def submit(self, job, wait=None, headers=None, **options):
        """A job as JSON; `wait` seconds for its end."""
        headers = dict({"Content-Type": "application/json"}, **(headers or {}))
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return self.request("POST", "/v1/jobs", json.dumps(job).encode(), headers, **options)

    def metrics(self):
        """Samples by name with labels."""
        samples = {}
        for line in self.get("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def resident_bytes(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("VmRSS"))

    def terminate(self):
        self.child.send_signal(signal.SIGTERM)

    def wait(self, seconds=60):
        """The exit code."""
        return self.child.wait(timeout=seconds)

    def kill(self):
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
            self.child.wait()


class Frozen:
    """One thread of a process that does not run for a while, as if a device hung: stopped by ptrace, the others go on.

        with Frozen(server.pid, "device-0"):
            time.sleep(3)
    """

    SEIZE, INTERRUPT = 0x4206, 0x4207

    def __init__(self, pid, thread):
        tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
        named = [task for task in tasks if (task / "comm").read_text().strip() == thread]
        if not named:
            raise SystemExit(f"expected a thread {thread} in the server, found none")
        # the newest: older ones of the name may have been given up
        self.task = max(int(task.name) for task in named)

    def __enter__(self):
        released, self.release = os.pipe()
        frozen, told = os.pipe()
        self.tracer = os.fork()
        if self.tracer == 0:
            # when this process ends, the kernel lets the thread go on
            os.close(self.release)
            libc = ctypes.CDLL(None, use_errno=True)
            done = libc.ptrace(self.SEIZE, self.task, 0, 0) == 0 and libc.ptrace(self.INTERRUPT, self.task, 0, 0) == 0
            if done:
                os.waitpid(self.task, 0x40000000)
            os.write(told, b"1" if done else b"0")
            os.read(released, 1)
            os._exit(0)
        os.close(released)
        done = os.read(frozen, 1) == b"1"
        os.close(frozen)
        os.close(told)
        if not done:
            self.__exit__()
            raise SystemExit("expected to be allowed to stop a thread of the server (ptrace)")
        return self

    def __exit__(self, *_):
        os.close(self.release)
        os.waitpid(self.tracer, 0)


class Measure:
    """Prints rows of what was aimed at and seen; remembers whether an aim was missed."""

    def __init__(self, title):
        self.missed = False
        print(title, flush=True)

    def row(self, what, seen, aim, kept):
        """One row; `kept` says whether the aim was."""
        self.missed |= not kept
        print(f"  {what}: {seen} (aim {aim}){'' if kept else '  MISSED'}", flush=True)

    def note(self, text):
        print(f"  {text}", flush=True)

    def end(self):
        raise SystemExit(1 if self.missed else 0)


def arguments(description, **extra):
    """The command line of a measure: --mosel PATH and `extra` options with their defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--mosel", default=None, help="the program (default: target/release/mosel)")
    for name, default in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    options = parser.parse_args()
    if options.mosel:
        os.environ["MOSEL"] = options.mosel
    return options


def program():
    return os.environ.get("MOSEL") or ROOT / "target/release/mosel"


def linear_profile(folder, name, fixed_ms, each_ms, sizes=(1, 2, 4, 8), accuracy=800, modalities=("text",), more=()):
    """Writes a profile in which a batch of n requests takes fixed_ms + n * each_ms, for `--timed`; its path.

    `more` has further selections as (modalities, fixed_ms, each_ms, accuracy of 1000).
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def selection(names, fixed, each, correct):
        def latency(size):
            us = max(1, round((fixed + size * each) * 1000))
            return {"mean": us, "median": us, "p95": us, "p99": us, "runs": 100}

        low, high = wilson(correct, 1000)
        mean = round(correct / 1000, 4)
        return {
            "modalities": list(names),
            "accuracy": {"correct": correct, "samples": 1000, "mean": mean, "low": low, "high": high},
            "batches": [{"size": size, "latency_us": latency(size), "memory_bytes": 0} for size in sizes],
        }

    selections = [selection(modalities, fixed_ms, each_ms, accuracy)] + [selection(*one) for one in more]
    profile = {
        "format": "mosel-profile/1",
        "model": name,
        "modalities": list(modalities),
        "weights_sha256": "",
        "date": "2026-01-01T00:00:00Z",
        "device": {"name": "cpu", "processor": "made up", "threads": 1, "libraries": {}},
        "data": {"cut": "made up", "seed": 1, "samples": 1000},
        "memory": {"method": "none", "loaded_bytes": 0},
        "notes": [],
        "selections": selections,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(profile, indent=1))
    return path


def wilson(correct, samples, z=1.959963984540054):
    """The 95 % score interval of a share (Wilson 1927), as profiles round it."""
    mean, spread = correct / samples, z * z / samples
    center = (mean + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(mean * (1 - mean) / samples + spread / (4 * samples))
    return round(center - half, 4), round(center + half, 4)


def more_files(wanted=20_000):
    """Lets this process have so many open files, as far as the machine allows; how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(soft, most)


def open_socket(server, timeout=30):
    """A bare connection to the server."""
    return socket.create_connection((server.host, server.port), timeout=timeout)


def quantile(values, share):
    """The value below which this share of the values lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
