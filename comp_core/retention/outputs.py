"""Removes what ended runs leave: the files of their outputs, and what their models printed.

Facts stay for ever: that a run took place, its time, cost and usage, and the manifest with names,
sizes and digests. Each verb may be interrupted and repeated, and may run beside workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from comp_core.crashpoints import crashpoint
from comp_core.db import from_now
from comp_core.models import Run
from comp_core.outputs.files import (
    Tally,
    Tell,
    output_storage,
    remove,
    remove_empty_folders,
    run_folder,
    silent,
)
from comp_core.status import TERMINAL

DAY_SECONDS = 86_400
BATCH = 200


def prune_outputs(days: float, *, dry_run: bool = False, tell: Tell = silent) -> Tally:
    """Remove the output files of runs that ended so many days ago. All runs alike: those that are
    public, and those of projects on offer, too.

    A run is marked before its files go and its paths are forgotten after, so that an interrupted
    removal is found by its paths and carried on.
    """
    tally = Tally()
    begun = Run.objects.filter(outputs_pruned_at__isnull=False, outputs__0__path__gt="")
    for run in in_batches(begun.only("outputs")):
        _prune_run(run, tally, dry_run=dry_run)
        tell(tally)
    old = ended_before(days).filter(outputs_pruned_at__isnull=True).exclude(outputs=[])
    for run in in_batches(old.only("outputs")):
        if dry_run or _mark(old.filter(pk=run.pk)):
            _prune_run(run, tally, dry_run=dry_run)
            tell(tally)
    return tally


def ended_before(days: float) -> QuerySet[Run]:
    return Run.objects.filter(status__in=TERMINAL, finished_at__lt=from_now(-days * DAY_SECONDS))


def in_batches(rows: QuerySet[Any]) -> Iterator[Any]:
    """All rows, by their keys: each is read once, also when those before it are changed."""
    rows = rows.order_by("pk")
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])


def _mark(same: QuerySet[Run]) -> bool:
    crashpoint("prune_outputs:begin")
    marked = same.update(outputs_pruned_at=Now(), modified=Now())
    crashpoint("prune_outputs:committed")
    return bool(marked)


def _prune_run(run: Run, tally: Tally, *, dry_run: bool) -> None:
    storage, failed = output_storage(), 0
    for entry in run.outputs:
        if dry_run or remove(storage, entry["path"]):
            tally.files, tally.bytes = tally.files + 1, tally.bytes + entry["size"]
        else:
            failed += 1
    tally.failed += failed
    tally.rows += not failed
    if not dry_run and not failed:
        remove_empty_folders(storage, run_folder(run.pk))
        _forget_paths(run)


def _forget_paths(run: Run) -> None:
    manifest = [{**entry, "path": ""} for entry in run.outputs]
    crashpoint("forget_paths:begin")
    Run.objects.filter(pk=run.pk, outputs_pruned_at__isnull=False).update(outputs=manifest)
    crashpoint("forget_paths:committed")


def prune_logs(days: float, *, dry_run: bool = False, tell: Tell = silent) -> Tally:
    """Blank what the models of runs that ended so many days ago printed, and their tracebacks.

    The error's own message stays: it says why the run cost nothing.
    """
    tally = Tally()
    old = ended_before(days).filter(~Q(stdout_tail="") | ~Q(traceback=""))
    for run in in_batches(old.only("pk")):
        if dry_run:
            tally.rows += 1
        else:
            same = old.filter(pk=run.pk)
            crashpoint("prune_logs:begin")
            tally.rows += same.update(stdout_tail="", traceback="", modified=Now())
            crashpoint("prune_logs:committed")
        tell(tally)
    return tally
