"""Tickets: what the task queue carries. A run's ticket says that there is work, not which.

Whoever executes one claims the fairest queued run, so duplicates are harmless and lost tickets are
mended by counting. The tasks themselves stand in ``comp_core.tasks``.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.module_loading import import_string
from django_tasks_db.models import DBTaskResult

from comp_core.compat import task_backends
from comp_core.conf import conf
from comp_core.crashpoints import crashpoint
from comp_core.db import each_value, from_now
from comp_core.models import CoreInputs, Run
from comp_core.presence import slots_for
from comp_core.registry import registered
from comp_core.status import InputsStatus, RunStatus

logger = logging.getLogger("comp_core")

# By path, because the tasks import the lifecycle, which sends their tickets.
EXECUTE_NEXT = "comp_core.tasks.execute_next"
CHECK_INPUTS = "comp_core.tasks.check_inputs"

# A run or a check may wait this long for its own ticket before we look for a lost one.
MEND_RUNS_SECONDS = 5
MEND_CHECKS_SECONDS = 300
# A broker does not say what it holds. Tickets that are sent on suspicion, and the runs that they
# were sent for, are left alone for so long.
SUSPICION_SECONDS = 60
MEND_BATCH = 1000
# Carried-out tickets, and those whose worker was killed, are of no use after a day.
KEEP_TICKETS_SECONDS = 86_400


def send_ticket(queue: str, *, mended_at: datetime | None = None) -> None:
    """Put one ticket into a queue. Call it on commit: a ticket must never see a missing run.

    ``mended_at``, by the database's clock: it replaces a lost one (see ``send_successor``).
    """
    crashpoint("ticket:begin")
    _enqueue(EXECUTE_NEXT, queue, queue, *([mended_at.isoformat()] if mended_at else []))
    crashpoint("ticket:committed")


def request_check(inputs: CoreInputs) -> None:
    """Ask a worker to check inputs. Call it on commit."""
    crashpoint("check_ticket:begin")
    _enqueue(CHECK_INPUTS, conf.CHECK_QUEUE, inputs._meta.label_lower, str(inputs.pk))
    crashpoint("check_ticket:committed")


def _enqueue(path: str, queue: str, *args: str) -> None:
    """What the ticket is for is committed: its user must not be told that it failed. A ticket that
    a broker did not take is as good as lost, and lost ones are mended."""
    task: Any = import_string(path)
    try:
        task.using(queue_name=queue, backend=conf.TASK_BACKEND).enqueue(*args)
    except Exception:
        logger.exception("A ticket for the queue %s could not be sent.", queue)


def mend_tickets() -> int:
    """Replace lost tickets; answers how many were sent. Safe to run anywhere, at any time."""
    return _mend_runs() + _mend_checks()


def _waiting() -> Any:
    """Runs that wait for a worker; those that wait behind their owner's own need no ticket."""
    return Run.objects.filter(status=RunStatus.QUEUED, held=False)


def _mend_runs() -> int:
    sent = 0
    for queue in each_value(_waiting(), "queue"):
        overdue = _waiting().filter(
            queue=queue,
            queued_at__lt=from_now(-MEND_RUNS_SECONDS),
            modified__lt=from_now(-MEND_RUNS_SECONDS),
        )
        if uses_database_backend():
            sent += _send_missing(queue, overdue)
        else:
            sent += _send_on_suspicion(queue, overdue)
    return sent


def _send_missing(queue: str, overdue: Any) -> int:
    """Neither is counted further than to ``MEND_BATCH``: any ticket takes the fairest run, so that
    no more of them are needed than are carried out until the next round."""
    waiting = overdue.order_by("-priority", "start_tag", "queued_at")[:MEND_BATCH].count()
    missing: int = max(waiting - _tickets_ready(queue), 0)
    for _ in range(missing):
        send_ticket(queue)
    if missing:
        logger.warning("%d tickets were missing and have been sent again.", missing)
    return missing


