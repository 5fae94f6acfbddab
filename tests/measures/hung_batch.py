"""A batch that hangs: its device thread is frozen. How long until the server is not ready and the job is told; and whether
the jobs of another lane are harmed.

    python3 tests/measures/hung_batch.py [--mosel PATH] [--factor 3]

The aim is three times the batch's p99 and a second.
"""

import threading
import time

from mosel_server import Frozen, Measure, Server, arguments, linear_profile

FIXED_MS, EACH_MS = 100.0, 100.0


def main():
    options = arguments(__doc__.splitlines()[0], factor=3.0)
    measure = Measure("A batch that hangs")
    p99 = (FIXED_MS + EACH_MS) / 1000
    aim = options.factor * p99 + 1.0
    one_lane(measure, aim)
    two_lanes(measure, aim)
    measure.end()


def job(deadline_ms=60_000):
    return {"model": "toy", "deadline_ms": deadline_ms, "requests": [{"text": "a"}]}


def start(lanes):
    server = Server(config=f"[queue]\nlanes = {lanes}\n[drain]\nannounce_ms = 0\nlinger_ms = 0\n")
    server.words += ["--timed", str(linear_profile(server.folder, "toy", FIXED_MS, EACH_MS))]
    return server


def freeze_in_a_batch(server, thread):
    """Submits a job and freezes the thread that runs it; what becomes of the job, as a list that will have one answer."""
    told = []
    begin = time.monotonic()

    def submit():
        answer = server.submit(job(), wait=30)
        told.append((time.monotonic() - begin, answer.json))

    threading.Thread(target=submit, daemon=True).start()
    time.sleep(0.05)
    return told, begin, Frozen(server.pid, thread)


def until(holds, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return False


def one_lane(measure, aim):
    with start(1) as server:
        told, begin, frozen = freeze_in_a_batch(server, "device-0")
        with frozen:
            unready = until(lambda: server.get("/readyz").status == 503)
            after = time.monotonic() - begin
            measure.row("one lane: not ready after", f"{after:.2f} s", f"<= {aim:.2f} s", unready and after <= aim)
            answered = until(lambda: told)
            seconds, answer = told[0] if answered else (30.0, {})
            ended = answered and answer.get("state") == "failed"
            measure.row("one lane: the job is told after", f"{seconds:.2f} s", f"<= {aim:.2f} s", ended and seconds <= aim)
            measure.note(f"reason: {answer.get('reason')}")
            again = until(lambda: server.get("/readyz").status == 200)
            after = time.monotonic() - begin
            measure.row("one lane: ready again after", f"{after:.2f} s", "with another thread", again)
            served = server.submit(job(), wait=10).json.get("state")
            measure.row("one lane: a job then is", served, "served", served == "served")
        server.terminate()
        code = server.wait()
        measure.row("one lane: exit code", code, "0", code == 0)


def two_lanes(measure, aim):
    with start(2) as server:
        told, begin, frozen = freeze_in_a_batch(server, "device-0")
        with frozen:
            states = []
            while time.monotonic() - begin < aim:
                answer = server.submit(job(2_000), wait=5).json
                states.append((answer.get("state"), (answer.get("certificate") or {}).get("in_time")))
            harmed = [state for state in states if state[0] != "served"]
            measure.row("two lanes: jobs of the other lane harmed", f"{len(harmed)} of {len(states)}", "0", not harmed)
            answered = until(lambda: told)
            seconds = told[0][0] if answered else 30.0
            measure.row("two lanes: the hung job is told after", f"{seconds:.2f} s", f"<= {aim:.2f} s", seconds <= aim)
        server.terminate()
        server.wait()


main()
