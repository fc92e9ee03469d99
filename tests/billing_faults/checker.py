"""Executions by seed: a history of actors, crashes and failures; a drain without; a judgement."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from unittest.mock import patch

from django.db import OperationalError, connection
from django.db.backends.signals import connection_created

from comp_billing import usage
from comp_billing.models import Intent, IntentState, UsageRecord, UsageState
from comp_billing.usage import doubt
from comp_billing.usage.limits import UNSETTLED
from comp_core import crashpoints
from tests.billing_faults import judge, parts, world
from tests.billing_faults.world import World
from tests.faults.crashes import BREAK, CUT, KILL, MODES, REFUSE, Crash, Plan, plan_for
from tests.faults.crashes import registered_points as points_of
from tests.faults.ledger import KINDS, STUCK, WRONG, Finding
from tests.faults.scheduler import Actor, Hang, Scheduler, current_actor

# The largest cast.
ACTORS = 19
ROUNDS = 30
QUIET = 3
# Executions without crashes: Stripe fails for days, or rates change while models run.
OUTAGE, RATES = "outage", "rates"
# What this checker is about; the mirror's own histories cover what Stripe tells.
STEPS = ("intent", "usage", "doubt", "plan_items", "plan_project")


def registered_points() -> list[str]:
    """The crash points of sign-up and usage."""
    return [point for point in points_of("comp_billing") if point.startswith(STEPS)]


@dataclass
class Result:
    """Of one execution."""

    seed: int
    found: list[Finding]
    plan: Plan
    runs: int
    ambiguous: int


@dataclass
class Totals:
    """Of many."""

    executions: int = 0
    runs: int = 0
    ambiguous: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    visited: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    failing: dict[int, list[Finding]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        self.executions += 1
        self.runs += result.runs
        self.ambiguous += result.ambiguous
        self.violations.update(kind for kind, _ in result.found)
        self.visited |= set(result.plan.visits)
        self.pairs |= {(fault.point, fault.mode) for fault in result.plan.hits}
        if result.found:
            self.failing[result.seed] = result.found

    def more(self) -> dict[str, Any]:
        """Further figures for the file."""
        return {"runs": self.runs, "ambiguous": self.ambiguous}

    def line(self) -> str:
        """The figures, as they are quoted."""
        points = registered_points()
        counts = ", ".join(f"{kind} {self.violations[kind]}" for kind in KINDS)
        return (
            f"executions {self.executions}, runs {self.runs},"
            f" points {len(self.visited & set(points))} of {len(points)}, pairs hit"
            f" {len(self.pairs)} of {len(points) * len(MODES[connection.vendor])},"
            f" {counts}, ambiguous {self.ambiguous}"
        )


class Checker:
    """Carries out executions on the database at hand; made by ``checking``."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(ACTORS)
        modes = MODES[connection.vendor]
        self.pairs = [(point, mode) for point in registered_points() for mode in modes]

    def execute(self, seed: int, *, leaning: str = "") -> Result:
        """One execution; with a ``leaning`` it has no crashes, but more of that trouble."""
        rng = Random(seed)
        # Every third execution is one of lost answers and long outages beside its crash.
        plan = Plan([]) if leaning else plan_for(seed, rng, self.pairs)
        leaning = leaning or (OUTAGE if seed % 3 == 2 else "")
        with world.built() as here:
            stage = _Stage(plan, self.scheduler)
            try:
                with patch.object(crashpoints, "hook", stage.hook):
                    cast = self.scheduler.play(_cast(here, rng, leaning), rng)
                    found = _surfaced(cast, plan)
                found += _drain(here)
                found += judge.judge(here)
                self.scheduler.bury()
            except Hang as hang:
                found = [(STUCK, f"hangs: {hang}")]
            return Result(seed, found, plan, len(here.done), judge.ambiguous())


def _cast(here: World, rng: Random, leaning: str) -> list[parts.Part]:
    cast: list[parts.Part] = [parts.newcomer(here)] * rng.randint(1, 3)
    cast += [parts.user(here)] * rng.randint(2, 3)
    cast += [parts.worker] * rng.choice((2, 3, 4))
    cast += [parts.operator] * (rng.random() < 0.4)
    cast += [parts.publisher(here)] * (leaning == RATES or rng.random() < 0.5)
    if leaning == OUTAGE:
        cast += [*[parts.lost_answers(here)] * 2, parts.long_outage(here)]
    cast += [parts.trouble(here)] * rng.choice((0, 1, 2))
    cast += [parts.clock(here)] * rng.choice((0, 1, 2))
    rng.shuffle(cast)
    return cast


