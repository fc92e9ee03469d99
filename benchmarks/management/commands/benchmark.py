"""``benchmark``: measures on the database of the settings; started by ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from benchmarks import (
    books,
    child_start,
    claims,
    end_to_end,
    loops,
    migrations,
    progress,
    statements,
    sync,
    threads,
    webhooks,
)
from benchmarks.databases import Databases, databases
from benchmarks.figures import QUICK, Figure, Sizes

Measure = Callable[[Databases, Sizes], Iterator[Figure]]
FIGURES: dict[str, Measure] = {
    "statements": statements.measure,
    "child_start": child_start.measure,
    "end_to_end": end_to_end.measure,
    "claims": claims.measure,
    "loops": loops.measure,
    "progress": progress.measure,
    "threads": threads.measure,
    # Before the others that need the rival's tables, which it makes.
    "migrations": migrations.measure,
    "webhooks": webhooks.measure,
    "sync": sync.measure,
    "books": books.measure,
}


class Command(BaseCommand):
    """Prints a JSON list of figures."""

    help = "Measure the run engine and the mirror of Stripe; use python -m benchmarks."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", action="append", choices=FIGURES)
        parser.add_argument("--repeat", type=int)
        parser.add_argument("--rows", type=int)
        parser.add_argument("--quick", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        # Python warns of forks in a process with threads; the library starts programs, by exec.
        warnings.simplefilter("ignore")
        found = []
        with databases() as made:
            for name in options["only"] or FIGURES:
                for figure in FIGURES[name](made, _sizes(options)):
                    found.append(figure.as_json(connection.vendor))
                    _say(figure)
        self.stdout.write(json.dumps(found))


def _sizes(options: dict[str, Any]) -> Sizes:
    start = QUICK if options["quick"] else Sizes()
    return dataclasses.replace(
        start, repeat=options["repeat"] or start.repeat, rows=options["rows"] or start.rows
    )


def _say(figure: Figure) -> None:
    verdict = {None: "", True: "  holds", False: "  FAILS"}[figure.holds]
    ratio = "" if figure.ratio is None else f"  x{figure.ratio:.2f}"
    moment = time.strftime("%H:%M:%S")
    words = f"{figure.ours.median:.4g} {figure.unit}{ratio}{verdict}"
    sys.stderr.write(f"{moment} {connection.vendor:10} {figure.name}: {words}\n")
