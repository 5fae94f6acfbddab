"""The rule as plain Python: the worked example, the corner cases, and random queues against what fair-share promises.

Run it as `python3 -B policies/examples/fair-share/test_fair_share.py`. tests/tests/python_policy.rs asks the component.
"""
from __future__ import annotations

import json
import random
import unittest
from dataclasses import dataclass, field

from fair_share import ACCURACY_TOLERANCE, LAST_MICROSECOND, SETTINGS_SCHEMA, Settings, Unusable, decide, scale


@dataclass
class Strategy:
    latency: int
    accuracy: float


@dataclass
class Job:
    id: int
    table: int
    deadline: int
    min_accuracy: float
    current: int
    late: bool = False


@dataclass
class Queue:
    """What a policy is given, as far as this one looks at it."""

    start: int = 0
    time_factor: float = 1.0
    jobs: list[Job] = field(default_factory=list)
    menus: dict[int, list[Strategy]] = field(default_factory=dict)

    def menu(self, *strategies: tuple[int, float]) -> int:
        table = len(self.menus)
        self.menus[table] = [Strategy(*strategy) for strategy in strategies]
        return table

    def job(self, table: int, deadline: int, floor: float, late: bool = False) -> None:
        """A job on its most accurate strategy."""
        self.jobs.append(Job(len(self.jobs) + 1, table, deadline, floor, len(self.menus[table]) - 1, late))

    def decide(self, reserve: int = 0) -> tuple[list[int], bool]:
        return decide(self, self.menus, Settings(reserve))

    def violators(self, chosen: list[int]) -> list[int]:
        """The rows that would miss their deadline, but for late ones."""
        work, rows = 0, []
        for row, job in enumerate(self.jobs):
            work += self.menus[job.table][chosen[row]].latency
            if not job.late and self.start + scale(work, self.time_factor) > job.deadline:
                rows.append(row)
        return rows


class Decisions(unittest.TestCase):
    def test_the_worked_example_ends_with_both_jobs_in_time_and_above_their_floors(self) -> None:
        queue = Queue(start=30)
        queue.job(queue.menu((50, 0.685), (62, 0.71), (78, 0.735), (88, 0.76), (98, 0.775), (110, 0.79)), 300, 0.71)
        queue.job(queue.menu((25, 0.8)), 150, 0.8)
        self.assertEqual(queue.violators([5, 0]), [1])
        self.assertEqual(queue.decide(), ([3, 0], True))

    def test_who_stands_highest_above_its_floor_is_squeezed_and_no_longer_than_it_does(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.5), (20, 0.625), (30, 0.75))
        queue.job(menu, 1000, 0.4375)
        queue.job(menu, 1000, 0.375)
        queue.job(menu, 70, 0.5)
        # 5/16, 6/16 and 4/16 above: the second goes down to 4/16, then the first to 3/16, then the second once more.
        self.assertEqual(queue.decide(), ([1, 1, 2], True))
        queue.jobs[2].deadline = 60
        self.assertEqual(queue.decide(), ([1, 0, 2], True))

    def test_of_several_that_stand_equally_high_the_first_is_squeezed(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.5), (50, 0.75))
        for _ in range(3):
            queue.job(menu, 115, 0.5)
        self.assertEqual(queue.decide(), ([0, 1, 1], True))

    def test_jobs_behind_the_one_in_danger_are_not_squeezed_for_it(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.6), (50, 0.8))
        queue.job(menu, 20, 0.6)
        queue.job(menu, 1000, 0.1)
        self.assertEqual(queue.decide(), ([0, 1], True))

    def test_nobody_is_squeezed_for_a_job_that_cannot_be_saved(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.6), (50, 0.8))
        queue.job(menu, 1000, 0.5)
        queue.job(menu, 15, 0.5)
        self.assertEqual(queue.decide(), ([1, 1], False))

    def test_jobs_behind_one_that_cannot_be_saved_are_still_saved(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.6), (50, 0.8))
        queue.job(menu, 5, 0.5)
        queue.job(menu, 70, 0.4)
        self.assertEqual(queue.decide(), ([1, 0], False))

    def test_late_jobs_are_left_alone(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.6), (50, 0.8))
        queue.job(menu, 5, 0.1, late=True)
        queue.job(menu, 70, 0.5)
        self.assertEqual(queue.decide(), ([1, 0], True))

    def test_floors_hold_to_within_the_tolerance(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.6), (50, 0.8))
        queue.job(menu, 10, 0.6 + ACCURACY_TOLERANCE / 2)
        self.assertEqual(queue.decide(), ([0], True))
        queue.jobs[0].min_accuracy = 0.6 + ACCURACY_TOLERANCE * 2
        self.assertEqual(queue.decide(), ([1], False))

    def test_a_strategy_below_its_floor_is_kept_if_it_is_the_present_one(self) -> None:
        queue = Queue()
        queue.job(queue.menu((10, 0.6), (50, 0.8)), 20, 0.9)
        self.assertEqual(queue.decide(), ([1], False))

    def test_the_reserve_is_kept_where_it_can_be(self) -> None:
        queue = Queue()
        menu = queue.menu((10, 0.6), (30, 0.7), (50, 0.8))
        queue.job(menu, 50, 0.5)
        self.assertEqual(queue.decide(), ([2], True))
        self.assertEqual(queue.decide(reserve=20), ([1], True))
        self.assertEqual(queue.decide(reserve=45), ([0], True))

    def test_a_row_off_its_menu_is_refused(self) -> None:
        queue = Queue()
        queue.job(queue.menu((10, 0.6)), 100, 0.5)
        queue.jobs[0].current = 1
        with self.assertRaisesRegex(Unusable, "job 1 has 1 strategies, its current one is 1"):
            queue.decide()
        queue.jobs[0].table = 9
        with self.assertRaisesRegex(Unusable, "job 1 names table 9, which the catalog lacks"):
            queue.decide()

    def test_random_queues_get_what_fair_share_promises(self) -> None:
        for seed in range(1000):
            with self.subTest(seed=seed):
                queue = random_queue(random.Random(seed))
                chosen, all_saved = queue.decide()
                hopeless = queue.violators([fastest(job, queue.menus[job.table]) for job in queue.jobs])
                self.assertEqual(queue.violators(chosen), hopeless)
                self.assertEqual(all_saved, not hopeless)
                for job, strategy in zip(queue.jobs, chosen):
                    self.assertIn(strategy, range(fastest(job, queue.menus[job.table]), job.current + 1))