def _on_connected(connection: Any, **kwargs: Any) -> None:
    """Receiver of ``connection_created``: the scheduler must know who waits for whom."""
    actor = current_actor()
    if actor is not None and actor.is_ghost:
        raise Crash("the dead do not connect")
    if connection.vendor == "sqlite":
        connection.connection.execute("PRAGMA synchronous = OFF")
        return
    if actor is not None:
        actor.backend = connection.connection.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '40ms'; SET synchronous_commit = off")


class _Stage:
    """What happens at crash points: faults that are due, and pauses."""

    def __init__(self, plan: Plan, scheduler: Scheduler) -> None:
        self.plan, self.scheduler = plan, scheduler
        # On SQLite a pause within a transaction would stop everybody.
        self.holds = connection.vendor == "postgresql"

    def hook(self, point: str) -> None:
        actor = current_actor()
        if actor is None:
            return
        if actor.is_ghost:
            raise Crash(point)
        fault = self.plan.visit(point) if point.startswith(STEPS) else None
        if fault is not None:
            self._strike(actor, fault.mode, point)
        if not connection.in_atomic_block or (self.holds and actor.rng.random() < 0.3):
            actor.park(point)

    def _strike(self, actor: Actor, mode: str, point: str) -> None:
        if mode == KILL:
            actor.vanish()
        elif mode == CUT:
            self.scheduler.cut(actor)
        elif mode == REFUSE:
            raise OperationalError(f"refused at {point}")
        elif mode == BREAK:
            raise RuntimeError(f"broken at {point}")
        else:
            raise Crash(point)


def _surfaced(cast: list[Actor], plan: Plan) -> list[Finding]:
    """Errors that reached an actor although nothing had been done to anybody."""
    if plan.hits:
        return []
    errors = [actor.error for actor in cast if actor.error is not None]
    return [
        (WRONG, f"surfaced: {error!r}")
        for error in errors
        if not isinstance(error, OperationalError)
    ]


def _drain(here: World) -> list[Finding]:
    """Stripe works again, time passes, and the loops turn until nothing is left to do."""
    here.standin.faults.clear()
    here.skew = 0
    broken: list[Finding] = []
    quiet = 0
    for _ in range(ROUNDS):
        try:
            _round(here)
        except Exception as error:
            broken = [(STUCK, f"the drain broke: {error!r}")]
        # What is missing is asked for in one round, and made in the next ones.
        quiet = quiet + 1 if _is_idle() else 0
        if quiet == QUIET:
            break
    return broken


def _is_idle() -> bool:
    """Whether nothing waits for anything but a person."""
    asked = Intent.objects.filter(state=IntentState.PENDING)
    waiting = UsageRecord.objects.filter(state__in=(*UNSETTLED, UsageState.AMBIGUOUS))
    return not asked.exists() and not waiting.exclude(error_code=doubt.PERIOD_OVER).exists()


def _round(here: World) -> None:
    world.later(here, minutes=20)
    _tell_rejects(here)
    for loop in dict.fromkeys(parts.LOOPS):
        parts.hurry()
        loop()


def _tell_rejects(here: World) -> None:
    """Stripe tells of what it took and did not count."""
    sql = "SELECT identifier, received FROM usage WHERE state = 'rejected'"
    for row in here.standin.store.rows(sql):
        until = datetime.fromtimestamp(row["received"] + 60, UTC)
        usage.reject(row["identifier"], code="no_meter", message="", until=until)


@contextmanager
def checking() -> Iterator[Checker]:
    """A checker on the database at hand."""
    logging.disable(logging.CRITICAL)
    connection_created.connect(_on_connected)
    connection.close()
    checker = Checker()
    try:
        yield checker
    finally:
        logging.disable(logging.NOTSET)
        connection_created.disconnect(_on_connected)
        checker.scheduler.close()


def campaign(
    checker: Checker, seeds: range, *, told: Callable[[Totals], None] = lambda totals: None
) -> Totals:
    """Executions for a range of seeds; ``told`` hears of the figures after each."""
    totals = Totals()
    for seed in seeds:
        totals.add(checker.execute(seed))
        told(totals)
    return totals
