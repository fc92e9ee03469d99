"""A worker's hold on a run: claimed with a fresh token, kept by heartbeats, given or taken back."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Now

from comp_core.conf import conf
from comp_core.crashpoints import crashpoint, step
from comp_core.db import after_commit, from_now
from comp_core.exceptions import RunHasEnded
from comp_core.models import Attempt, Interruption, Run
from comp_core.status import TERMINAL, RunStatus
from comp_core.tickets import send_ticket

# Between reading a run's status and writing to it others may move it; nobody does so often.
TRIES = 5


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
    with step("claim"):
        run: Run | None = _claimable(queue).first()
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


def _claimable(queue: str) -> Any:
    """The runs of a queue that may start, locked but for those that somebody else is at."""
    return (
        Run.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(
            queue=queue,
            status=RunStatus.QUEUED,
            held=False,
            start_deadline_at__gt=Now(),
            # One that may not start must not stand before the others.
            attempt__lt=F("max_attempts"),
        )
        .select_related("project")
        .order_by("-priority", "start_tag", "queued_at")
    )


def heartbeat(
    run_id: uuid.UUID, token: uuid.UUID, *, progress: float = 0.0, message: str = ""
) -> Heartbeat:
    """Extend the lease and store the progress; one statement unless a cancel was requested."""
    crashpoint("heartbeat:begin")
    leased = Run.objects.filter(pk=run_id, status=RunStatus.RUNNING, lease_token=token)
    values = {
        "lease_expires_at": from_now(conf.LEASE_SECONDS),
        "progress": min(max(progress, 0.0), 1.0) if math.isfinite(progress) else 0.0,
        "progress_message": message[:200],
    }
    if leased.filter(cancel_requested_at__isnull=True).update(**values):
        crashpoint("heartbeat:committed")
        return Heartbeat(alive=True, cancel_requested=False)
    alive = bool(leased.update(**values))
    crashpoint("heartbeat:committed")
    return Heartbeat(alive=alive, cancel_requested=alive)


def release(run_id: uuid.UUID, token: uuid.UUID) -> bool:
    """Give a run back that this worker cannot end because it has to stop; answers whether it did.

    The attempt does not count against the run: it was ended from outside.
    """
    ours = Q(status=RunStatus.RUNNING, lease_token=token, cancel_requested_at__isnull=True)
    return take_back(run_id, ours, Interruption.RELEASED)


def requeue(run: Run) -> Run:
    """An operator's verb: have a run start again, whoever holds it now; answers it as it stands.

    A running one is taken from its worker, which finds its token gone at the next heartbeat and
    discards what it has. The attempt does not count against the run. A queued one gets a new
    ticket and its full time to start; one that is to be cancelled stays. Raises RunHasEnded.
    """
    wanted = Q(status=RunStatus.RUNNING, cancel_requested_at__isnull=True)
    for _ in range(TRIES):
        if take_back(run.pk, wanted, Interruption.REQUEUED) or _renew(run):
            break
        run = Run.objects.get(pk=run.pk)
        if run.status in TERMINAL:
            raise RunHasEnded
        if run.cancel_requested_at is not None:
            break
    return Run.objects.get(pk=run.pk)


def _renew(run: Run) -> bool:
    """A waiting run's deadline and ticket anew; False when it does not wait."""
    with step("renew"):
        waiting = Run.objects.filter(pk=run.pk, status=RunStatus.QUEUED)
        deadline = from_now(conf.QUEUE_DEADLINE_SECONDS)
        if not waiting.update(start_deadline_at=deadline, modified=Now()):
            return False
        # A spare ticket does no harm, also when the run waits behind its owner's own.
        after_commit(send_ticket, run.queue)
    return True


def take_back(run_id: uuid.UUID, guard: Q, reason: Interruption) -> bool:
    """Put a running run back to its old place in the queue, and note the interrupted attempt.

    ``guard`` names the state that the run leaves; False when it was not in it, nothing written.
    Attempts count only against a run whose worker was lost. Their numbers are not used again, so
    that the files of two attempts cannot meet.
    """
    with step("take_back"):
        run = Run.objects.filter(guard, pk=run_id).annotate(db_now=Now()).first()
        if run is None:
            return False
        uncounted = 0 if reason == Interruption.WORKER_LOST else 1
        # The token pins the attempt: another one may have begun since we read the run.
        same = Run.objects.filter(guard, pk=run_id, lease_token=run.lease_token)
        if not same.update(max_attempts=F("max_attempts") + uncounted, **_requeued()):
            return False
        note_interruption(run, reason)
        after_commit(send_ticket, run.queue)
    return True


def note_interruption(run: Any, reason: Interruption) -> None:
    """Keep what is known of an attempt that did not end its run; ``run.db_now`` is its end."""
    Attempt.objects.create(
        run_id=run.pk,
        number=run.attempt,
        worker_id=run.worker_id,
        started_at=run.started_at,
        ended_at=run.db_now,
        progress=run.progress,
        reason=reason,
    )


def _requeued() -> dict[str, Any]:
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
