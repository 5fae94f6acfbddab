"""Side outputs: what becomes of jobs when the log, the journal or the cache of compiled code cannot be written.

Under load, one fault at a time: the log's reader goes away (EPIPE), or stops reading (a full pipe); the journal's disk is
frozen (its thread is stopped), full, or its folder is removed; the cache's folder cannot be made; the process is killed
while it writes. No job may be lost or wait for it, the server stops in time, each trouble is said once, and the journal
keeps what it had, goes on by itself and replays.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from mosel_server import Frozen, Measure, Server, arguments, linear_profile, program

JOB = {"model": "toy", "deadline_ms": 5000, "requests": [{"text": "a"}] * 2}
JOURNAL_BYTES, JOURNAL_FILES = 65536, 8
STOPS_WITHIN = 12.0


class Load:
    """Jobs one after another from a few threads, and how long the slowest answer and look at /healthz took."""

    def __init__(self, server, threads=8):
        self.server, self.stop = server, threading.Event()
        self.served, self.lost, self.slowest, self.health = 0, [], 0.0, 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work) for _ in range(threads)]
        self.threads.append(threading.Thread(target=self.look))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def work(self):
        while not self.stop.is_set():
            begin = time.monotonic()
            try:
                answer = self.server.submit(JOB, wait=10, timeout=15)
                state = answer.json.get("state") if answer.status == 200 else answer.code
            except (OSError, ValueError) as error:
                state = str(error)
            took = time.monotonic() - begin
            with self.lock:
                self.slowest = max(self.slowest, took)
                if state == "served":
                    self.served += 1
                elif answer_is_loss(state):
                    self.lost.append(state)

    def look(self):
        while not self.stop.wait(0.05):
            begin = time.monotonic()
            try:
                self.server.get("/healthz", timeout=15)
            except OSError as error:
                self.lost.append(f"healthz: {error}")
            self.health = max(self.health, time.monotonic() - begin)


def answer_is_loss(state):
    """A job that is refused was not accepted, so it cannot be lost."""
    return state not in ("overloaded", "queue_full", "impossible", "too_many_requests")


def profile(folder):
    return linear_profile(folder, "toy", 4.0, 1.0)


def server(folder, journal=None, stderr=None, env=None, config=""):
    config += f'\n[journal]\ndir = "{journal}"\nmax_file_bytes = {JOURNAL_BYTES}\nmax_files = {JOURNAL_FILES}\n' if journal else ""
    return Server(config=config, timed=[profile(folder)], folder=folder, stderr=stderr, env=env)


def rows(measure, what, load, child, thaw=None):
    measure.row(f"{what}: jobs lost", f"{len(load.lost)} of {load.served + len(load.lost)} {load.lost[:2] or ''}", "0", not load.lost)
    measure.row(f"{what}: slowest job, slowest /healthz", f"{load.slowest:.2f} s, {load.health * 1000:.0f} ms", "<= 2 s, <= 500 ms", load.slowest <= 2 and load.health <= 0.5)
    begin = time.monotonic()
    child.terminate()
    if thaw:
        # a process one of whose threads is traced cannot end entirely: its last word counts
        while not said(child, " stopped ") and time.monotonic() - begin < STOPS_WITHIN:
            time.sleep(0.02)
        thaw()
    try:
        code = child.wait(STOPS_WITHIN + 20)
    except subprocess.TimeoutExpired:
        code = None
    took = time.monotonic() - begin
    measure.row(f"{what}: stops", f"with {code} after {took:.1f} s", f"with 0 within {STOPS_WITHIN:.0f} s", code == 0 and took <= STOPS_WITHIN)


def broken_log(measure, folder, blocked):
    what = "log's pipe full" if blocked else "log's reader gone"
    reader, writer = os.pipe()
    with server(folder, stderr=writer, env={"MOSEL_LOG": "trace"}) as child:
        os.close(writer)
        if not blocked:
            os.close(reader)
        with Load(child) as load:
            time.sleep(2.5)
        lost = child.metrics().get("mosel_log_lines_lost_total", 0)
        if blocked:
            # what the queue has room for is not lost
            measure.note(f"{what}: {lost:.0f} lines lost")
            text = []
            drain = threading.Thread(target=lambda: text.append(read_all(reader)))
            drain.start()
            time.sleep(0.5)
            child.get("/metrics")
        else:
            measure.row(f"{what}: lines lost are counted", f"{lost:.0f}", "> 0", lost > 0)
        rows(measure, what, load, child)
        if blocked:
            drain.join()
            said = text[0].count("lines of the log were lost")
            least = int(lost > 0)
            measure.row(f"{what}: said when it works again", f"{said} times", f"{least} to {2 * least}", least <= said <= 2 * least)


def read_all(reader):
    with os.fdopen(reader, "rb") as stream:
        return stream.read().decode(errors="replace")


def said(child, words):
    return sum(words in line for line in child.lines)


def replayed(measure, what, journal):
    replay = subprocess.run([str(program()), "replay", str(journal)], capture_output=True, text=True)
    last = (replay.stdout + replay.stderr).strip().splitlines()[-1:]
    measure.row(f"{what}: replay", f"status {replay.returncode}, {last}", "0", replay.returncode == 0)


def bytes_in(journal):
    return sum(path.stat().st_size for path in journal.glob("*"))


def after_trouble(measure, what, child, journal, before):
    """The journal goes on by itself within a few seconds of load."""
    newest = lambda: max((path.name for path in journal.glob("*.jsonl")), default="")
    end = time.monotonic() + 5
    while newest() <= before and time.monotonic() < end:
        time.sleep(0.05)
    measure.row(f"{what}: goes on in another file", newest(), f"> {before}", newest() > before)
    counts = said(child, "the journal cannot be written"), said(child, "the journal goes on")
    measure.row(f"{what}: said", f"{counts[0]} and {counts[1]} times", "once each", counts == (1, 1))


def frozen_journal(measure, folder):
    journal = folder / "journal"
    with server(folder, journal) as child:
        with Load(child) as load:
            time.sleep(0.5)
            job = child.submit(JOB, wait=10).json["id"]
            with Frozen(child.pid, "journal-disk"):
                begin = time.monotonic()
                time.sleep(1.5)
                explained = child.get(f"/v1/jobs/{job}/explain", timeout=15)
                took = time.monotonic() - begin - 1.5
            time.sleep(0.5)
        measure.row("journal frozen: explain", f"{explained.status} in {took * 1000:.0f} ms", "200 within 500 ms", explained.status == 200 and took <= 0.5)
        rows(measure, "journal frozen for a while", load, child)
        replayed(measure, "journal frozen for a while", journal)
    with server(folder, folder / "journal-2") as child:
        with Load(child) as load:
            time.sleep(0.5)
            frozen = Frozen(child.pid, "journal-disk")
            frozen.__enter__()
            time.sleep(0.5)
        rows(measure, "journal frozen at the stop", load, child, thaw=frozen.__exit__)


def full_journal(measure, folder):
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "mosel-measure", disk], capture_output=True).returncode:
        return measure.note("journal's disk full: skipped, no file system can be mounted here")
    try:
        journal = disk / "journal"
        with server(folder, journal) as child:
            with Load(child) as load:
                while len(list(journal.glob("*.jsonl"))) < 4:
                    time.sleep(0.05)
                fill(disk / "filler")
                time.sleep(0.5)
                names, kept = sorted(path.name for path in journal.glob("*")), bytes_in(journal)
                time.sleep(1.0)
                still = sorted(path.name for path in journal.glob("*"))
                measure.row("journal's disk full: files kept", f"{len(still)} of {len(names)}, {bytes_in(journal)} bytes of {kept}", "all", names == still and bytes_in(journal) >= kept)
                (disk / "filler").unlink()
                after_trouble(measure, "journal's disk full", child, journal, names[-1])
                time.sleep(0.5)
            most = JOURNAL_BYTES * JOURNAL_FILES
            measure.row("journal's disk full: bytes", bytes_in(journal), f"<= {most}", bytes_in(journal) <= most)
            rows(measure, "journal's disk full", load, child)
        replayed(measure, "journal's disk full", journal)
    finally:
        subprocess.run(["umount", disk])


def fill(path):
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def removed_journal(measure, folder):
    journal = folder / "journal"
    with server(folder, journal) as child:
        with Load(child) as load:
            time.sleep(0.5)
            before = max(path.name for path in journal.glob("*.jsonl"))
            shutil.rmtree(journal)
            after_trouble(measure, "journal's folder removed", child, journal, before)
            time.sleep(0.3)
        rows(measure, "journal's folder removed", load, child)
        replayed(measure, "journal's folder removed", journal)


def no_journal_no_cache(measure, folder):
    blocked = folder / "a-file"
    blocked.write_text("in the place of a folder")
    with server(folder, blocked / "journal", config=f'[policy]\ncache_dir = "{blocked}"\ndir = "{blocked}/policies"\n') as child:
        with Load(child) as load:
            time.sleep(1)
        counts = said(child, "the journal cannot be written"), said(child, "policies are compiled anew")
        measure.row("no folder can be made: said", f"{counts[0]} and {counts[1]} times", "once each", counts == (1, 1))
        rows(measure, "no folder can be made", load, child)


def killed(measure, folder):
    journal = folder / "journal"
    with server(folder, journal) as child:
        with Load(child, threads=4) as load:
            time.sleep(0.7)
            child.child.send_signal(signal.SIGKILL)
            child.wait()
    with server(folder, journal) as child:
        child.submit(JOB, wait=10)
        time.sleep(0.2)
        child.kill()
    replayed(measure, "killed while it wrote", journal)


def main():
    arguments(__doc__)
    measure = Measure("Side outputs that cannot be written, under load")
    cases = [
        lambda folder: broken_log(measure, folder, blocked=False),
        lambda folder: broken_log(measure, folder, blocked=True),
        lambda folder: frozen_journal(measure, folder),
        lambda folder: full_journal(measure, folder),
        lambda folder: removed_journal(measure, folder),
        lambda folder: no_journal_no_cache(measure, folder),
        lambda folder: killed(measure, folder),
    ]
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="mosel-outputs-") as folder:
            case(pathlib.Path(folder))
    measure.end()


if __name__ == "__main__":
    main()
