"""100,000 mutated submissions, JSON and multipart, to a live server: every answer a known code, memory flat, health answers."""

import random

import mosel_server as mosel

SEED = 13
AIM_GROWTH = 1.02
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAA="
JSON = '{"model":"null","deadline_ms":5000,"min_accuracy":0.1,"tenant":"a","requests":[{"text":"a"},{"text":{"base64":"YWI="}}]}'
BEFORE = '{"requests":[{"text":"a"},{"text":"data:,"}],"deadline_ms":5000,"model":"null"}'
PART = "--cut\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n"
PARTS = PART.format("job", '{"model":"null","deadline_ms":5000}') + PART.format("text", "a") * 3 + "--cut--\r\n"
SAMPLES = [
    (JSON.encode(), "application/json"),
    (BEFORE.encode(), "application/json"),
    (PARTS.encode(), "multipart/form-data; boundary=cut"),
]
WORDS = [b'"', b"{", b"[", b"]", b"}", b",", b":", b"null", b"NaN", b"1e999", b"\\u0000", b"\\ud800", b"\r\n--cut", b"\r\n\r\n",
         b"--cut--", b'{"base64":"' + PNG.encode(), b"[" * 200, b"1" * 400, b"\xff", b"\x00"]


def mutated(body, chance):
    body = bytearray(body)
    for _ in range(chance.randint(1, 5)):
        at = chance.randint(0, len(body))
        end = min(len(body), at + chance.randint(0, 24))
        kind = chance.randrange(5)
        if kind == 0:
            del body[at:end]
        elif kind == 1:
            body[at:at] = chance.choice(WORDS)
        elif kind == 2 and at:
            del body[at:]
        elif kind == 3:
            to = chance.randint(0, len(body))
            body[to:to] = bytes(body[at:end])
        elif at < len(body):
            body[at] = chance.randrange(256)
    return bytes(body)


def main():
    options = mosel.arguments(__doc__, count=100_000, seed=SEED)
    chance = random.Random(options.seed)
    measure = mosel.Measure(f"{options.count} mutated submissions, seed {options.seed}")
    seen, strange = {}, []
    with mosel.Server(["--null"], config="[finished]\nmax_jobs = 100\n") as server:
        connection, warm = server.connect(), 0
        for number in range(options.count):
            body, kind = chance.choice(SAMPLES)
            body = mutated(body, chance)
            try:
                answer = server.request("POST", "/v1/jobs", body, {"Content-Type": kind}, connection=connection)
            except OSError as error:
                strange.append((error, body))
                connection = server.connect()
                continue
            word = answer.code or answer.status
            seen[word] = seen.get(word, 0) + 1
            if answer.status >= 500 and answer.status != 503 or answer.status >= 400 and answer.code is None:
                strange.append((answer.status, body))
            if number == options.count // 5:
                warm = server.resident_bytes()
        growth = server.resident_bytes() / warm
        alive = server.get("/healthz").status
    measure.note(", ".join(f"{word} {count}" for word, count in sorted(seen.items(), key=lambda item: -item[1])))
    measure.row("answers without a known code", len(strange), 0, not strange)
    for what, body in strange[:3]:
        measure.note(f"{what}: {body!r}")
    measure.row("memory after the last against a fifth", f"{growth:.3f}", f"<= {AIM_GROWTH}", growth <= AIM_GROWTH)
    measure.row("/healthz", alive, 200, alive == 200)
    measure.end()


if __name__ == "__main__":
    main()
