"""How runs end: every terminal transition goes through one function, which tells the meter."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from comp_core.exceptions import CompError
from comp_core.lifecycle.leasing import requeued
from comp_core.metering import get_meter
from comp_core.models import Run
from comp_core.signals import run_finished
from comp_core.status import TERMINAL, RunStatus
from comp_core.tickets import send_ticket

logger = logging.getLogger("comp_core")

MICROSECOND = Decimal("0.000001")
# Between reading a run's status and writing to it others may move it; nobody does so often.
CANCEL_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended. ``seconds`` is the model's own time; ``outputs`` a stored manifest."""

    status: RunStatus
    seconds: Decimal | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    upstream_version: str = ""
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""
    stdout_tail: str = ""
    peak_memory_bytes: int | None = None

    def values(self) -> dict[str, Any]:
        """The columns of Run that this outcome fills."""
        values: dict[str, Any] = {
            "outputs": self.outputs,
            "error_type": self.error_type[:100],
            "error_message": self.error_message,
            "traceback": self.traceback,
            "stdout_tail": self.stdout_tail,
            "peak_memory_bytes": self.peak_memory_bytes,
        }
        if self.seconds is not None:
            values["run_time"] = self.seconds.quantize(MICROSECOND)
        if self.upstream_version:
            values["upstream_version"] = self.upstream_version[:200]
        return values


def finish(run_id: uuid.UUID, token: uuid.UUID, outcome: Outcome) -> bool:
    """Store an attempt's outcome. False: it lost its lease meanwhile, and nothing was written."""
    held = Q(status=RunStatus.RUNNING, lease_token=token)
    return _end(run_id, held, outcome.status, outcome.values())


def cancel(run: Run) -> Run:
    """Stop a run: at once while it waits, within seconds while it runs. A finished run stays.

    Answers the run as it stands now; a running one is cancelled by its worker's next heartbeat.
    """
    for _ in range(CANCEL_TRIES):
        words = {"error_message": "Cancelled before it started."}
        if _end(run.pk, Q(status=RunStatus.QUEUED), RunStatus.CANCELLED, words):
            break
        asked = Run.objects.filter(
            pk=run.pk, status=RunStatus.RUNNING, cancel_requested_at__isnull=True
        ).update(cancel_requested_at=Now(), modified=Now())
        run = Run.objects.get(pk=run.pk)
        if asked or run.status in TERMINAL or run.cancel_requested_at is not None:
            return run
    return Run.objects.get(pk=run.pk)


def abort_overdue() -> int:
    """End runs that waited longer than their deadline for starting; answers how many."""
    overdue = Q(status=RunStatus.QUEUED, start_deadline_at__lte=Now())
    words = {"error_message": "No worker was free before the deadline for starting this run."}
    return _each(overdue, lambda run_id: _end(run_id, overdue, RunStatus.ABORTED, words))


def reap() -> int:
    """Take runs from workers that fell silent: back to the queue, or to their end.

    Row by row, each in its own transaction; answers how many runs moved. Any number of workers
    may reap at the same time.
    """
    expired = Q(status=RunStatus.RUNNING, lease_expires_at__lt=Now())
    return _each(expired, lambda run_id: _reap(run_id, expired))


def _each(due: Q, move: Callable[[uuid.UUID], bool]) -> int:
    """Move every run that is due; one that cannot be moved does not keep the others waiting.

    Answers how many moved; the first error is raised when all have had their turn.
    """
    moved, failure = 0, None
    for run_id in _ids(due):
        try:
            moved += move(run_id)
        except Exception as error:
            logger.exception("Run %s could not be ended.", run_id)
            failure = failure or error
    if failure is not None:
        raise failure
    return moved


def _reap(run_id: uuid.UUID, expired: Q) -> bool:
    cancelled = expired & Q(cancel_requested_at__isnull=False)
    if _end(run_id, cancelled, RunStatus.CANCELLED, {"error_message": "Cancelled."}):
        return True
    with transaction.atomic():
        retry = expired & Q(cancel_requested_at__isnull=True, attempt__lt=F("max_attempts"))
        if Run.objects.filter(retry, pk=run_id).update(**requeued()):
            queue = Run.objects.values_list("queue", flat=True).get(pk=run_id)
            transaction.on_commit(partial(send_ticket, queue), robust=True)
            return True
    words = {
        "error_type": "WorkerLost",
        "error_message": "The worker that ran this model vanished, as often as it was tried.",
    }
    exhausted = expired & Q(attempt__gte=F("max_attempts"))
    return _end(run_id, exhausted, RunStatus.LOST, words)


def _ids(condition: Q) -> list[uuid.UUID]:
    return list(Run.objects.filter(condition).order_by("pk").values_list("pk", flat=True)[:500])


def _end(run_id: uuid.UUID, guard: Q, status: RunStatus, values: dict[str, Any]) -> bool:
    """The one terminal transition: status, price and the meter's record, in one transaction.

    ``guard`` names the state that the run leaves; False when it was not in it, nothing written.
    """
    if status not in TERMINAL:
        raise CompError(f"{status!r} does not end a run.")
    with transaction.atomic():
        run = (
            Run.objects.filter(guard, pk=run_id)
            .select_related("project", "owner", "payer")
            .annotate(db_now=Now())
            .first()
        )
        if run is None:
            return False
        values = {
            **values,
            "status": status,
            "finished_at": run.db_now,
            "lease_token": None,
            "lease_expires_at": None,
            "modified": run.db_now,
            **_price(run, status, values),
        }
        if not Run.objects.filter(guard, pk=run_id).update(**values):
            return False
        for name, value in values.items():
            setattr(run, name, value)
        _tell_meter(run)
        transaction.on_commit(partial(_announce, run))
    return True


def _price(run: Run, status: RunStatus, values: dict[str, Any]) -> dict[str, Any]:
    if status != RunStatus.SUCCEEDED:
        return {"run_cost": None}
    return {"run_cost": get_meter().cost(run, values["run_time"]), "progress": 1.0}


def _tell_meter(run: Run) -> None:
    meter = get_meter()
    if run.status == RunStatus.SUCCEEDED:
        meter.record(run)
    else:
        meter.release(run)


def _announce(run: Run) -> None:
    run_finished.send_robust(sender=Run, run=run)
