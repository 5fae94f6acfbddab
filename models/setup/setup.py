#!/usr/bin/env python3
"""Fetches what is too large for the repository: libtorch, the data and pretrained towers, Rust's Wasm library.

  setup.py                  everything; a second run finds it all in place and is instant
  setup.py libtorch         only that part (libtorch, assets, wasm: any of them)
  setup.py libtorch --cuda  with the libraries for NVIDIA GPUs (2.5 GB to fetch instead of 0.5)

Kept in ${XDG_CACHE_HOME:-~/.cache}/mosel, shared by all checkouts. Python 3.8 or newer, nothing else installed.
Start reading here; folder.py says how a part is made so that nothing can be half there.

  LIBTORCH=/path            use that unpacked libtorch
  LIBTORCH_USE_PYTORCH=1    use the one in python3's torch
  MOSEL_ASSETS=/path        keep data and towers there
"""
import argparse
import errno
import signal
import sys
from pathlib import Path
from typing import List

if sys.version_info < (3, 8):
    sys.exit("setup: this is Python %d.%d, and 3.8 is needed: install a newer python3" % sys.version_info[:2])

import libtorch
from folder import Trouble

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("libtorch", "assets", "wasm")


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="setup.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS) + "; none named: all")
    parser.add_argument("--cuda", action="store_true", help="libtorch with its CUDA half")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for part in chosen.parts or PARTS:
            set_up(part, chosen.cuda)
    except Trouble as trouble:
        return fail(str(trouble), 1)
    except KeyboardInterrupt:
        return fail("interrupted; run it again to go on", 130)
    except OSError as error:
        return fail(from_system(error), 1)
    return 0


def set_up(part: str, cuda: bool) -> None:
    if part == "libtorch":
        libtorch.set_up(ROOT, cuda)
    elif part == "assets":
        import assets
        assets.set_up()
    elif part == "wasm":
        import wasm
        wasm.set_up(ROOT)


def from_system(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full: make room, or set XDG_CACHE_HOME to a larger disk, then run it again"
    return f"{error.strerror or error} ({error.filename or 'no file named'}): set-up must be able to write its cache and the checkout"


def fail(text: str, status: int) -> int:
    print(f"setup: {text}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
