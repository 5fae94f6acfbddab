"""The slowest answer of /healthz while bodies of 32 MiB are read: one of each shape, then 64 of mixed shapes at once."""

import multiprocessing
import threading
import time

import mosel_server as mosel

SIZE = 32 << 20
AIM_MS = 100


def numbers():
    return b'{"model":"null","deadline_ms":60000,"requests":[{"text":[' + b"1," * (SIZE // 2 - 50) + b"1]}]}", "application/json"


def base64():
    return b'{"model":"null","deadline_ms":60000,"requests":[{"text":{"base64":"' + b"QUJD" * (SIZE // 4 - 50) + b'"}}]}', "application/json"


def requests():
    return b'{"model":"null","deadline_ms":60000,"requests":[' + b'{"text":"a"},' * (SIZE // 13 - 50) + b'{}]}', "application/json"


def keys():
    many = b",".join(b'"k%07d":"v"' % number for number in range(SIZE // 15 - 10))
    return b'{"model":"null","deadline_ms":60000,"requests":[{' + many + b"}]}", "application/json"


def nested():
    return b'{"model":"null","deadline_ms":60000,"requests":' + b"[" * (SIZE - 60), "application/json"


def escapes():
    return b'{"model":"null","deadline_ms":60000,"requests":[{"text":"' + b"\\u0041" * (SIZE // 6 - 50) + b'"}]}', "application/json"


def parts():
    part = b"--x\r\nContent-Disposition: form-data; name=\"%d.text\"\r\n\r\na\r\n"
    return b"".join(part % number for number in range(SIZE // 66)) + b"--x--\r\n", "multipart/form-data; boundary=x"


SHAPES = [numbers, base64, requests, keys, nested, escapes, parts]


def probe(host, port, stop, worst):
    """Asks for health every few milliseconds, on new connections; a process of its own, so that nothing here slows it."""
    import http.client

    while not stop.is_set():
        begin = time.monotonic()
        connection = http.client.HTTPConnection(host, port, timeout=60)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.close()
        worst.value = max(worst.value, 1000 * (time.monotonic() - begin))
        time.sleep(0.003)


def worst_health(server, work):
    """The slowest answer in milliseconds while this is done."""
    stop, worst = multiprocessing.Event(), multiprocessing.Value("d", 0.0)
    prober = multiprocessing.Process(target=probe, args=(server.host, server.port, stop, worst))
    prober.start()
    time.sleep(0.2)
    worst.value = 0.0
    begin = time.monotonic()
    work()
    took = time.monotonic() - begin
    stop.set()
    prober.join()
    return worst.value, took


def send(server, body, kind, codes):
    try:
        answer = server.request("POST", "/v1/jobs", body, {"Content-Type": kind}, timeout=120)
        codes.append(f"{answer.status} {answer.code}")
    except OSError as error:
        codes.append(type(error).__name__)


def main():
    mosel.arguments(__doc__)
    measure = mosel.Measure("the slowest /healthz while bodies of 32 MiB are read")
    bodies = [shape() for shape in SHAPES]
    with mosel.Server(["--null"]) as server:
        alone, _ = worst_health(server, lambda: time.sleep(1))
        measure.note(f"with nothing else to do: {alone:.0f} ms")
        for shape, (body, kind) in zip(SHAPES, bodies):
            codes = []
            worst, took = worst_health(server, lambda: send(server, body, kind, codes))
            measure.row(f"one body of {shape.__name__}, {codes[0]} after {took:.1f} s", f"{worst:.0f} ms", f"{AIM_MS} ms", worst <= AIM_MS)

        def all_at_once():
            senders = [threading.Thread(target=send, args=(server, *bodies[number % len(bodies)], codes)) for number in range(64)]
            [sender.start() for sender in senders]
            [sender.join() for sender in senders]

        codes = []
        worst, took = worst_health(server, all_at_once)
        counts = ", ".join(f"{codes.count(code)} x {code}" for code in sorted(set(codes)))
        measure.row(f"64 at once ({counts}; {took:.0f} s)", f"{worst:.0f} ms", f"{AIM_MS} ms", worst <= AIM_MS)
    measure.end()


if __name__ == "__main__":
    main()
