"""Processes that carry out what a benchmark asks for, each on a database of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.databases import Copy
from benchmarks.environment import python_of

ROOT = Path(__file__).resolve().parent.parent
# What of a database's settings a process needs to know.
DATABASE_KEYS = (
    "ENGINE",
    "NAME",
    "USER",
    "PASSWORD",
    "HOST",
    "PORT",
    "OPTIONS",
    "CONN_MAX_AGE",
    "CONN_HEALTH_CHECKS",
)


class Process:
    """A running ``benchmarks.driver``."""

    def __init__(self, process: subprocess.Popen[str], base: str) -> None:
        self.process = process
        self.base = base

    def ask(self, do: str, **given: Any) -> Any:
        """One thing to do, and its answer. A process that fails has said why."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"The process of {self.base} ended."
        return json.loads(line)


@contextmanager
def process(
    python: Path | str, settings: str, copy: Copy, stripe: str, **environment: str
) -> Iterator[Process]:
    """A site's process on a database; ends with the block."""
    database = {key: copy.wrapper.settings_dict[key] for key in DATABASE_KEYS}
    started = subprocess.Popen(
        [str(python), "-W", "ignore", "-m", "benchmarks.driver"],
        env={
            **copy.environment(),
            "COMP_BENCH_DATABASE": json.dumps(database),
            "COMP_BENCH_STRIPE": stripe,
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": str(ROOT),
            "STRIPE_SUPPRESS_NOTICES": "true",
            **environment,
        },
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Process(started, settings)
    finally:
        assert started.stdin is not None
        assert started.stdout is not None
        started.stdin.close()
        started.wait(60)
        started.stdout.close()


@contextmanager
def ours(copy: Copy, stripe: str, **environment: str) -> Iterator[Process]:
    """A site with this library."""
    with process(sys.executable, "benchmarks.settings", copy, stripe, **environment) as started:
        yield started


@contextmanager
def rival(environment: Path, copy: Copy, stripe: str) -> Iterator[Process]:
    """A site with dj-stripe."""
    with process(python_of(environment), "benchmarks.rival.settings", copy, stripe) as started:
        yield started
