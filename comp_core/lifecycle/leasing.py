"""A worker's hold on a run: claimed with a fresh token, kept by heartbeats, given back."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from functools import partial

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from comp_core.conf import conf
from comp_core.db import from_now
from comp_core.models import Run
from comp_core.status import RunStatus
from comp_core.tickets import send_ticket


@dataclass(frozen=True)
class Heartbeat:
    """What a worker learns from its heartbeat. Not alive: the run is no longer its own."""

    alive: bool
    cancel_requested: bool


def claim(queue: str, *, worker_id: str) -> Run | None:
    """Lease the fairest queued run of a queue; None when none waits.

    The run carries the new ``lease_token``, the fence of everything that this attempt writes.
    """
    token = uuid.uuid4()
    with transaction.atomic():
        run: Run | None = (
            Run.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(
                queue=queue,
                status=RunStatus.QUEUED,
                start_deadline_at__gt=Now(),
                # One that may not start must not stand before the others.
                attempt__lt=F("max_attempts"),
            )
            .select_related("project")
            .order_by("-priority", "start_tag", "queued_at")
            .first()
        )
        if run is None:
            return None
        claimed = Run.objects.filter(
            pk=run.pk, status=RunStatus.QUEUED, attempt__lt=F("max_attempts")
        ).update(
            status=RunStatus.RUNNING,
            attempt=F("attempt") + 1,
            lease_token=token,
            lease_expires_at=from_now(conf.LEASE_SECONDS),
            worker_id=worker_id,
            started_at=Now(),
            progress=0,
            progress_message="",
            modified=Now(),
        )
    if not claimed:
        return None
    run.status, run.attempt, run.lease_token = RunStatus.RUNNING, run.attempt + 1, token
    run.worker_id = worker_id
    return run


def heartbeat(
    run_id: uuid.UUID, token: uuid.UUID, *, progress: float = 0.0, message: str = ""
) -> Heartbeat:
    """Extend the lease and store the progress; one statement unless a cancel was requested."""
    held = Run.objects.filter(pk=run_id, status=RunStatus.RUNNING, lease_token=token)
    values = {
        "lease_expires_at": from_now(conf.LEASE_SECONDS),
        "progress": min(max(progress, 0.0), 1.0) if math.isfinite(progress) else 0.0,
        "progress_message": message[:200],
    }
    if held.filter(cancel_requested_at__isnull=True).update(**values):
        return Heartbeat(alive=True, cancel_requested=False)
    alive = bool(held.update(**values))
    return Heartbeat(alive=alive, cancel_requested=alive)


def release(run_id: uuid.UUID, token: uuid.UUID) -> bool:
    """Give a run back that this worker cannot end because it has to stop; answers whether it did.

    The attempt does not count against the run: it was ended from outside. Its number is not used
    again, so that its files and those of the next attempt cannot meet.
    """
    with transaction.atomic():
        held = Run.objects.filter(
            pk=run_id,
            status=RunStatus.RUNNING,
            lease_token=token,
            cancel_requested_at__isnull=True,
        )
        if not held.update(max_attempts=F("max_attempts") + 1, **requeued()):
            return False
        queue = Run.objects.values_list("queue", flat=True).get(pk=run_id)
        transaction.on_commit(partial(send_ticket, queue), robust=True)
    return True


def requeued() -> dict[str, object]:
    """The values of a run that goes back to its old place in the queue."""
    return {
        "status": RunStatus.QUEUED,
        "lease_token": None,
        "lease_expires_at": None,
        "worker_id": "",
        "started_at": None,
        "progress": 0,
        "progress_message": "",
        "start_deadline_at": from_now(conf.QUEUE_DEADLINE_SECONDS),
        "modified": Now(),
    }