def _send_on_suspicion(queue: str, overdue: Any) -> int:
    """A slot is idle while runs wait: their tickets must be lost. One new ticket per idle slot.

    Never more than that in ``SUSPICION_SECONDS``, however long the workers are busy with what we
    don't see; so they cannot pile up. ``modified`` is when a waiting run's last ticket was sent.
    """
    slots = slots_for(queue)
    running = Run.objects.filter(queue=queue, status=RunStatus.RUNNING).count()
    # No row need not mean no worker: then one ticket at a time tries it.
    idle = slots - running if slots else 1
    after_first = Q(modified__gt=F("queued_at") + timedelta(seconds=MEND_RUNS_SECONDS))
    lately = after_first & Q(modified__gt=from_now(-SUSPICION_SECONDS))
    free = idle - _waiting().filter(lately, queue=queue).count()
    sent = 0
    # In the order of the claim, so that a ticket that is taken takes its own run.
    for run in overdue.exclude(lately).order_by("-priority", "start_tag", "queued_at")[
        : max(free, 0)
    ]:
        # Another maintenance process may have been here.
        if overdue.exclude(lately).filter(pk=run.pk).update(modified=Now()):
            send_ticket(queue, mended_at=Run.objects.values_list("modified").get(pk=run.pk)[0])
            sent += 1
    if sent:
        # Not a warning: a slot between two runs looks idle, too.
        logger.info("Runs wait in %s while slots are idle: sent %d tickets.", queue, sent)
    return sent


def was_taken_at_once(run: Run, mended_at: str) -> bool:
    """Whether the ticket that has just claimed a run did not wait: the broker holds no others."""
    limit = datetime.fromisoformat(mended_at) + timedelta(seconds=MEND_RUNS_SECONDS)
    return Run.objects.filter(pk=run.pk, started_at__lt=limit).exists()


def send_successor(run: Run) -> None:
    """The run of a mended ticket has ended: let the next one that waits follow at once.

    So a queue whose tickets are all lost flows again at full speed from a few. They multiply no
    further than to where they wait for each other.
    """
    ended = Run.objects.filter(pk=run.pk).values_list("finished_at", flat=True).first()
    if ended is not None and _waiting().filter(queue=run.queue).exists():
        send_ticket(run.queue, mended_at=ended)


def _tickets_ready(queue: str) -> int:
    return (
        DBTaskResult.objects.ready()
        .filter(task_path=EXECUTE_NEXT, queue_name=queue, backend_name=conf.TASK_BACKEND)[
            :MEND_BATCH
        ]
        .count()
    )


def _mend_checks() -> int:
    sent = 0
    for spec in registered().values():
        stale = spec.inputs_model._default_manager.filter(
            status=InputsStatus.PENDING, modified__lt=from_now(-MEND_CHECKS_SECONDS)
        )
        for inputs in stale[:MEND_BATCH]:
            if stale.filter(pk=inputs.pk).update(modified=Now()):
                request_check(inputs)
                sent += 1
    return sent


def uses_database_backend() -> bool:
    """Whether tickets are rows of django-tasks-db, which we may count and prune."""
    backend = task_backends[conf.TASK_BACKEND]
    return any(kind.__module__.startswith("django_tasks_db.") for kind in type(backend).__mro__)


def prune_tickets() -> int:
    """Delete our old tickets that nobody will execute any more; answers how many."""
    old = DBTaskResult.objects.filter(
        task_path__in=[EXECUTE_NEXT, CHECK_INPUTS],
        # However long its run may wait and take: a ticket is not pruned while it is carried out.
        enqueued_at__lt=from_now(
            -KEEP_TICKETS_SECONDS - conf.QUEUE_DEADLINE_SECONDS - conf.DEADLINE_SECONDS
        ),
    ).exclude(pk__in=DBTaskResult.objects.ready().values("pk"))
    deleted, _ = old.delete()
    return deleted
