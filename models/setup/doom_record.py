"""Plays ViZDoom with Freedoom and writes one shard of clips. doom.py runs it, with the game's packages on the path.

  doom_record.py tvlt 256 512 path    clips 256 to 511 of the recording `tvlt`, as one safetensors file

What is drawn depends on the recording and the clip's number only. A shard is played from a fresh game, so that no
clip hears or sees what was played in another shard. Prints a line a clip. doom.py describes the file.
"""
from __future__ import annotations

import io
import os
import random
import signal
import sys
import wave
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import cv2
import numpy as np
import vizdoom

import convert
import doom

MONSTERS = doom.RECORDINGS["tvlt"].labels
WEAPONS = ("Pistol", "Shotgun", "Chaingun", "PlasmaRifle")
MAPS = 32
# A tic is the game's step of time, 1/35 s.
TICS_A_FRAME = 5
SAMPLES_A_TIC = doom.HERTZ // 35
JPEG_QUALITY = 90
# A take ends early if the player leaves the map; the next one is drawn anew.
TAKES = 20

# Positions of the buttons in an action.
FORWARD, BACKWARD, LEFT, RIGHT, FIRE, TURN = range(6)
Action = List[float]


class Clip(NamedTuple):
    """What one clip puts into its shard."""
    frames: List[bytes]
    sound: bytes
    flow: Optional[np.ndarray]
    label: int
    map: int
    seen: bool


class Moment(NamedTuple):
    """The game after a few tics: what is on the screen, what was heard on the way, which monsters are in view."""
    screen: np.ndarray
    sound: np.ndarray
    in_view: List[str]


class LeftTheMap(Exception):
    """The episode ended under the player's feet."""


class Game:
    def __init__(self, weapon_shown: bool):
        game = vizdoom.DoomGame()
        game.set_doom_game_path(os.path.join(os.path.dirname(vizdoom.__file__), "freedoom2.wad"))
        game.set_doom_skill(3)
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
        game.set_screen_format(vizdoom.ScreenFormat.BGR24)
        game.set_window_visible(False)
        game.set_render_hud(False)
        game.set_render_weapon(weapon_shown)
        game.set_labels_buffer_enabled(True)
        game.set_sound_enabled(True)
        game.set_audio_buffer_enabled(True)
        game.set_audio_sampling_rate(vizdoom.SamplingRate.SR_22050)
        game.set_audio_buffer_size(TICS_A_FRAME)
        button = vizdoom.Button
        game.set_available_buttons([button.MOVE_FORWARD, button.MOVE_BACKWARD, button.MOVE_LEFT, button.MOVE_RIGHT, button.ATTACK, button.TURN_LEFT_RIGHT_DELTA])
        # Effects crash in OpenAL 1.19; `summon` and `god` are cheats.
        game.add_game_args("+snd_efx 0 -nomonsters +sv_cheats 1")
        game.set_mode(vizdoom.Mode.PLAYER)
        game.set_episode_timeout(0)
        game.init()
        self.game = game

    def begin(self, map_number: int, seed: int) -> None:
        """A new episode; the player cannot die in it."""
        self.game.set_doom_map(f"map{map_number:02}")
        self.game.set_seed(seed)
        self.game.new_episode()
        self.command("god")

    def command(self, text: str) -> None:
        self.game.send_game_command(text)

    def act(self, action: Action, tics: int) -> None:
        self.game.make_action(action, tics)

    def watch(self, action: Action, tics: int) -> Moment:
        """Acts for so many tics, no more than a frame has."""
        self.act(action, tics)
        state = self.game.get_state()
        if state is None:
            raise LeftTheMap
        return Moment(state.screen_buffer, state.audio_buffer[-tics * SAMPLES_A_TIC:].copy(), [label.object_name for label in state.labels])


def still() -> Action:
    return [0.0] * 6


def wander(game: Game, draw: random.Random) -> None:
    """A few steps from where the map begins, so that clips of a map differ."""
    for _ in range(draw.randrange(3, 12)):
        action = still()
        action[FORWARD] = float(draw.random() < 0.7)
        action[LEFT] = float(draw.random() < 0.2)
        action[RIGHT] = float(draw.random() < 0.2)
        action[TURN] = draw.gauss(0, 8)
        game.act(action, 4)


def play_monster(game: Game, draw: random.Random, map_number: int) -> Clip:
    """`tvlt`: a monster appears ahead. In three clips of ten the player then turns away from it."""
    label = draw.randrange(len(MONSTERS))
    wander(game, draw)
    game.command(f"summon {MONSTERS[label]}")
    game.act(still(), 1)
    game.act(still(), draw.randrange(1, 18))
    if draw.random() < 0.3:
        turn = still()
        turn[TURN] = draw.choice((-1, 1)) * draw.uniform(60, 180) / 3
        for _ in range(3):
            game.act(turn, 1)
    # In two clips of three the player moves one way now and then; in three of ten he fires, at whatever.
    way, fires, drift = draw.randrange(6), draw.random() < 0.3, draw.gauss(0, 2)
    moments = []
    for _ in range(doom.FRAMES):
        action = still()
        if way < FIRE and draw.random() < 0.6:
            action[way] = 1.0
        action[FIRE] = float(fires and draw.random() < 0.4)
        action[TURN] = drift + draw.gauss(0, 1)
        moments.append(game.watch(action, TICS_A_FRAME))
    seen = any(MONSTERS[label] in moment.in_view for moment in moments)
    return Clip([jpeg(moment.screen) for moment in moments], wav([moment.sound for moment in moments]), None, label, map_number, seen)


