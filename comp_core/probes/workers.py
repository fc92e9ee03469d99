"""Whether somebody is there: workers that execute runs, and the maintenance loops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Max
from django.db.models.functions import Now

from comp_core.conf import conf
from comp_core.doctor import Finding, ok, problem, warning
from comp_core.maintenance import registered_loops
from comp_core.models import MaintenanceLoop, Worker
from comp_core.presence import worker_seen_recently
from comp_core.tickets import uses_database_backend

# Rounds may take a while, and a worker may be restarted: later than this nobody is there.
OVERDUE_SECONDS = 120


def start_words() -> str:
    """How the workers of this site are started."""
    if uses_database_backend():
        return "Start one: python manage.py comp_worker"
    return (
        f"Start the workers of TASKS[{conf.TASK_BACKEND!r}], "
        "and beside them: python manage.py comp_worker --maintenance"
    )


def workers() -> Iterator[Finding]:
    """A worker that executes runs has given a sign of life within two minutes."""
    if worker_seen_recently():
        yield ok("A worker that executes runs has been seen within two minutes.")
        return
    last = Worker.objects.exclude(queues__in=["", conf.CHECK_QUEUE]).aggregate(seen=Max("seen_at"))
    since = f"since {last['seen']:%Y-%m-%d %H:%M:%S %Z}" if last["seen"] else "in the last day"
    yield problem(f"No worker that executes runs has been seen {since}.", start_words())


def loops() -> Iterator[Finding]:
    """Every maintenance loop of which one worker takes the turn has had one, without an error."""
    rows = {row.name: row for row in MaintenanceLoop.objects.annotate(db_now=Now())}
    # A loop that every worker runs by itself leaves no trace.
    expected = [loop.name for loop in registered_loops() if not loop.everywhere]
    never = [name for name in expected if name not in rows or rows[name].started_at is None]
    late = [name for name in expected if name not in never and _is_late(rows[name])]
    todo = "Start a worker with maintenance loops: python manage.py comp_worker --maintenance"
    if never:
        yield problem(f"{_some(never)} never had a turn.", todo)
    if late:
        yield problem(f"{_some(late)} had no turn in time.", todo)
    for name in expected:
        if name in rows and rows[name].error_type:
            what = f"The last round of the maintenance loop {name} failed: {rows[name].error_type}."
            yield warning(what, "The log of the worker has the traceback.")
    if not never and not late:
        yield ok(f"The {len(expected)} maintenance loops have their turns.")


def _is_late(row: Any) -> bool:
    return bool(row.due_at + timedelta(seconds=OVERDUE_SECONDS) < row.db_now)


def _some(names: list[str]) -> str:
    """The first of some loops by name, the number of the others."""
    first = ", ".join(names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"The maintenance loops {first}{more} have"
