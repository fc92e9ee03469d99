"""Executions by seed: each a history of actors with faults, a drain without, and a judgement."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django_tasks_db.models import DBTaskResult

from comp_billing.models import Reservation, UsageRecord
from comp_core import lifecycle
from comp_core.db import from_now
from comp_core.models import Attempt, Run
from comp_core.signals import run_finished
from comp_core.status import InputsStatus, RunStatus
from comp_users.models import Profile
from tests.faults import actors, audit, ledger, upkeep, world
from tests.faults.casting import ZOMBIES, Casting, leaning_of
from tests.faults.crashes import (
    BREAK,
    CUT,
    KILL,
    MODES,
    REFUSE,
    Crash,
    Plan,
    plan_for,
    registered_points,
)
from tests.faults.scheduler import Actor, Hang, Scheduler, current_actor
from tests.testapp.models import DoublingInputs, DoublingRun

# The largest cast: 3 wishes with their doubles, 3 workers, and one or two of everybody else.
ACTORS = 17
ROUNDS = 25
# Children before their parents.
EMPTIED = (*(Attempt, UsageRecord, Reservation, DoublingRun, Run, DoublingInputs, DBTaskResult),)


@dataclass
class Result:
    """Of one execution: what was found, and what it passed."""

    seed: int
    found: list[ledger.Finding]
    plan: Plan
    announced_twice: int


@dataclass
class Totals:
    """Of many executions."""

    executions: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    visited: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    failing: dict[int, list[ledger.Finding]] = field(default_factory=dict)
    announced_twice: int = 0

    def add(self, result: Result) -> None:
        self.executions += 1
        self.violations.update(kind for kind, _ in result.found)
        self.visited |= set(result.plan.visits)
        self.pairs |= {(fault.point, fault.mode) for fault in result.plan.hits}
        self.announced_twice += result.announced_twice
        if result.found:
            self.failing[result.seed] = result.found

    def more(self) -> dict[str, Any]:
        """Further figures for the file."""
        return {"announced_twice": self.announced_twice}

    def line(self) -> str:
        """The figures, as they are quoted."""
        points = registered_points()
        counts = ", ".join(f"{kind} {self.violations[kind]}" for kind in ledger.KINDS)
        return (
            f"executions {self.executions}, points {len(self.visited & set(points))} of "
            f"{len(points)}, pairs hit {len(self.pairs)} of "
            f"{len(points) * len(MODES[connection.vendor])}, {counts}"
        )


class Checker:
    """Carries out executions on the database at hand; made by ``checking``."""

    def __init__(self, profiles: list[Profile]) -> None:
        self.profiles = profiles
        self.scheduler = Scheduler(ACTORS)
        modes = MODES[connection.vendor]
        self.pairs = [(point, mode) for point in registered_points() for mode in modes]

    def execute(self, seed: int, *, leaning: str = "") -> Result:
        """One execution; the same seed gives the same history, as far as the database does.

        With a leaning it has no faults: it is about how the actors meet.
        """
        rng = Random(seed)
        self._clear()
        plan = Plan([]) if leaning else plan_for(seed, rng, self.pairs)
        company = Casting(rng, leaning or leaning_of(plan.faults[0].point))
        limits = self._limit(company)
        wishes = company.wishes(self.profiles)
        roles = company.roles(wishes)
        stage = _Stage(plan, self.scheduler, holds=leaning != ZOMBIES)
        run_finished.connect(stage.on_finished)
        try:
            with world.staged(stage.hook):
                cast = self.scheduler.play([role.play for role in roles], rng)
                found = _surfaced(cast, plan)
                idle, broken = _drain()
                names = {a.name: role.name for a, role in zip(cast, roles, strict=True)}
                evidence = ledger.Evidence(
                    wishes, names, audit.read(), limits, stage.early_tickets, idle, _removes(plan)
                )
                found += [*broken, *ledger.judge(evidence)]
                self.scheduler.bury()
        except Hang as hang:
            found = [(ledger.STUCK, f"hangs: {hang}")]
        finally:
            run_finished.disconnect(stage.on_finished)
        twice = sum(number > 1 for number in stage.announced.values())
        return Result(seed, found, plan, twice)

    def _clear(self) -> None:
        with connection.cursor() as cursor:
            for table in (*(model._meta.db_table for model in EMPTIED), "fault_audit"):
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608
        shutil.rmtree(default_storage.path("runs"), ignore_errors=True)

    def _limit(self, company: Casting) -> dict[int, int | None]:
        limits = company.limits(self.profiles)
        for profile in self.profiles:
            if profile.max_running_runs != limits[profile.pk]:
                profile.max_running_runs = limits[profile.pk]
                profile.save(update_fields=["max_running_runs"])
        return limits


class _Stage:
    """What happens at crash points: faults that are due, and pauses."""

    def __init__(self, plan: Plan, scheduler: Scheduler, *, holds: bool) -> None:
        self.plan, self.scheduler = plan, scheduler
        # Whether actors pause within their transactions. On SQLite that would stop everybody.
        self.holds = holds and connection.vendor == "postgresql"
        self.announced: Counter[Any] = Counter()
        self.early_tickets = 0

    def hook(self, point: str) -> None:
        actor = current_actor()
        if actor is None:
            return
        if actor.is_ghost:
            raise Crash(point)
        if point == "ticket:begin" and connection.in_atomic_block:
            self.early_tickets += 1
        fault = self.plan.visit(point)
        if fault is not None:
            self._strike(actor, fault.mode, point)
        if not connection.in_atomic_block or (self.holds and actor.rng.random() < 0.5):
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

    def on_finished(self, run: Any, **kwargs: Any) -> None:
        self.announced[run.pk] += 1


def _removes(plan: Plan) -> bool:
    """Whether storage removed all that it was told to: what it keeps is swept by hand."""
    return not any(
        fault.point == "output:deleting" and fault.mode in (BREAK, REFUSE) for fault in plan.hits
    )


def _surfaced(cast: list[Actor], plan: Plan) -> list[ledger.Finding]:
    """Errors that reached an actor although nothing had been done to anybody."""
    errors = [actor.error for actor in cast if actor.error is not None]
    if plan.hits:
        return []
    # The database may choose a caretaker to break a deadlock; its next round comes.
    return [
        (ledger.WRONG, f"surfaced: {error!r}")
        for error in errors
        if not isinstance(error, OperationalError)
    ]


def _drain() -> tuple[bool, list[ledger.Finding]]:
    """No worker is left, and no fault happens any more; answers whether nothing is left to do."""
    broken: list[ledger.Finding] = []
    for _ in range(ROUNDS):
        try:
            _round()
        except Exception as error:
            broken = [(ledger.STUCK, f"the drain broke: {error!r}")]
        if not _busy():
            upkeep.carry_on()
            return True, broken
    return False, broken


def _round() -> None:
    Run.objects.filter(status=RunStatus.RUNNING).update(lease_expires_at=from_now(-1))
    for care in (lifecycle.reap, lifecycle.abort_overdue, lifecycle.admit_held, upkeep.mend):
        care()
    while (ticket := actors.take_ticket()) is not None:
        actors.carry_out(ticket)


def _busy() -> bool:
    unfinished = Run.objects.filter(finished_at__isnull=True).exists()
    return unfinished or DoublingInputs.objects.filter(status=InputsStatus.PENDING).exists()


@contextmanager
def checking() -> Iterator[Checker]:
    """A checker on the database at hand, which it leaves as a flush would find it."""
    logger = logging.getLogger("comp_core")
    silent = logger.disabled
    with world.built() as profiles:
        checker = Checker(profiles)
        logger.disabled = True
        try:
            yield checker
        finally:
            logger.disabled = silent
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
