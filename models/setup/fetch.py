"""Fetches pinned packages with the user's own pip and npm, so that their mirrors, proxies and certificates hold.

Nothing here names a registry. What arrives is checked against a hash in this repository before it is opened.
"""
from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import List, NamedTuple, Optional

from folder import Trouble, megabytes, say

# The wheels are for CPython 3.11 and Linux x86_64, whatever the Python that runs this: only files in them are used.
# pip takes a wheel only if one of its tags is listed, and old wheels carry old names.
PLATFORMS = [f"manylinux_2_{n}_x86_64" for n in range(28, 4, -1)] + ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "any"]
TARGET = ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=abi3", "--abi=none"]
PIP_WITH_SEVERAL_PLATFORMS = 21


class Requirement(NamedTuple):
    """One line of a requirements file."""
    name: str
    version: str
    line: str

    @property
    def what(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def wheel_start(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-"


class Tarball(NamedTuple):
    """One npm package, pinned."""
    name: str
    version: str
    integrity: str

    @property
    def what(self) -> str:
        return f"{self.name} {self.version}"


def requirements(listing: Path, names: Optional[List[str]] = None) -> List[Requirement]:
    found = []
    for line in listing.read_text().splitlines():
        pinned = re.match(r"([\w-]+)==([\w.]+)(?: --hash=sha256:[0-9a-f]{64})+$", line)
        if pinned:
            found.append(Requirement(pinned[1], pinned[2], line))
    return [r for r in found if names is None or r.name in names]


def wheel(requirement: Requirement, downloads: Path) -> Path:
    """Downloads one wheel, unless an interrupted set-up left it. pip checks the hash in both cases."""
    listing = downloads / "requirement.txt"
    listing.write_text(requirement.line + "\n")
    platforms = [f"--platform={p}" for p in PLATFORMS]
    download = ["download", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--require-hashes", f"--requirement={listing}", f"--dest={downloads}"]
    took = _run(requirement.what, pip() + download + TARGET + platforms, downloads)
    (path,) = downloads.glob(requirement.wheel_start + "*.whl")
    say(f"fetched {requirement.what}: {megabytes(path):.1f} MB in {took:.1f} s")
    return path


def install(listing: Path, into: Path, downloads: Path) -> None:
    """Unpacks the listed packages for the Python that runs this, into a folder to put on its path."""
    version = "%d.%d" % sys.version_info[:2]
    tag = "cp" + version.replace(".", "")
    command = ["install", "--quiet", "--no-deps", "--no-cache-dir", "--no-compile", "--disable-pip-version-check", "--require-hashes", f"--requirement={listing}", f"--target={into}"]
    target = ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}", f"--abi={tag}", "--abi=abi3", "--abi=none"] + [f"--platform={p}" for p in PLATFORMS]
    what = ", ".join(r.what for r in requirements(listing))
    took = _run(what, pip() + command + target, downloads)
    say(f"fetched {what}: {megabytes(into):.1f} MB in {took:.1f} s")


def tarball(package: Tarball, downloads: Path) -> Path:
    """Downloads one npm package without running any of its scripts, and checks it against its pinned sha512."""
    path = downloads / f"{package.name}-{package.version}.tgz"
    if not (path.exists() and integrity(path) == package.integrity):
        if not shutil.which("npm"):
            raise Trouble("npm is not installed, and the emoji pictures come from there: apt-get install npm")
        pack = ["npm", "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]
        # npm pack leaves the file in the folder it runs in: a half-written one is seen by its hash.
        took = _run(package.what, pack, downloads)
        say(f"fetched {package.what}: {megabytes(path):.1f} MB in {took:.1f} s")
    if integrity(path) != package.integrity:
        path.unlink()
        raise Trouble(f"npm delivered another {package.what} than the pinned one: check your registry, then run set-up again")
    return path


def integrity(path: Path) -> str:
    digest = hashlib.sha512()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return "sha512-" + base64.b64encode(digest.digest()).decode()


def pip() -> List[str]:
    """The pip of this Python, or else one on the PATH."""
    for command in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        try:
            answer = subprocess.run(command + ["--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            continue
        version = re.match(r"pip (\d+)", answer.stdout)
        if version and int(version[1]) >= PIP_WITH_SEVERAL_PLATFORMS:
            return command
        if version:
            raise Trouble(f"pip {version[1]} is too old to fetch wheels for a chosen platform: python3 -m pip install --upgrade pip")
    raise Trouble("pip is not installed: apt-get install python3-pip")


def _run(what: str, command: List[str], downloads: Path) -> float:
    """Runs one download in `downloads`, showing that it lives. Returns the seconds it took.

    What the clients keep while they work goes to a scratch folder: its growth is the progress, and npm would
    otherwise hold a second copy of these large files for good.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(dir=downloads) as scratch, tempfile.TemporaryFile("w+") as log:
        environment = {**os.environ, "TMPDIR": scratch, "npm_config_cache": scratch, "npm_config_update_notifier": "false"}
        child = subprocess.Popen(command, cwd=str(downloads), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            with _Alive(what, Path(scratch)):
                status = child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        log.seek(0)
        if status != 0:
            raise Trouble(explain(what, Path(command[0]).name, log.read()))
    return time.monotonic() - begun


def explain(what: str, tool: str, log: str) -> str:
    """One line from what pip or npm printed."""
    causes = [
        (r"No space left|ENOSPC", "the disk is full: make room, or set XDG_CACHE_HOME to a larger disk"),
        (r"DO NOT MATCH THE HASHES|EINTEGRITY", "the registry delivered another file than the pinned one: check your mirror"),
        (r"No matching distribution|Could not find a version|\bE404\b|ETARGET", "the registry was not reached or does not have it: check the network and the client's index settings"),
        (r"CERTIFICATE|certificate|SSLError", "the registry's certificate was refused: check the client's certificate settings"),
        (r"Max retries|[Tt]imed? ?out|Connection|ENOTFOUND|ECONN|EAI_AGAIN|ETIMEDOUT|name resolution|Proxy", "the registry was not reached: check the network or proxy, then run set-up again"),
    ]
    for pattern, advice in causes:
        if re.search(pattern, log):
            return f"could not fetch {what}: {advice}"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return f"could not fetch {what}: {tool} said: {lines[-1] if lines else 'nothing'}"


class _Alive(threading.Thread):
    """Says how many MB have come: in place on a terminal, else a line now and then."""

    def __init__(self, what: str, scratch: Path):
        super().__init__(daemon=True)
        self.what, self.scratch = what, scratch
        self.terminal = sys.stdout.isatty()
        self.done = threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()
        if self.terminal:
            print("\r\033[K", end="", flush=True)

    def run(self) -> None:
        while not self.done.wait(0.5 if self.terminal else 15):
            text = f"fetching {self.what}: {megabytes(self.scratch):.0f} MB so far"
            if self.terminal:
                print(f"\r\033[Ksetup: {text}", end="", flush=True)
            else:
                say(text)
