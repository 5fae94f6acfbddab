#!/usr/bin/env python3
"""Makes the component fair-share.wasm of app.py and fair_share.py.

  build.py                    to target/fair-share.wasm in the checkout; instant if nothing has changed since
  build.py OUTPUT             to that file
  build.py --bindings FOLDER  the Python form of the contract instead, for editors and type checkers

componentize-py is fetched once, by pinned hash, and kept in ${XDG_CACHE_HOME:-~/.cache}/mosel like all that set-up
fetches. Needs CPython 3.11 or newer with pip on Linux x86_64; no virtual environment and nothing else installed.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "models" / "setup"))
sys.dont_write_bytecode = True

import fetch
import libtorch
from folder import Trouble, beside, cache_home, ensure, is_stamped, locked, megabytes, work_folder

LISTING = HERE / "componentize-py.txt"
CONTRACT = ROOT / "sdk" / "wit" / "policy.wit"
WORLD = "scheduler"
# The module that is the component, and those it imports.
MODULES = ("app", "fair_share")
# A longer build is stuck: it takes a dozen seconds.
BUILD_S = 600


def main(arguments: list[str]) -> int:
    verbatim = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="build.py", description=__doc__, formatter_class=verbatim)
    parser.add_argument("output", nargs="?", type=Path, default=ROOT / "target" / "fair-share.wasm")
    parser.add_argument("--bindings", type=Path, metavar="FOLDER", help="write the contract in Python, build nothing")
    chosen = parser.parse_args(arguments)
    try:
        check_platform()
        if chosen.bindings:
            componentize_py(tool(), ["bindings", str(chosen.bindings.absolute())])
        else:
            build(chosen.output.absolute())
    except Trouble as trouble:
        return fail(str(trouble))
    except OSError as error:
        return fail(f"{error.strerror or error} ({error.filename or 'no file named'})")
    return 0


def check_platform() -> None:
    machine = os.uname()
    if (machine.sysname, machine.machine) != ("Linux", "x86_64"):
        raise Trouble(f"componentize-py is pinned for Linux x86_64 only, this is {machine.sysname} {machine.machine}")
    if sys.version_info < (3, 11):
        raise Trouble("this is Python %d.%d, and 3.11 is needed" % sys.version_info[:2])


def build(output: Path) -> None:
    """Writes the component, unless the one that lies there was made of the same inputs; it appears in one step."""
    with locked(output):
        made_of = inputs()
        if output.exists() and is_stamped(output.parent, stamp(made_of, output), beside(output, "stamp").name):
            return say(f"{output} is up to date")
        begun = time.monotonic()
        tool_folder = tool()
        with work_folder(output, 100) as work:
            sources = work / "sources"
            sources.mkdir()
            for module in MODULES:
                shutil.copy(HERE / f"{module}.py", sources)
            new = work / "new.wasm"
            # Stubs in place of WASI: a policy may import nothing but the contract's host functions.
            options = ["--stub-wasi", f"--python-path={sources}", f"--output={new}"]
            componentize_py(tool_folder, ["componentize", *options, MODULES[0]])
            os.replace(new, output)
        beside(output, "stamp").write_text(stamp(made_of, output))
        say(f"{output}: {megabytes(output):.1f} MB in {time.monotonic() - begun:.1f} s")


def inputs() -> str:
    """A hash of all that goes into the component."""
    digest = hashlib.sha256()
    for path in [Path(__file__), LISTING, CONTRACT, *(HERE / f"{module}.py" for module in MODULES)]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stamp(made_of: str, output: Path) -> str:
    """Names what the component was made of and the component itself: two builds of the same are not the same bytes."""
    return f"{made_of} {hashlib.sha256(output.read_bytes()).hexdigest()}\n"


def tool() -> Path:
    """The folder that componentize-py can be imported from."""
    (requirement,) = fetch.requirements(LISTING)
    home = cache_home() / f"{requirement.name}-{requirement.version}"

    def unpack(new: Path, downloads: Path) -> None:
        libtorch.unpack([fetch.wheel(requirement, downloads)], new, lambda name: name if is_wanted(name) else None)

    ensure(home, requirement.line + "\n", 150, unpack)
    return home


def is_wanted(name: str) -> bool:
    return name.startswith("componentize_py/") or libtorch.is_licence(name)


def componentize_py(tool_folder: Path, arguments: list[str]) -> None:
    # It looks for modules in the virtual environment too, and the component is to hold none of this machine's.
    environment = {**os.environ, "PYTHONPATH": str(tool_folder)}
    environment.pop("VIRTUAL_ENV", None)
    run = [sys.executable, "-S", "-c", "import componentize_py; componentize_py.script()"]
    options = ["--quiet", f"--wit-path={CONTRACT}", f"--world={WORLD}"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    try:
        ended = subprocess.run(run + options + arguments, env=environment, timeout=BUILD_S, **pipes)
    except subprocess.TimeoutExpired:
        raise Trouble(f"componentize-py did not end in {BUILD_S} s")
    if ended.returncode != 0:
        raise Trouble(f"componentize-py ended with {ended.returncode}:\n{ended.stdout.strip()}")


def say(text: str) -> None:
    print(f"build: {text}", flush=True)


def fail(text: str) -> int:
    print(f"build: {text}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