def play_action(game: Game, draw: random.Random, map_number: int) -> Clip:
    """`tbn`: the player does one thing, not quite steadily. In half of the clips a monster makes its noises nearby."""
    label = draw.randrange(len(doom.RECORDINGS["tbn"].labels))
    weapon = WEAPONS[label - doom.FIRST_WEAPON] if label >= doom.FIRST_WEAPON else draw.choice(WEAPONS)
    monster = draw.choice(MONSTERS)
    wander(game, draw)
    for command in ("give weapons", "give ammo"):
        game.command(command)
    game.act(still(), 1)
    game.command(f"use {weapon}")
    with_monster = draw.random() < 0.5
    if with_monster:
        game.command(f"summon {monster}")
    game.act(still(), draw.randrange(18, 30))
    speed, jitter = draw.uniform(1.5, 5), draw.uniform(0.2, 1.2)
    sound, frames, flows, seen = [], [], [], False
    for _ in range(doom.FRAMES):
        action = act_out(label, draw, speed, jitter)
        # The frame is the last tic's; the flow is from the tic before it.
        before = game.watch(action, TICS_A_FRAME - 1)
        moment = game.watch(action, 1)
        sound += [before.sound, moment.sound]
        frames.append(jpeg(moment.screen))
        flows.append(flow(before.screen, moment.screen))
        seen = seen or monster in moment.in_view
    return Clip(frames, wav(sound), np.stack(flows), label, map_number, with_monster and seen)


def act_out(label: int, draw: random.Random, speed: float, jitter: float) -> Action:
    """The action of this label for one frame, mixed with a little of others."""
    action = still()
    action[TURN] = draw.gauss(0, jitter)
    name = doom.RECORDINGS["tbn"].labels[label]
    if name in doom.MOVES:
        action[doom.MOVES.index(name)] = float(draw.random() < 0.85)
    elif name == "turn left":
        action[TURN] = draw.gauss(-speed, jitter)
    elif name == "turn right":
        action[TURN] = draw.gauss(speed, jitter)
    elif label >= doom.FIRST_WEAPON:
        action[FIRE] = float(draw.random() < 0.75)
        if draw.random() < 0.3:
            action[draw.randrange(4)] = 1.0
    if 0 < label < doom.FIRST_WEAPON and draw.random() < 0.12:
        action[FIRE] = 1.0
    return action


def jpeg(screen: np.ndarray) -> bytes:
    small = cv2.resize(screen, (doom.WIDTH, doom.HEIGHT), interpolation=cv2.INTER_AREA)
    done, file = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "OpenCV has a JPEG encoder"
    return file.tobytes()


def wav(parts: List[np.ndarray]) -> bytes:
    """Both ears mixed to one."""
    mono = (np.concatenate(parts).astype(np.int32).sum(1) // 2).astype("<i2")
    assert len(mono) == doom.SAMPLES, f"{len(mono)} samples were recorded, {doom.SAMPLES} are expected"
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(doom.HERTZ)
        out.writeframes(mono.tobytes())
    return file.getvalue()


def flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far each pixel moved, right and down, by Farneback (2003): sixteenths of a pixel, -127 to 127."""
    def small(screen: np.ndarray) -> np.ndarray:
        return cv2.resize(cv2.cvtColor(screen, cv2.COLOR_BGR2GRAY), (doom.FLOW_WIDTH, doom.FLOW_HEIGHT), interpolation=cv2.INTER_AREA)

    moved = cv2.calcOpticalFlowFarneback(small(before), small(after), None, 0.5, 2, 9, 2, 5, 1.1, 0)
    return np.clip(moved * 16, -127, 127).astype(np.int8)


PLAY = {"tvlt": play_monster, "tbn": play_action}


def record(game: Game, recording: str, clip: int) -> Clip:
    map_number = 1 + clip % MAPS
    for take in range(TAKES):
        # A text seeds Python's generator in the same way on every machine and version.
        draw = random.Random(f"mosel doom {recording}, clip {clip}, take {take}")
        game.begin(map_number, draw.randrange(1 << 31))
        try:
            return PLAY[recording](game, draw, map_number)
        except LeftTheMap:
            continue
    raise RuntimeError(f"clip {clip}: the player left map {map_number} in each of {TAKES} takes")


def shard(clips: List[Clip]) -> Dict[str, convert.Tensor]:
    files = [frame for clip in clips for frame in clip.frames]
    ends: List[int] = []
    for file in files:
        ends.append((ends[-1] if ends else 0) + len(file))
    tensors = {
        "jpeg": convert.Tensor("U8", (ends[-1],), b"".join(files)),
        "jpeg_ends": convert.tensor("I64", ends, (len(clips), doom.FRAMES)),
        "wav": convert.Tensor("U8", (len(clips), len(clips[0].sound)), b"".join(clip.sound for clip in clips)),
        "label": convert.tensor("I64", [clip.label for clip in clips]),
        "map": convert.tensor("I64", [clip.map for clip in clips]),
        "seen": convert.tensor("I64", [int(clip.seen) for clip in clips]),
    }
    if clips[0].flow is not None:
        flows = np.stack([clip.flow for clip in clips])
        tensors["flow"] = convert.Tensor("I8", flows.shape, flows.tobytes())
    return tensors


def main(recording: str, first: int, end: int, path: Path) -> None:
    cv2.setNumThreads(1)
    # Stopped, it still closes the game, which leaves its shared memory behind otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    game, clips = Game(weapon_shown=recording == "tbn"), []
    try:
        for number in range(first, end):
            clips.append(record(game, recording, number))
            print(number, flush=True)
    finally:
        game.game.close()
    convert.write_safetensors(path, shard(clips), {"clips": f"{recording} {first} to {end - 1}"})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
