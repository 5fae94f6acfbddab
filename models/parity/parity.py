#!/usr/bin/env python3
"""Compares the paper's networks with the published implementations, at the full size.

  parity.py            writes a checkpoint, inputs and the published answers for each network into target/parity
                       (a gigabyte, made anew each time), then runs the Rust test that reads them
  parity.py --small    writes the small ones into models/torch/tests/fixtures/paper, where every test run reads them;
                       needed only when reference.py changes

The published implementations run in a private Python (private.py): 0.56 GB to fetch once, 0.23 GB kept beside what
`make setup` keeps. Python 3.8 or newer starts this, CPython 3.11 must be there to run them.
"""
import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import private
from folder import Trouble, cache_home
from libtorch import VERSION

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "models" / "torch" / "tests" / "fixtures" / "paper"
TEST = ["cargo", "test", "--release", "--locked", "-p", "mosel-torch", "--lib", "--", "--ignored", "--nocapture", "full_size_networks_answer"]


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(prog="parity.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="write the fixtures of the ordinary tests")
    parser.add_argument("--no-test", action="store_true", help="write only, and leave the test to the caller")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.small:
            write(FIXTURES, "tiny")
            return 0
        out = ROOT / "target" / "parity"
        write(out, "full")
        return 0 if chosen.no_test else compare(out)
    except Trouble as trouble:
        print(f"parity: {trouble}", file=sys.stderr)
        return 1


def write(out: Path, sizes: str) -> None:
    torch_home = cache_home() / f"libtorch-{VERSION}"
    if not torch_home.exists():
        raise Trouble(f"{torch_home} is missing: make setup, with LIBTORCH unset")
    home = private.ensure(torch_home)
    begun = time.monotonic()
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    command = private.command(private.HERE / "reference.py", str(out), sizes)
    if subprocess.run(command, env=private.environment(home)).returncode != 0:
        raise Trouble("the reference failed, see above")
    print(f"parity: the published implementations answered in {time.monotonic() - begun:.0f} s", flush=True)


def compare(out: Path) -> int:
    begun = time.monotonic()
    status = subprocess.run(TEST, cwd=str(ROOT), env={**os.environ, "MOSEL_PARITY": str(out), "OMP_NUM_THREADS": "1"}).returncode
    print(f"parity: compared in {time.monotonic() - begun:.0f} s", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
