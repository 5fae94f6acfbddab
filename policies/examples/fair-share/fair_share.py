"""Makes those jobs faster that can best afford it, until every deadline holds that can be held.

The whole rule in plain Python: app.py makes a component of it, test_fair_share.py runs it as it is. A *row* is a job in
the queue, a *strategy* an index into its menu; times are microseconds. Start reading with `decide`.
"""
from __future__ import annotations

import heapq
import json
import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Mapping, Sequence

if TYPE_CHECKING:  # made of sdk/wit/policy.wit: build.py --bindings
    from wit_world.imports.types import Job, Snapshot, Strategy

    Menu = Sequence[Strategy]

# How far below a floor an accuracy may lie and still keep it: sums of floating-point numbers are not exact.
ACCURACY_TOLERANCE = 1e-9
LAST_MICROSECOND = 2**64 - 1
# A number this far above a whole microsecond is rounding, not time.
ROUNDING = 1e-6
MOST_RESERVE_MS = 3_600_000

RESERVE_SCHEMA = {
    "type": "number",
    "minimum": 0,
    "maximum": MOST_RESERVE_MS,
    "default": 0,
    "description": "How long before its deadline a job should be finished, if it can be.",
}
SETTINGS_SCHEMA = json.dumps(
    {"type": "object", "properties": {"reserve_ms": RESERVE_SCHEMA}, "additionalProperties": False}
)


class Unusable(Exception):
    """What the server sent cannot be used. The text says what was expected and what came."""


@dataclass(frozen=True)
class Settings:
    """What can be set."""

    reserve: int = 0

    @classmethod
    def parse(cls, text: str) -> Settings:
        try:
            given = json.loads(text)
        except ValueError as error:
            raise Unusable(f"expected settings in JSON: {error}") from error
        if not isinstance(given, dict):
            raise Unusable(f"expected settings as a JSON object, got {text}")
        unknown = [name for name in given if name != "reserve_ms"]
        if unknown:
            raise Unusable(f"there is no setting {unknown[0]!r}, only reserve_ms")
        reserve_ms = given.get("reserve_ms", 0)
        if type(reserve_ms) not in (int, float) or not 0 <= reserve_ms <= MOST_RESERVE_MS:
            raise Unusable(f"reserve_ms is {json.dumps(reserve_ms)}, expected a number from 0 to {MOST_RESERVE_MS}")
        return cls(reserve=round(reserve_ms * 1000))


def decide(snapshot: Snapshot, menus: Mapping[int, Menu], settings: Settings) -> tuple[list[int], bool]:
    """A strategy for every row, and whether all are saved: no row misses its deadline, but for those marked late."""
    squeeze = Squeeze()
    all_saved = True
    for job in snapshot.jobs:
        squeeze.admit(job, menu_of(job, menus))
        if job.late:
            continue
        earliest = end_of(snapshot, squeeze.least_work)
        if earliest > job.deadline:
            all_saved = False
            continue
        goal = max(earliest, job.deadline - settings.reserve)
        while end_of(snapshot, squeeze.work) > goal:
            squeeze.step_down()
    return [row.chosen for row in squeeze.rows], all_saved


class Squeeze:
    """The queue up to some row, row by row from the front."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        # The rows so far take this long, by the profile; and would if all were as fast as they may be.
        self.work = 0
        self.least_work = 0
        # A heap of the rows that may be faster: how far they stand above their floors, negated, and their place.
        self.squeezable: list[tuple[float, int]] = []

    def admit(self, job: Job, menu: Menu) -> None:
        """Takes the next row in."""
        row = Row(job, menu, fastest(job, menu), job.current)
        self.rows.append(row)
        self.work += menu[row.chosen].latency
        self.least_work += menu[row.fastest].latency
        self.enlist(len(self.rows) - 1)

    def step_down(self) -> None:
        """Moves the row that stands highest above its floor one strategy down; of several the first."""
        _, place = heapq.heappop(self.squeezable)
        row = self.rows[place]
        row.chosen -= 1
        self.work -= row.menu[row.chosen + 1].latency - row.menu[row.chosen].latency
        self.enlist(place)

    def enlist(self, place: int) -> None:
        row = self.rows[place]
        if row.chosen > row.fastest:
            heapq.heappush(self.squeezable, (row.job.min_accuracy - row.menu[row.chosen].accuracy, place))


@dataclass(slots=True)
class Row:
    """A job, its menu, the fastest strategy it may get and the one it is on."""

    job: Job
    menu: Menu
    fastest: int
    chosen: int


def fastest(job: Job, menu: Menu) -> int:
    """The fastest strategy up to the present one that keeps the floor; else, or if it is late, the present one."""
    if job.late:
        return job.current
    floor = job.min_accuracy - ACCURACY_TOLERANCE
    return bisect_left(menu, floor, hi=job.current, key=lambda strategy: strategy.accuracy)


def menu_of(job: Job, menus: Mapping[int, Menu]) -> Menu:
    menu = menus.get(job.table)
    if menu is None:
        raise Unusable(f"job {job.id} names table {job.table}, which the catalog lacks")
    if job.current >= len(menu):
        raise Unusable(f"job {job.id} has {len(menu)} strategies, its current one is {job.current}")
    return menu


def end_of(snapshot: Snapshot, work: int) -> int:
    """When the lane has done this much: profiled times of rows from the first one on, added up."""
    return min(snapshot.start + scale(min(work, LAST_MICROSECOND), snapshot.time_factor), LAST_MICROSECOND)


def scale(work: int, factor: float) -> int:
    """The server's own rounding: up to the microsecond. A factor that makes no sense is ignored."""
    if not math.isfinite(factor) or factor <= 0:
        return work
    micros = work * factor
    if not math.isfinite(micros):
        return LAST_MICROSECOND
    return max(math.ceil(micros - ROUNDING), 0)