class Times(unittest.TestCase):
    def test_times_are_rounded_up_to_the_microsecond(self) -> None:
        cases = [(90, 1.0, 90), (90, 1.1, 99), (1, 1.0000005, 1), (1, 1.000002, 2), (1, 1.0004, 2), (2, 0.5005, 2)]
        for work, factor, expected in cases:
            self.assertEqual(scale(work, factor), expected, (work, factor))

    def test_a_factor_that_makes_no_sense_is_ignored_and_no_time_is_too_long(self) -> None:
        for factor in (0.0, -1.0, float("nan"), float("inf")):
            self.assertEqual(scale(7, factor), 7)
        self.assertEqual(scale(LAST_MICROSECOND, 1e308), LAST_MICROSECOND)


class SettingsText(unittest.TestCase):
    def test_settings_are_read(self) -> None:
        self.assertEqual(Settings.parse("{}"), Settings(reserve=0))
        self.assertEqual(Settings.parse('{"reserve_ms": 2.5}'), Settings(reserve=2500))
        self.assertEqual(Settings.parse('{"reserve_ms": 3600000}'), Settings(reserve=3_600_000_000))

    def test_other_settings_are_refused_with_what_was_expected_and_what_came(self) -> None:
        range_of_reserve = "expected a number from 0 to 3600000"
        refusals = {
            "": "expected settings in JSON",
            "[]": "expected settings as a JSON object, got \\[\\]",
            '{"reserve": 1}': "there is no setting 'reserve', only reserve_ms",
            '{"reserve_ms": -1}': f"reserve_ms is -1, {range_of_reserve}",
            '{"reserve_ms": 3600001}': f"reserve_ms is 3600001, {range_of_reserve}",
            '{"reserve_ms": "1"}': f'reserve_ms is "1", {range_of_reserve}',
            '{"reserve_ms": true}': f"reserve_ms is true, {range_of_reserve}",
            '{"reserve_ms": NaN}': f"reserve_ms is NaN, {range_of_reserve}",
        }
        for text, message in refusals.items():
            with self.subTest(text=text), self.assertRaisesRegex(Unusable, message):
                Settings.parse(text)

    def test_the_schema_is_json_and_names_the_setting(self) -> None:
        self.assertEqual(list(json.loads(SETTINGS_SCHEMA)["properties"]), ["reserve_ms"])


def fastest(job: Job, menu: list[Strategy]) -> int:
    floor = job.min_accuracy - ACCURACY_TOLERANCE
    return next((s for s in range(job.current) if not job.late and menu[s].accuracy >= floor), job.current)


def random_queue(chance: random.Random) -> Queue:
    """Up to 30 jobs on menus of up to 8, from slack to hopeless."""
    queue = Queue(start=chance.randrange(50), time_factor=chance.uniform(0.5, 1.5))
    for _ in range(4):
        length = chance.randint(1, 8)
        latencies = sorted(chance.sample(range(1, 300), length))
        accuracies = sorted(chance.sample(range(300, 1000), length))
        queue.menu(*[(latency, accuracy / 1000) for latency, accuracy in zip(latencies, accuracies)])
    due = queue.start
    for _ in range(chance.randint(1, 30)):
        due += chance.randrange(200)
        queue.job(chance.randrange(4), max(0, due + chance.randrange(-40, 110)), chance.random(), chance.random() < 0.1)
    for job in queue.jobs:
        job.current -= chance.randint(0, job.current) // 3
    return queue


if __name__ == "__main__":
    unittest.main()
