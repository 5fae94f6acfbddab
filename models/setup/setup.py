#!/usr/bin/env python3
"""Fetches what is too large for the repository: libtorch, the data and pretrained towers, Rust's Wasm library.

  setup.py                  everything; a second run finds it all in place and is instant
  setup.py libtorch         only that part (libtorch, assets, wasm: any of them)
  setup.py doom             recordings of a simulated world for two models: minutes, so only if named
  setup.py doom --clips 64  only the first clips of each recording
  setup.py doom-sample      the first 32 clips of each, for tests, beside the full ones
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
NAMED_ONLY = ("doom", "doom-sample")


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="setup.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS) + "; none named: all of these; " + " or ".join(NAMED_ONLY))
    parser.add_argument("--cuda", action="store_true", help="libtorch with its CUDA half")
    parser.add_argument("--clips", type=int, help="doom: only so many clips of each recording")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.parts) - set(PARTS + NAMED_ONLY)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS + NAMED_ONLY)}")
    if chosen.clips is not None and (chosen.clips < 1 or chosen.parts != ["doom"]):
        parser.error("--clips is 1 or more, and belongs to the part doom alone")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for part in chosen.parts or PARTS:
            set_up(part, chosen)
    except Trouble as trouble:
        return fail(str(trouble), 1)
    except KeyboardInterrupt:
        return fail("interrupted; run it again to go on", 130)
    except OSError as error:
        return fail(from_system(error), 1)
    return 0


def set_up(part: str, chosen: argparse.Namespace) -> None:
    if part == "libtorch":
        libtorch.set_up(ROOT, chosen.cuda)
    elif part == "assets":
        import assets
        assets.set_up()
    elif part == "wasm":
        import wasm
        wasm.set_up(ROOT)
    elif part == "doom":
        import doom
        doom.set_up(chosen.clips)
    elif part == "doom-sample":
        import doom
        doom.set_up_sample()


def from_system(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full: make room, or set XDG_CACHE_HOME to a larger disk, then run it again"
    return f"{error.strerror or error} ({error.filename or 'no file named'}): set-up must be able to write its cache and the checkout"


def fail(text: str, status: int) -> int:
    print(f"setup: {text}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
