"""Heartbeats and claims a second, of threads with a connection each. PostgreSQL only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection

from benchmarks.databases import Copy, Databases
from benchmarks.figures import Figure, Sample, Sizes
from comp_core import lifecycle
from comp_core.projects import project_for
from comp_core.registry import get_spec
from tests.core.scale import fill_queue, many_profiles

THREADS = (1, 4, 16)
# More than can be claimed meanwhile.
CLAIMS_A_SECOND = 3000


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """For judging how many workers a database bears; SQLite has one writer at a time."""
    if connection.vendor != "postgresql":
        return
    copy = databases.copy("threads")
    rows = int(CLAIMS_A_SECOND * sizes.seconds * len(THREADS)) + sum(THREADS)
    fill_queue(project_for(get_spec("doubling")), many_profiles(100), rows=rows)
    for number in THREADS:
        yield _speed("claims", number, _together(copy, number, _claims(sizes.seconds)))
        yield _speed("heartbeats", number, _together(copy, number, _beats(sizes.seconds)))


def _speed(what: str, threads: int, rate: float) -> Figure:
    return Figure(name=f"{what}, {threads} threads", unit="a second", ours=Sample([rate]), parts={})


def _together(copy: Copy, number: int, work: Callable[[], float]) -> float:
    """The sum of what so many threads reach, all starting at the same moment."""
    barrier, rates = threading.Barrier(number), []

    def one() -> None:
        with copy.in_thread():
            connection.ensure_connection()
            barrier.wait()
            rates.append(work())

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def _rate(seconds: float, action: Callable[[], Any]) -> float:
    """How often a second an action can be done; it answers False when there is no more to do."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds and action():
        done += 1
    return done / (time.perf_counter() - started)


def _claims(seconds: float) -> Callable[[], float]:
    return lambda: _rate(seconds, lambda: lifecycle.claim("default", worker_id="w"))


def _beats(seconds: float) -> Callable[[], float]:
    def work() -> float:
        run: Any = lifecycle.claim("default", worker_id="w")
        beat = lambda: lifecycle.heartbeat(run.pk, run.lease_token, progress=0.5).alive  # noqa: E731
        return _rate(seconds, beat)

    return work
