"""The checker outside of pytest: sets Django and an empty database up, and tells how far it is."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

django.setup()

from tests.faults.ledger import Finding  # noqa: E402

TOLD_SECONDS = 10.0


def run(options: Any, package: str, all_points: int) -> dict[str, Any]:
    """The executions that the options ask for, of a package's checker; answers the figures. After
    ``all_points`` executions every crash point must have been passed."""
    # Its models need Django, which has been set up here.
    judged: Any = import_module(f"{package}.checker")
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        call_command("migrate", verbosity=0)
    else:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    started = time.monotonic()
    with judged.checking() as checker:
        if options.seed is not None:
            return _one(checker, options.seed)
        seeds = range(options.first, options.first + options.executions)
        totals = judged.campaign(checker, seeds, told=_Teller(len(seeds)))
    connection.close()
    if connection.vendor == "postgresql":
        connection.creation.destroy_test_db(name, verbosity=0)
    missed = sorted(set(judged.registered_points()) - totals.visited)
    seconds = time.monotonic() - started
    return _figures(totals, seconds, missed if totals.executions >= all_points else [])


class _Teller:
    def __init__(self, number: int) -> None:
        self.number, self.next = number, time.monotonic() + TOLD_SECONDS
        self.told = 0

    def __call__(self, totals: Any) -> None:
        """Findings at once, figures now and then."""
        for seed in list(totals.failing)[self.told :]:
            self.told += 1
            _say_failing(seed, totals.failing[seed])
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + TOLD_SECONDS
            sys.stderr.write(f"{connection.vendor}: {totals.line()} (of {self.number})\n")


def _one(checker: Any, seed: int) -> dict[str, Any]:
    result = checker.execute(seed)
    lines = [f"{kind}: {words}" for kind, words in result.found] or ["nothing found"]
    hits = ", ".join(f"{f.mode} at {f.point} ({f.nth})" for f in result.plan.hits) or "none"
    sys.stdout.write("\n".join([f"seed {seed}, faults: {hits}", *lines]) + "\n")
    return {"violations": len(result.found), "missed": []}


def _say_failing(seed: int, found: list[Finding]) -> None:
    words = "; ".join(f"{kind}: {said}" for kind, said in found)
    sys.stdout.write(f"{connection.vendor}, seed {seed}: {words}\n")
    sys.stdout.flush()


def _figures(totals: Any, seconds: float, missed: list[str]) -> dict[str, Any]:
    if missed:
        sys.stdout.write(f"never passed: {', '.join(missed)}\n")
    sys.stdout.write(f"{connection.vendor}: {totals.line()} ({seconds:.0f} s)\n")
    return {
        "line": totals.line(),
        "seconds": round(seconds, 1),
        "violations": sum(totals.violations.values()),
        "failing": sorted(totals.failing),
        "missed": missed,
        "pairs": sorted(f"{mode} at {point}" for point, mode in totals.pairs),
        **totals.more(),
    }
