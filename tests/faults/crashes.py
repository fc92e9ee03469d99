"""Crash points and what happens at them: the registry read off the source, and the plan of one
execution."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("begin", "written", "committed")

# What a point may do to whoever passes it.
# The process unwinds: handlers and ``finally`` clauses still run (SystemExit, KeyboardInterrupt).
RAISE = "raise"
# The process is gone (kill -9): nothing of it runs any more, its connection is closed.
KILL = "kill"
# The database refuses the statement, or its answer is lost.
REFUSE = "refuse"
# Something of the worker's surroundings breaks (storage, memory, a meter).
BREAK = "break"
# The database ends the connection; the next statement finds out. PostgreSQL only.
CUT = "cut"

MODES = {"sqlite": (RAISE, KILL, REFUSE, BREAK), "postgresql": (RAISE, KILL, REFUSE, BREAK, CUT)}


class Crash(BaseException):
    """The end of a process that only its own handlers see."""


@dataclass(frozen=True)
class Fault:
    """What happens at the n-th visit of a point."""

    point: str
    nth: int
    mode: str


@dataclass
class Plan:
    """The faults of one execution, and which points it passed."""

    faults: list[Fault]
    visits: Counter[str] = field(default_factory=Counter)
    hits: list[Fault] = field(default_factory=list)

    def visit(self, point: str) -> Fault | None:
        """The fault that is due at this visit."""
        self.visits[point] += 1
        for fault in self.faults:
            if (fault.point, fault.nth) == (point, self.visits[point]):
                self.hits.append(fault)
                return fault
        return None


def calls(tree: ast.AST, name: str) -> Iterator[str]:
    """The constant first arguments of calls of a function."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == name
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def engine_trees(package: str = "comp_core") -> dict[str, ast.Module]:
    """The parsed modules of an app."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "crashpoints.py" and "migrations" not in path.parts
    }


@functools.cache
def registered_points(package: str = "comp_core") -> list[str]:
    """Every point that an app's source names."""
    found: set[str] = set()
    for tree in engine_trees(package).values():
        found.update(calls(tree, "crashpoint"))
        found.update(f"{name}:{place}" for name in calls(tree, "step") for place in PLACES)
    return sorted(found)


def plan_for(seed: int, rng: Random, pairs: list[tuple[str, str]]) -> Plan:
    """The pairs of point and mode take turns by seed; now and then there is a second fault."""
    chosen = [pairs[seed % len(pairs)]]
    if rng.random() < 0.25:
        chosen.append(rng.choice(pairs))
    nth = rng.choices((1, 2, 3), (8, 2, 1), k=len(chosen))
    return Plan([Fault(point, n, mode) for (point, mode), n in zip(chosen, nth, strict=True)])
