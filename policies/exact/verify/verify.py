#!/usr/bin/env python3
"""Solves the queues of the example `instances` with HiGHS and compares: python3 policies/exact/verify/verify.py [SEED]

Fails if exact's value is above the optimum, its bound below it, its plan not allowed, or its true gap above 0.1 %.
HiGHS gets 60 seconds a queue; where that is not enough its own bounds stand for the optimum.
"""

import json
import math
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[2]
VENV = WORKSPACE / "target" / "exact-verify"
SECONDS = 60
MOST_GAP = 1e-3
# Relative: HiGHS works with tolerances of about that size.
TOLERANCE = 1e-6


def main():
    seed = sys.argv[1] if len(sys.argv) > 1 else "1"
    if Path(sys.prefix) != VENV:
        enter_venv()
    instances = json.loads(run_exact(seed))
    worst = {}
    failures = []
    for instance in instances:
        gap, proven, faults = compare(instance)
        name = "{kind} {jobs}x{strategies} seed {seed}".format(**instance)
        print(f"{name}: true gap {100 * gap:.5f} %{'' if proven else ' at most'}", flush=True)
        worst.setdefault((instance["kind"], instance["jobs"]), []).append(gap)
        failures += [f"{name}: {fault}" for fault in faults]
    for (kind, jobs), gaps in worst.items():
        print(f"{kind} {jobs} jobs: mean {100 * sum(gaps) / len(gaps):.5f} %, worst {100 * max(gaps):.5f} %")
    print(*failures, sep="\n", file=sys.stderr)
    sys.exit(bool(failures))


def enter_venv():
    """Starts this script again in an environment of its own that has HiGHS."""
    python = VENV / "bin" / "python"
    if not python.exists():
        venv.create(VENV, with_pip=True)
    wanted = HERE / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", wanted], check=True)
    os.execv(python, [python, __file__, *sys.argv[1:]])


def run_exact(seed):
    cargo = ["cargo", "run", "--quiet", "--release", "--locked", "--package", "policy-exact"]
    command = [*cargo, "--example", "instances", "--", seed]
    return subprocess.run(command, cwd=WORKSPACE, check=True, stdout=subprocess.PIPE).stdout


def compare(instance):
    """True gap, whether the optimum is proven, and what is wrong."""
    tables = [allowed(row) for row in instance["rows"]]
    limits = work_limits(instance, tables)
    faults = []
    if not is_allowed(instance["chosen"], tables, limits):
        faults.append("the plan is not allowed")
    value = value_of(instance["chosen"], instance["rows"])
    objective, bound = instance["objective"], instance["bound"]
    if abs(value - objective) > TOLERANCE * value:
        faults.append(f"the objective is {value}, exact says {objective}")
    chosen, most = solve(instance["rows"], tables, limits)
    least = value_of(chosen, instance["rows"]) if chosen and is_allowed(chosen, tables, limits) else -math.inf
    if value > most * (1 + TOLERANCE):
        faults.append(f"its value is {value}, HiGHS proves that no plan is above {most}")
    if bound < least * (1 - TOLERANCE):
        faults.append(f"its bound is {bound}, HiGHS found a plan of {least}")
    proven = most - least <= TOLERANCE * most
    optimum = least if proven else most
    gap = max(0.0, optimum - value) / optimum
    if gap > MOST_GAP:
        faults.append(f"its value is {value}, {100 * gap:.3f} % below {optimum}")
    return gap, proven, faults


def allowed(row):
    """The strategies that keep the floor, and the present one: {index: latency}."""
    table = enumerate(row["table"])
    return {s: latency for s, (latency, accuracy) in table if accuracy >= row["floor"] or s == row["current"]}


def work_limits(instance, tables):
    """For each row the most profiled work up to it that is done by its deadline; infinite if it is hopeless."""
    limits = []
    fastest = 0
    for row, table in zip(instance["rows"], tables):
        fastest += min(table.values())
        limit = most_work(instance["start"], instance["time_factor"], row["deadline"])
        limits.append(limit if fastest <= limit else math.inf)
    return limits


def most_work(start, factor, deadline):
    """The server rounds to the nanosecond, then up to the microsecond."""

    def in_time(work):
        return start + math.ceil(math.floor(work * factor * 1000 + 0.5) / 1000) <= deadline

    work = int((deadline - start) / factor) + 2
    while work >= 0 and not in_time(work):
        work -= 1
    return work


def is_allowed(chosen, tables, limits):
    work = 0
    for strategy, table, limit in zip(chosen, tables, limits):
        work += table.get(strategy, math.inf)
        if work > limit:
            return False
    return True


def value_of(chosen, rows):
    return sum(row["weight"] * row["requests"] * row["table"][s][1] for s, row in zip(chosen, rows))


def solve(rows, tables, limits):
    """HiGHS' best plan and its bound. Milliseconds keep the numbers small."""
    import highspy

    solver = highspy.Highs()
    solver.silent()
    for option, setting in [("time_limit", SECONDS), ("mip_rel_gap", 1e-7), ("mip_abs_gap", 1e-7), ("threads", 1)]:
        solver.setOptionValue(option, setting)
    picks = []
    finish = None
    for row, table, limit in zip(rows, tables, limits):
        worth = row["weight"] * row["requests"]
        pick = {s: solver.addVariable(0, 1, -worth * row["table"][s][1], highspy.HighsVarType.kInteger) for s in table}
        solver.addConstr(sum(pick.values()) == 1)
        work = sum(latency / 1000 * pick[s] for s, latency in table.items())
        before, finish = finish, solver.addVariable(0, limit / 1000)
        solver.addConstr(finish == (work if before is None else before + work))
        picks.append(pick)
    solver.run()
    info = solver.getInfo()
    values = solver.getSolution().col_value
    chosen = [max(pick, key=lambda s: values[pick[s].index]) for pick in picks] if values else None
    return chosen, -info.mip_dual_bound


if __name__ == "__main__":
    main()
