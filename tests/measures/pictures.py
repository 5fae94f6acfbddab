"""Pictures for measures: sound, dear and broken PNG files, and changes of any file. Python's standard library only."""

import random
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, color=2, depth=8, interlaced=0, extra=b"", noise=True, seed=0):
    """A PNG file; `extra` are chunks between the header and the pixels."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    source = random.Random(seed)
    row_bytes = (width * samples * depth + 7) // 8
    make = source.randbytes if noise else bytes
    rows = b"".join(b"\0" + make(row_bytes) for _ in range(height)) if not interlaced else adam7(width, height, samples, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return SIGNATURE + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def adam7(width, height, samples, depth):
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x, y, dx, dy in passes:
        across, down = (width - x + dx - 1) // dx, (height - y + dy - 1) // dy
        if across > 0 and down > 0:
            rows += (b"\0" + bytes((across * samples * depth + 7) // 8)) * down
    return rows


def dear(number):
    """Files that cost much for what they weigh, one kind after the other."""
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(90 << 20), 1))
    kinds = [
        lambda: png(64, 64, extra=profile),
        lambda: png(512, 512, noise=False),
        lambda: png(512, 512, color=6, depth=16, interlaced=1),
        lambda: png(512, 1, noise=False),
        lambda: png(512, 512, seed=number),
    ]
    return kinds[number % len(kinds)]()


def broken(number):
    """Files whose headers are sound and whose pixels are not."""
    whole = png(512, 512, noise=False, seed=number)
    kinds = [
        lambda: whole[: len(whole) // 2],
        lambda: png(512, 512, extra=b"", noise=False).replace(b"IDAT", b"JDAT"),
        lambda: whole[:60] + bytes([whole[60] ^ 0xFF]) + whole[61:],
        lambda: png(1, 1)[:16] + struct.pack(">II", 512, 512) + png(1, 1)[24:],
    ]
    return kinds[number % len(kinds)]()


def mutated(file, source):
    """The file with one to four changes, drawn from `source`."""
    file = bytearray(file)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(file))
        kind = source.randrange(5)
        if kind == 0:
            file[at] ^= 1 << source.randrange(8)
        elif kind == 1:
            file[at] = source.choice([0, 255, source.randrange(256)])
        elif kind == 2 and len(file) > 2:
            del file[at:]
        elif kind == 3:
            file[at:at] = source.randbytes(source.randint(1, 16))
        else:
            end = min(len(file), at + source.randint(1, 64))
            to = source.randrange(len(file))
            file[to:to] = file[at:end]
        if not file:
            file = bytearray(b"\0")
    return bytes(file)
