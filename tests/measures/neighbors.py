"""Neighbors: what a tenant is served beside one with ten times its load, and how long late jobs wait at three times the load.

On a model that is served by sleeping: every job takes its device 20 ms. Jobs come as Poisson streams, over connections that are kept.
"""

import random
import signal
import tempfile
import threading
import time

from mosel_server import Measure, Server, arguments, linear_profile

JOB_S = 0.02


class Stream:
    """A tenant's jobs, as a Poisson process of this load for so long."""

    def __init__(self, server, tenant, load, deadlines_ms, seconds, seed):
        self.server, self.tenant, self.load, self.deadlines_ms = server, tenant, load, deadlines_ms
        self.random, self.seconds = random.Random(seed), seconds
        self.accepted, self.refused = [], {}
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        connection = self.server.connect()
        begin, due = time.monotonic(), 0.0
        while True:
            due += self.random.expovariate(self.load / JOB_S)
            if due > self.seconds:
                return
            time.sleep(max(0.0, begin + due - time.monotonic()))
            job = {"model": "sleep", "deadline_ms": self.random.choice(self.deadlines_ms), "tenant": self.tenant,
                   "requests": [{"text": "a"}]}
            answer = self.server.submit(job, connection=connection)
            if answer.status in (200, 202):
                self.accepted.append((due, answer.json["id"]))
            else:
                self.refused[answer.code] = self.refused.get(answer.code, 0) + 1

    def jobs(self, after=0.0):
        """The accepted jobs that were offered after so many seconds, once they have ended."""
        connection = self.server.connect()
        for _, name in [accepted for accepted in self.accepted if accepted[0] >= after]:
            while True:
                job = self.server.get(f"/v1/jobs/{name}?wait=0", connection=connection).json
                if job.get("certificate"):
                    yield job
                    break
                time.sleep(0.05)


def together(streams):
    for stream in streams:
        stream.thread.start()
    for stream in streams:
        stream.thread.join()


def server(folder, seconds):
    profile = linear_profile(folder, "sleep", 0.0, 1000 * JOB_S, sizes=(1,))
    config = f"[finished]\nmax_jobs = 100000\nkeep_ms = {int(1000 * (seconds + 300))}\n"
    return Server(timed=[profile], config=config)


def beside_a_greedy_one(measure, seconds):
    """A tenant that needs 0.29 of the device; the first 2 s are not counted."""
    for deadlines in ([500], [200, 500, 1500]):
        with tempfile.TemporaryDirectory() as folder, server(folder, seconds) as running:
            modest = Stream(running, "modest", 0.29, deadlines, seconds, seed=1)
            greedy = Stream(running, "greedy", 2.9, deadlines, seconds, seed=2)
            together([modest, greedy])
            served = sum(job["certificate"]["in_time"] for job in modest.jobs(after=2))
            counted = sum(1 for offered, _ in modest.accepted if offered >= 2)
            refused = sum(modest.refused.values())
            share = served / max(1, counted + refused)
            what = f"served in time of a tenant beside one with ten times its load, deadlines {deadlines} ms"
            measure.row(what, f"{100 * share:.1f} %", ">= 95 %", share >= 0.95)
            rest = len(greedy.accepted) * JOB_S / seconds
            measure.note(f"refused: {modest.refused}; the greedy one gets {rest:.2f} of the device, refused: {greedy.refused}")


def late_jobs(measure, seconds, share=0.05):
    """Three times the load; after 2 s the server stands still for half a second, and what it had promised is late."""
    with tempfile.TemporaryDirectory() as folder, server(folder, seconds) as running:
        stream = Stream(running, "load", 3.0, [400], seconds, seed=3)
        stream.thread.start()
        time.sleep(2)
        running.child.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        running.child.send_signal(signal.SIGCONT)
        stream.thread.join()
        late = [job["certificate"]["lateness_ms"] / 1000 for job in stream.jobs() if not job["certificate"]["in_time"]]
    # what is saved for all late batches, as long again for the last, and the longest deadline; the margin on top
    bound = 1.05 * ((len(late) + 1) * JOB_S / share + 0.4) + 0.5
    longest = max(late, default=0.0)
    kept = bool(late) and longest <= bound
    measure.row(f"longest wait of {len(late)} late jobs at 3x load", f"{longest:.1f} s", f"<= {bound:.1f} s, bounded", kept)
    measure.note(f"the load lasted {seconds} s")


def main():
    options = arguments(__doc__, seconds=12.0)
    measure = Measure("neighbors")
    beside_a_greedy_one(measure, options.seconds)
    late_jobs(measure, 2 * options.seconds)
    measure.end()


if __name__ == "__main__":
    main()
