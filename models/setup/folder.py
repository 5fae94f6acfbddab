"""A folder that is either complete or absent, whatever interrupts its making.

A part is built in a work folder beside its home and renamed into place, so the two share a file system. The stamp
inside names the pinned versions: a folder whose stamp differs is made anew. A lock beside it keeps two set-ups apart,
which is also why the work folder can have a fixed name: whoever holds the lock knows that what lies there is stale.
"""
from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import Callable, Iterator

STAMP = ".stamp"
# Finished downloads survive an interruption here; everything else in the work folder is thrown away.
DOWNLOADS = "downloads"


class Trouble(Exception):
    """An expected failure. Its text is the one line the user sees: what failed, and what to do about it."""


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mosel"


def assets_home() -> Path:
    """Where data and towers are kept."""
    return Path(os.environ.get("MOSEL_ASSETS") or cache_home() / "assets").absolute()


def is_stamped(home: Path, stamp: str, name: str = STAMP) -> bool:
    try:
        return (home / name).read_text() == stamp
    except OSError:
        return False


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Holds the folder's lock. The kernel frees it when the process dies, so there is no stale lock to break."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(beside(home, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another set-up is working on {home}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def beside(home: Path, kind: str) -> Path:
    return home.parent / f".{home.name}.{kind}"


def ensure(home: Path, stamp: str, needs_mb: int, build: Callable[[Path, Path], None]) -> bool:
    """Makes `home` with `build(new, downloads)` unless it is there already. True if something was made."""
    if not is_stamped(home, stamp):  # asked without the lock, so that a cache nobody may write to serves as well
        with locked(home):
            if not is_stamped(home, stamp):
                make(home, stamp, needs_mb, build)
                return True
    say(f"{home.name}: ready in {home}")
    return False


def make(home: Path, stamp: str, needs_mb: int, build: Callable[[Path, Path], None]) -> None:
    begun = time.monotonic()
    with work_folder(home, needs_mb) as work:
        new = work / "new"
        new.mkdir()
        build(new, work / DOWNLOADS)
        (new / STAMP).write_text(stamp)
        swap(new, home, work / "old")
    say(f"{home.name}: {megabytes(home):.0f} MB kept in {home}, {time.monotonic() - begun:.1f} s in all")


@contextlib.contextmanager
def work_folder(home: Path, needs_mb: int) -> Iterator[Path]:
    """An empty work folder, but for finished downloads; removed on success only. Call it with the lock held."""
    work = beside(home, "work")
    (work / DOWNLOADS).mkdir(parents=True, exist_ok=True)
    for stale in work.iterdir():
        if stale.name != DOWNLOADS:
            remove(stale)
    for scratch in filter(Path.is_dir, (work / DOWNLOADS).iterdir()):
        remove(scratch)
    free_mb = shutil.disk_usage(work).free / 1e6 + megabytes(work)
    if free_mb < needs_mb:
        raise Trouble(f"{home.name} needs {needs_mb} MB on the disk of {home.parent}, {free_mb:.0f} MB are free: make room, or set XDG_CACHE_HOME to a larger disk")
    yield work
    shutil.rmtree(work)


def swap(new: Path, home: Path, old: Path) -> None:
    """A folder cannot be renamed over a full one, so the old one steps aside first."""
    if home.is_symlink() or home.exists():
        home.rename(old)
    new.rename(home)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def megabytes(path: Path) -> float:
    """The size of a file, or of what lies in a folder now, in MB; files may vanish meanwhile."""
    if path.is_file():
        return path.stat().st_size / 1e6
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total / 1e6
