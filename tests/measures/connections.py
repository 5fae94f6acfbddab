"""A new client's first answer beside 5,000 idle and 1,100 slow connections, all of them from one address."""

import threading
import time

import mosel_server as mosel

IDLE, SLOW = 5000, 1100
AIM_MS = 1000
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
UNREAD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400


def idle(server):
    """A connection that was used once and is kept."""
    connection = mosel.open_socket(server)
    connection.sendall(HEALTH)
    connection.recv(1000)
    return connection


def slow(server, number):
    """One of three kinds: half a head, a body that trickles, answers that nobody reads."""
    connection = mosel.open_socket(server)
    connection.setblocking(False)
    try:
        connection.send([HEAD, BODY, UNREAD][number % 3])
    except OSError:
        pass
    return connection


def trickle(connections, stop):
    """A byte on each slow connection, again and again."""
    while not stop.wait(0.5):
        for number, connection in enumerate(connections):
            if number % 3 < 2:
                try:
                    connection.send(b"x")
                except OSError:
                    pass


def first_answer(server, path):
    """Milliseconds to the first answer on a new connection, and its status."""
    begin = time.monotonic()
    status = server.get(path, timeout=20).status
    return 1000 * (time.monotonic() - begin), status


def main():
    options = mosel.arguments(__doc__, config="")
    measure = mosel.Measure(f"a new client beside {IDLE} idle and {SLOW} slow connections from its address")
    if mosel.more_files(IDLE + SLOW + 500) < IDLE + SLOW + 200:
        measure.note("too few file descriptors for this measure")
        measure.end()
    with mosel.Server(["--null"], config=options.config) as server:
        slow_ones = [slow(server, number) for number in range(SLOW)]
        stop = threading.Event()
        threading.Thread(target=trickle, args=(slow_ones, stop), daemon=True).start()
        idle_ones = [idle(server) for _ in range(IDLE)]
        for path, wanted in [("/v1/models", 200), ("/healthz", 200), ("/readyz", 200), ("/metrics", 200)]:
            answers = []
            for _ in range(20):
                answers.append(first_answer(server, path))
                time.sleep(0.02)
            worst = max(took for took, _ in answers)
            kept = worst <= AIM_MS and all(status == wanted for _, status in answers)
            measure.row(f"GET {path}, slowest of 20", f"{worst:.1f} ms", f"{AIM_MS} ms", kept)
        closed = {name: count for name, count in server.metrics().items() if "connections" in name}
        for name, count in sorted(closed.items()):
            measure.note(f"{name} {count:.0f}")
        stop.set()
        [connection.close() for connection in idle_ones + slow_ones]
    measure.end()


if __name__ == "__main__":
    main()
