"""Recordings of a simulated world: clips of ViZDoom, a research game, played with the free levels of Freedoom.

  doom-tvlt/    which of ten monsters is near: frames and sound; 4,096 clips
  doom-tbn/     what the player does: frames, optical flow and sound; 2,400 clips
  doom-sample/  doom-tvlt/ and doom-tbn/ once more, the first 32 clips of each: seconds, for tests

A clip is a function of its number, so a shorter recording is the beginning of a longer one. Each folder has an
`index.json` (labels, sizes, the names of the shards with how many clips each has) and shards of 256 clips. A shard is a
safetensors file:

  jpeg       U8  [bytes]            the frames' JPEG files end to end, clip by clip, 128x96
  jpeg_ends  I64 [clips, 8]         where each frame's file ends in `jpeg`; it begins where the one before it ends
  wav        U8  [clips, 50444]     the sound as a WAV file: 16 bit, mono, 22,050 Hz, 25,200 samples, 1.14 s
  label      I64 [clips]            position in the index's labels
  map        I64 [clips]            the level, 1 to 32: 1 + the clip's number modulo 32
  seen       I64 [clips]            1 if the clip's monster is in view in any frame, else 0
  flow       I8  [clips, 8, 48, 64, 2]  doom-tbn only: how far the pixel moved in the tic (1/35 s) before each frame,
                                    right and down, in sixteenths of a pixel of the 64x48 picture, -127 to 127

This file finds the game, plays shards side by side and lays out the folders; doom_record.py plays.
"""
from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import fetch
from folder import Trouble, assets_home, cache_home, ensure, is_stamped, say

HERE = Path(__file__).resolve().parent
LISTING = HERE / "doom.txt"
PYTHONS = ((3, 10), (3, 13))
LIBRARY = "libopenal.so.1"
UPDATE = ["apt-get", "update"]
INSTALL = ["apt-get", "install", "--yes", "libopenal1"]

FRAMES, WIDTH, HEIGHT = 8, 128, 96
FLOW_WIDTH, FLOW_HEIGHT = 64, 48
HERTZ, SAMPLES = 22050, 25200
MOVES = ("forward", "backward", "left", "right")
# From this label of `tbn` on the player fires.
FIRST_WEAPON = 7
SHARD = 256
SAMPLE = 32
# A clip takes a tenth of a second; a game silent for this long hangs.
PATIENCE_SECONDS = 180
ENDING_SECONDS = 5


class Recording(NamedTuple):
    """What is recorded, and how much of it."""
    clips: int
    labels: Tuple[str, ...]
    # A clip takes no more than this, in MB.
    clip_mb: float


RECORDINGS: Dict[str, Recording] = {
    "tvlt": Recording(4096, ("Zombieman", "ShotgunGuy", "ChaingunGuy", "DoomImp", "Demon", "LostSoul", "Cacodemon", "HellKnight", "Revenant", "Arachnotron"), 0.1),
    "tbn": Recording(2400, ("stand",) + MOVES + ("turn left", "turn right", "fire pistol", "fire shotgun", "fire chaingun", "fire plasma rifle"), 0.16),
}
# The number goes up when a clip changes.
VERSION = "vizdoom 1.3.2, opencv 4.12.0: 1"


def set_up(clips: Optional[int] = None) -> None:
    """Both recordings, or the first so many clips of each."""
    for name, recording in RECORDINGS.items():
        record(assets_home() / f"doom-{name}", name, min(clips or recording.clips, recording.clips))


def set_up_sample() -> None:
    for name in RECORDINGS:
        record(assets_home() / "doom-sample" / f"doom-{name}", name, SAMPLE)


def record(home: Path, name: str, clips: int) -> None:
    """Makes a recording of at least so many clips, unless it is there."""
    has = recorded(home)
    if has >= clips:
        say(f"{home.name}: ready in {home}, {has} clips")
        return
    needs_mb = int(2 * clips * RECORDINGS[name].clip_mb) + 100
    ensure(home, stamp(clips), needs_mb, lambda new, kept: build(new, kept, name, clips))


def stamp(clips: int) -> str:
    return f"{VERSION}, {clips} clips\n"


