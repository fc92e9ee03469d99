"""From submit to the end of a run, through a real worker; beside the bare engine's no-op task."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any
from unittest import mock

from django_tasks_db.models import DBTaskResult

from benchmarks.databases import Databases
from benchmarks.figures import Figure, Sample, Sizes, milliseconds, summaries
from benchmarks.tasks import BARE_QUEUE, nothing
from benchmarks.workers import bare_worker, comp_worker, wait_for
from comp_core import runner, tasks
from comp_core.conf import conf
from comp_core.lifecycle import submit
from comp_core.models import Run
from comp_core.status import RunStatus
from comp_core.worker import drain
from tests.core.builders import make_inputs

RIVAL = "django-tasks-db: its no-op task, its db_worker"
# Half a pause on average, the rest for the claim: see WORKER_POLL_SECONDS.
PAUSES = 1.5
RUNS_FOR_EACH = 2
# Where the library does what the parts of a run's time are named for.
STAGES: dict[str, tuple[Any, str]] = {
    "claim": (tasks, "claim"),
    "process and model": (runner, "start_model"),
    "outputs": (runner, "save_outputs"),
    "finish": (runner, "finish"),
}


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Latency, speed and idle start of the library's worker and the bare one's, in turn."""
    copy = databases.copy("end")
    with comp_worker(copy), bare_worker(copy, BARE_QUEUE):
        _ours(), _theirs()
        found: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(sizes.repeat):
            found["ours"].append(_after_a_pause(_ours))
            found["theirs"].append(_after_a_pause(_theirs))
        yield from _starts()
        ours, theirs = _drained(sizes)
    databases.copy("stages")
    yield Figure(
        name="end to end",
        unit="ms",
        ours=Sample(found["ours"]),
        rival_name=RIVAL,
        rival=Sample(found["theirs"]),
        parts={"of a run that need not wait": _stages(sizes)},
    )
    yield Figure(
        name="milliseconds of a worker for each run",
        unit="ms",
        ours=Sample([ours]),
        rival_name=RIVAL,
        rival=Sample([theirs]),
        parts={"runs a second": round(1000 / ours, 1), "tasks a second": round(1000 / theirs, 1)},
    )


def _after_a_pause(action: Callable[[], Any]) -> float:
    """At a moment that the worker's own pauses don't know of."""
    time.sleep(random.uniform(1, 2) * conf.WORKER_POLL_SECONDS)
    return milliseconds(action)


def _ours() -> None:
    run = submit(make_inputs())
    wait_for(Run.objects.filter(pk=run.pk, status=RunStatus.SUCCEEDED).exists)


def _theirs() -> None:
    result = nothing.using(queue_name=BARE_QUEUE).enqueue()
    wait_for(DBTaskResult.objects.successful().filter(pk=result.id).exists)


def _starts() -> Iterator[Figure]:
    """By the database's clock, from the rows."""
    ours = Run.objects.order_by("created").values_list("queued_at", "started_at")[1:]
    theirs = DBTaskResult.objects.filter(queue_name=BARE_QUEUE).order_by("enqueued_at")
    bare = theirs.values_list("enqueued_at", "started_at")[1:]
    pause = conf.WORKER_POLL_SECONDS * 1000
    yield Figure(
        name="idle start",
        unit="ms",
        ours=Sample(_between(ours)),
        rival_name="pause between two looks",
        rival=Sample([pause]),
        at_most=PAUSES,
        parts={"bare engine": Sample(_between(bare)).summary()},
    )


def _between(moments: Iterable[tuple[Any, Any]]) -> list[float]:
    return [(end - start).total_seconds() * 1000 for start, end in moments]


def _drained(sizes: Sizes) -> tuple[float, float]:
    """Milliseconds for each run, and each bare task, of a queue that is worked off."""
    number = sizes.repeat * RUNS_FOR_EACH
    runs = [submit(make_inputs()).pk for _ in range(number)]
    waiting = Run.objects.filter(pk__in=runs)
    wait_for(lambda: not waiting.exclude(status=RunStatus.SUCCEEDED).exists())
    bare = [nothing.using(queue_name=BARE_QUEUE).enqueue().id for _ in range(number)]
    tickets = DBTaskResult.objects.filter(pk__in=bare)
    wait_for(lambda: tickets.successful().count() == number)
    return _pace(waiting), _pace(tickets)


def _pace(rows: Any) -> float:
    """The median distance of two ends, so that what both waited for before does not count."""
    ends: list[datetime] = sorted(rows.values_list("finished_at", flat=True))
    return Sample(_between(pairwise(ends))).median


def _stages(sizes: Sizes) -> dict[str, Any]:
    """Where the time goes, in milliseconds: runs carried out in this process, step by step."""
    found: dict[str, list[float]] = {name: [] for name in (*STAGES, "the ticket, and all between")}
    for _ in range(sizes.repeat):
        with _watched(found):
            submit(make_inputs())
            total = milliseconds(drain)
        between = total - sum(found[name][-1] for name in STAGES)
        found["the ticket, and all between"].append(between)
    model = [float(seconds) * 1000 for seconds in Run.objects.values_list("run_time", flat=True)]
    return summaries({**found, "model, by its own clock": model})


@contextmanager
def _watched(found: dict[str, list[float]]) -> Iterator[None]:
    """Every stage notes how long it took."""
    with ExitStack() as stack:
        for name, (module, function) in STAGES.items():
            timed = _timed(getattr(module, function), found[name])
            stack.enter_context(mock.patch.object(module, function, timed))
        yield


def _timed(function: Callable[..., Any], found: list[float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            found.append((time.perf_counter() - started) * 1000)

    return timed
