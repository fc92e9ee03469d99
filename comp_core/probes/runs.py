"""Whether runs move: those that wait, those that run, and what interrupted ones left behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef
from django.db.models.functions import Now

from comp_core.conf import conf
from comp_core.db import from_now
from comp_core.doctor import Finding, ok, problem, warning
from comp_core.models import Attempt, Run, Worker
from comp_core.operating import LONG_WAIT_SECONDS, UNREAPED_SECONDS, unreaped
from comp_core.presence import slots_for, worker_seen_recently
from comp_core.status import RunStatus

# A lost ticket is replaced within seconds; a run that an idle worker leaves for longer is stuck.
IDLE_SECONDS = 60
# What a run may take beyond its time limit: to end its model, to store its outputs.
STORING_SECONDS = 300
UNSWEPT_SECONDS = 86_400
LOOPS = "Start a worker with maintenance loops: python manage.py comp_worker --maintenance"
SHOW = "Look at them: python manage.py comp_runs list --status running"


def waiting() -> Iterator[Finding]:
    """Per queue: how many runs wait and for how long, and whether somebody serves it."""
    queued = Run.objects.filter(status=RunStatus.QUEUED, held=False).order_by()
    queues = list(queued.values("queue").annotate(number=Count("pk"), oldest=Min("queued_at")))
    now = _db_now(queued)
    for row in queues:
        yield _judge_queue(row, now)
    if not queues:
        yield ok("No run waits for a worker.")
    yield from _overdue()
    yield from _held()


def _db_now(runs: Any) -> Any:
    return runs.annotate(db_now=Now()).values_list("db_now", flat=True).first()


def _judge_queue(row: Any, now: Any) -> Finding:
    queue, age = row["queue"], max(now - row["oldest"], timedelta())
    oldest = f"the oldest for {in_words(age)}"
    what = f"Runs that wait in the queue {queue!r}: {row['number']}, {oldest}"
    if not worker_seen_recently(queue):
        todo = f"Start a worker that serves it: python manage.py comp_worker --queue {queue}"
        if Worker.objects.exclude(queues="").exists():
            todo = f"Look at --queue of the workers, or start one: comp_worker --queue {queue}"
        return problem(f"{what}, and no worker serves that queue.", todo)
    if age.total_seconds() > IDLE_SECONDS and _is_idle(queue):
        todo = "Unless the next look finds it gone: look at the workers' log, or requeue the runs."
        return warning(f"{what}, although a worker that serves it is idle.", todo)
    if age.total_seconds() > LONG_WAIT_SECONDS:
        return warning(f"{what}.", "Start more workers, or limit the runs of one profile.")
    return ok(f"{what}.")


def _is_idle(queue: str) -> bool:
    """As if all that runs were run by this queue's workers: so we miss some, and accuse none."""
    return slots_for(queue) > Run.objects.filter(status=RunStatus.RUNNING).count()


def _overdue() -> Iterator[Finding]:
    late = Run.objects.filter(
        status=RunStatus.QUEUED, held=False, start_deadline_at__lt=from_now(-UNREAPED_SECONDS)
    ).count()
    if late:
        yield problem(f"Runs that still wait after their deadline for starting: {late}.", LOOPS)


def _held() -> Iterator[Finding]:
    """Held runs are let in when one of their owner's ends; with none under way nobody will."""
    under_way = Run.objects.filter(owner=OuterRef("owner"), finished_at__isnull=True, held=False)
    held = Run.objects.filter(held=True, modified__lt=from_now(-UNREAPED_SECONDS))
    stuck = held.exclude(Exists(under_way)).count()
    if stuck:
        what = f"Runs that wait behind their owner's own, of which none is under way: {stuck}."
        yield problem(what, LOOPS)


def running() -> Iterator[Finding]:
    """Leases are kept or taken back, and no run goes on beyond its time limit."""
    silent = Run.objects.filter(unreaped()).count()
    if silent:
        what = f"Runs held by workers that fell silent more than a minute ago: {silent}."
        yield problem(what, LOOPS)
    rows = Run.objects.filter(status=RunStatus.RUNNING, lease_expires_at__gt=Now())
    rows = rows.annotate(db_now=Now())
    late = [run for run in rows.only("started_at", "timeout_seconds") if _is_late(run)]
    if late:
        numbers = ", ".join(str(run.pk)[:8] for run in late[:3])
        yield problem(f"Runs that go on after their time limit: {len(late)} ({numbers}).", SHOW)
    if not silent and not late:
        yield ok("Every running run is in a worker's hands and within its time limit.")


def _is_late(run: Any) -> bool:
    spare = STORING_SECONDS + conf.TERMINATE_GRACE_SECONDS
    limit = timedelta(seconds=run.timeout_seconds + spare)
    return bool(run.db_now - run.started_at > limit)


def leftovers() -> Iterator[Finding]:
    """Files of interrupted attempts are swept in time."""
    old = Attempt.objects.filter(swept_at__isnull=True, ended_at__lt=from_now(-UNSWEPT_SECONDS))
    number = old.count()
    if number:
        what = f"Interrupted attempts whose files have not been swept for a day: {number}."
        yield warning(what, LOOPS)
    else:
        yield ok("The files of interrupted attempts are swept in time.")


def in_words(age: timedelta) -> str:
    """A duration in its largest unit, such as "12 minutes"."""
    number = int(age.total_seconds())
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if number >= 2 * size:
            return f"{number // size} {unit}"
    return f"{number} seconds"
