"""What the clock does to runs: those that waited too long end, those that fell silent move on."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from django.db.models import F, Q
from django.db.models.functions import Now

from comp_core.lifecycle.ending import end_run
from comp_core.lifecycle.leasing import take_back
from comp_core.models import Interruption, Run
from comp_core.status import RunStatus

logger = logging.getLogger("comp_core")

# Rows that one round looks at; the next round takes the rest.
BATCH = 500


def abort_overdue() -> int:
    """End runs that waited longer than their deadline for starting; answers how many.

    A run that waits behind its owner's own has no deadline before it is admitted.
    """
    overdue = Q(status=RunStatus.QUEUED, held=False, start_deadline_at__lte=Now())
    words = {"error_message": "No worker was free before the deadline for starting this run."}
    due = _ids(overdue, order="start_deadline_at")
    return _each(due, lambda run_id: end_run(run_id, overdue, RunStatus.ABORTED, words))


def reap() -> int:
    """Take runs from workers that fell silent: back to the queue, or to their end.

    Row by row, each in its own transaction; answers how many runs moved. Any number of workers
    may reap at the same time.
    """
    expired = Q(status=RunStatus.RUNNING, lease_expires_at__lt=Now())
    return _each(_ids(expired, order="lease_expires_at"), lambda run_id: _reap(run_id, expired))


def _reap(run_id: uuid.UUID, expired: Q) -> bool:
    lost = Interruption.WORKER_LOST
    cancelled = expired & Q(cancel_requested_at__isnull=False)
    words = {"error_message": "Cancelled."}
    if end_run(run_id, cancelled, RunStatus.CANCELLED, words, interrupted=lost):
        return True
    wanted = expired & Q(cancel_requested_at__isnull=True)
    if take_back(run_id, wanted & Q(attempt__lt=F("max_attempts")), lost):
        return True
    words = {
        "error_type": "WorkerLost",
        "error_message": "The worker that ran this model vanished, as often as it was tried.",
    }
    exhausted = wanted & Q(attempt__gte=F("max_attempts"))
    return end_run(run_id, exhausted, RunStatus.LOST, words, interrupted=lost)


def _each(due: list[uuid.UUID], move: Callable[[uuid.UUID], bool]) -> int:
    """Move the runs that a round looks at; one that cannot be moved does not hold up the others.

    Answers how many moved; the first error is raised when all have had their turn.
    """
    moved, failure = 0, None
    for run_id in due:
        try:
            moved += move(run_id)
        except Exception as error:
            logger.exception("Run %s could not be ended.", run_id)
            failure = failure or error
    if failure is not None:
        raise failure
    return moved


def _ids(condition: Q, *, order: str) -> list[uuid.UUID]:
    """The runs that are due, longest first. In the order of an index: asked for in any other,
    SQLite reads the whole table to find that nothing is due."""
    return list(Run.objects.filter(condition).order_by(order).values_list("pk", flat=True)[:BATCH])
