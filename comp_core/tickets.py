"""Tickets: what the task queue carries. A run's ticket says that there is work, not which.

Whoever executes one claims the fairest queued run, so duplicates are harmless and lost tickets are
mended by counting. The tasks themselves stand in ``comp_core.tasks``.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db.models import Count, Min
from django.db.models.functions import Now
from django.utils.module_loading import import_string
from django_tasks_db.models import DBTaskResult

from comp_core.compat import task_backends
from comp_core.conf import conf
from comp_core.crashpoints import crashpoint
from comp_core.db import from_now
from comp_core.models import CoreInputs, Run
from comp_core.registry import registered
from comp_core.status import InputsStatus, RunStatus

logger = logging.getLogger("comp_core")

# By path, because the tasks import the lifecycle, which sends their tickets.
EXECUTE_NEXT = "comp_core.tasks.execute_next"
CHECK_INPUTS = "comp_core.tasks.check_inputs"

# A run or a check may wait this long for its own ticket before we look for a lost one.
MEND_RUNS_SECONDS = 5
MEND_CHECKS_SECONDS = 300
MEND_BATCH = 1000
# Carried-out tickets, and those whose worker was killed, are of no use after a day.
KEEP_TICKETS_SECONDS = 86_400


def send_ticket(queue: str) -> None:
    """Put one ticket into a queue. Call it on commit: a ticket must never see a missing run."""
    crashpoint("ticket:begin")
    _task(EXECUTE_NEXT).using(queue_name=queue, backend=conf.TASK_BACKEND).enqueue(queue)
    crashpoint("ticket:committed")


def request_check(inputs: CoreInputs) -> None:
    """Ask a worker to check inputs. Call it on commit."""
    ticket = _task(CHECK_INPUTS).using(queue_name=conf.CHECK_QUEUE, backend=conf.TASK_BACKEND)
    ticket.enqueue(inputs._meta.label_lower, str(inputs.pk))


def _task(path: str) -> Any:
    return import_string(path)


def mend_tickets() -> int:
    """Replace lost tickets; answers how many were sent. Safe to run anywhere, at any time."""
    return _mend_runs() + _mend_checks()


def _mend_runs() -> int:
    waiting = (
        Run.objects.filter(
            status=RunStatus.QUEUED,
            held=False,
            queued_at__lt=from_now(-MEND_RUNS_SECONDS),
            modified__lt=from_now(-MEND_RUNS_SECONDS),
        )
        .order_by()
        .values_list("queue")
        .annotate(number=Count("pk"), oldest=Min("queued_at"))
    )
    sent = 0
    for queue, number, _ in waiting:
        missing = min(number - _tickets_ready(queue), MEND_BATCH)
        for _ in range(missing):
            send_ticket(queue)
        sent += max(missing, 0)
    if sent:
        logger.warning("%d tickets were missing and have been sent again.", sent)
    return sent


def _tickets_ready(queue: str) -> int:
    """How many tickets wait in a queue. A broker cannot say; then one more is enough at a time."""
    if not uses_database_backend():
        return Run.objects.filter(queue=queue, status=RunStatus.QUEUED).count() - 1
    return (
        DBTaskResult.objects.ready()
        .filter(task_path=EXECUTE_NEXT, queue_name=queue, backend_name=conf.TASK_BACKEND)
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