def recorded(home: Path) -> int:
    """Clips of this version that are there."""
    try:
        clips = sum(shard["clips"] for shard in json.loads((home / "index.json").read_text())["shards"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return clips if is_stamped(home, stamp(clips)) else 0


def build(new: Path, kept: Path, name: str, clips: int) -> None:
    """Plays what an interrupted set-up left over. Whole shards wait in `kept`, so that it can go on there."""
    wanted = shards(name, clips)
    missing = [shard for shard in wanted if not (kept / shard.kept).exists()]
    if missing:
        game = packages()
        say(f"doom-{name}: playing {sum(shard.end - shard.first for shard in missing)} clips, {len(wanted) - len(missing)} of {len(wanted)} shards are there")
        play(missing, kept, game)
    for shard in wanted:
        shutil.move(str(kept / shard.kept), str(new / shard.file))
    (new / "index.json").write_text(json.dumps(index(name, wanted), indent=2) + "\n")


class Shard(NamedTuple):
    """Clips `first` to `end`, without `end`."""
    recording: str
    first: int
    end: int

    @property
    def file(self) -> str:
        return f"{self.first // SHARD:03}.safetensors"

    @property
    def kept(self) -> str:
        """Its name while it waits: another version of it is another file."""
        return f"{VERSION} {self.recording} {self.first} {self.end}".replace(" ", "_")


def shards(recording: str, clips: int) -> List[Shard]:
    return [Shard(recording, first, min(first + SHARD, clips)) for first in range(0, clips, SHARD)]


def index(name: str, wanted: List[Shard]) -> Dict[str, object]:
    return {
        "format": "mosel-doom/1",
        "recording": name,
        "simulated": "ViZDoom 1.3.2 with Freedoom: Phase 2",
        "labels": list(RECORDINGS[name].labels),
        "frames": FRAMES,
        "width": WIDTH,
        "height": HEIGHT,
        "hertz": HERTZ,
        "samples": SAMPLES,
        "shards": [{"file": shard.file, "clips": shard.end - shard.first} for shard in wanted],
        "licence": "pictures, sounds and levels are Freedoom's: BSD-3-Clause",
    }


# --- the game ---


def packages() -> Path:
    """The folder with the game and its two helpers, for the Python that runs this."""
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        raise Trouble("the game's packages are for Python %d.%d to %d.%d, this is %d.%d: run set-up with one of those" % (PYTHONS[0] + PYTHONS[1] + sys.version_info[:2]))
    find_library()
    tag = "cp%d%d" % sys.version_info[:2]
    home = cache_home() / f"doom-python-{tag}"
    pins = " ".join(f"{r.name} {r.version}" for r in fetch.requirements(LISTING))
    ensure(home, f"{pins}: 1\n", 600, lambda new, downloads: fetch.install(LISTING, new, downloads))
    return home


def find_library() -> None:
    """The game opens OpenAL when it starts, and hears nothing without it."""
    if has_library():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        # a new machine has no list of packages yet, or an old one
        for command in (INSTALL, UPDATE, INSTALL):
            say(f"the game needs {LIBRARY}: {' '.join(command)}")
            environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
            if has_library():
                return
    raise Trouble(f"the game needs {LIBRARY} for its sound: sudo {' '.join(INSTALL)}")


def has_library() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


# --- games side by side ---


def play(missing: List[Shard], kept: Path, game: Path) -> None:
    """Plays the shards, one game a core."""
    waiting, games = list(missing), []  # type: List[Shard], List[Game]
    show = Shown(sum(shard.end - shard.first for shard in missing))
    with tempfile.TemporaryDirectory(dir=kept) as scratch, selectors.DefaultSelector() as lines:
        try:
            while waiting or games:
                while waiting and len(games) < len(os.sched_getaffinity(0)):
                    games.append(Game(waiting.pop(0), Path(scratch), game))
                    lines.register(games[-1].child.stdout, selectors.EVENT_READ, games[-1])
                for key, _ in lines.select(timeout=1):
                    one = key.data
                    if one.read():
                        show.step()
                    else:
                        lines.unregister(key.fileobj)
                        games.remove(one)
                        one.finish(kept)
                for one in games:
                    one.check_alive()
        finally:
            for one in games:
                one.stop()
            show.end()


class Game:
    """A running game that plays one shard, in a folder of its own: it leaves its settings where it runs."""

    def __init__(self, shard: Shard, scratch: Path, game: Path):
        self.shard = shard
        self.folder = scratch / str(shard.first)
        self.folder.mkdir()
        self.log = open(self.folder / "log", "w+")
        self.heard = time.monotonic()
        command = [sys.executable, "-B", str(HERE / "doom_record.py"), shard.recording, str(shard.first), str(shard.end), str(self.folder / "shard")]
        environment = {**os.environ, "PYTHONPATH": str(game), "OMP_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1"}
        # A session of its own: stopping it must stop the game that Python started, too.
        self.child = subprocess.Popen(command, cwd=str(self.folder), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, bufsize=0, start_new_session=True)

    def read(self) -> bool:
        """Takes one line, which is one clip; false at the end."""
        self.heard = time.monotonic()
        return bool(self.child.stdout.readline())

    def check_alive(self) -> None:
        if time.monotonic() - self.heard > PATIENCE_SECONDS:
            raise Trouble(f"the game hung in clips {self.shard.first} to {self.shard.end - 1}: run set-up again, it goes on there")

    def finish(self, kept: Path) -> None:
        status = self.child.wait()
        self.log.seek(0)
        said = [line.strip() for line in self.log if line.strip()]
        self.stop()
        if status != 0:
            raise Trouble(f"the game failed in clips {self.shard.first} to {self.shard.end - 1}: {said[-1] if said else f'status {status}, and it said nothing'}")
        os.replace(self.folder / "shard", kept / self.shard.kept)
        shutil.rmtree(self.folder)

    def stop(self) -> None:
        """Asks it to end, and ends it and all that it started if it does not."""
        self.child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(ENDING_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.child.stdout.close()
        self.log.close()


class Shown:
    """Clips played so far and the time that is left: in place on a terminal, else a line now and then."""

    def __init__(self, total: int):
        self.total, self.done = total, 0
        self.terminal = sys.stdout.isatty()
        self.begun = self.said = time.monotonic()

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.said < (0.5 if self.terminal else 15):
            return
        self.said = now
        left = (now - self.begun) / self.done * (self.total - self.done)
        text = f"played {self.done} of {self.total} clips, {left:.0f} s left"
        if self.terminal:
            print(f"\r\033[Ksetup: {text}", end="", flush=True)
        else:
            say(text)

    def end(self) -> None:
        if self.terminal:
            print("\r\033[K", end="", flush=True)
