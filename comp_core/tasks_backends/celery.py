"""``CeleryBackend``: tickets over Celery, for a site that outgrows one machine.

A worker needs nothing but the site's Celery app: the one Celery task below is registered when
``TASKS`` names the backend. Celery's public interface only.
"""

from __future__ import annotations

import uuid
from functools import cached_property, partial
from typing import Any

from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from comp_core.compat import (
    BaseTaskBackend,
    BaseTaskResult,
    Task,
    TaskContext,
    TaskResultStatus,
    task_enqueued,
)
from comp_core.tasks_backends.checks import check_app, urgent_is_zero

try:
    from celery import current_app, shared_task

    from comp_core.tasks_backends import celery_worker
except ImportError as error:
    raise ImportError("CeleryBackend needs Celery: pip install 'django-comp[celery]'") from error

NAME = "comp_core.execute"
# Brokers know ten levels, Django's tasks framework 201.
HIGHEST_LEVEL = 9


class CeleryBackend(BaseTaskBackend):
    """OPTIONS: ``APP`` is the dotted path of the Celery app (default: Celery's current app);
    ``URGENT_IS_ZERO`` whether the broker serves priority 0 first (default: as its kind does)."""

    supports_defer = True
    supports_async_task = True
    supports_priority = True
    supports_get_result = False

    @property
    def app(self) -> Any:
        path = self.options.get("APP")
        return import_string(path) if path else current_app

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Sent when the transaction commits, and never when it is rolled back."""
        self.validate_task(task)
        result = result_of(task, self.alias, str(uuid.uuid4()), args, kwargs)
        transaction.on_commit(partial(self._send, result))
        return result

    def _send(self, result: Any) -> None:
        if self._faults:
            raise ImproperlyConfigured(self._faults[0].msg)
        task = result.task
        self.app.tasks[NAME].apply_async(
            args=[task.module_path, self.alias, result.args, result.kwargs],
            task_id=result.id,
            queue=task.queue_name,
            priority=self.level(task.priority),
            eta=task.run_after,
        )
        object.__setattr__(result, "enqueued_at", timezone.now())
        task_enqueued.send(type(self), task_result=result)

    @cached_property
    def _faults(self) -> list[CheckMessage]:
        return [message for message in self.check() if message.is_serious()]

    def level(self, priority: int) -> int:
        """The broker's number for a priority between -100 and 100, so that higher comes first."""
        level = round((priority + 100) * HIGHEST_LEVEL / 200)
        zero_first = self.options.get("URGENT_IS_ZERO", urgent_is_zero(self.app))
        return HIGHEST_LEVEL - level if zero_first else level

    def check(self, **kwargs: Any) -> list[Any]:
        return check_app(self, NAME)


def result_of(task: Any, alias: str, task_id: str, args: Any, kwargs: Any) -> Any:
    """What the framework shows of a task on its way; its outcome is not kept."""
    nothing = dict.fromkeys(("enqueued_at", "started_at", "finished_at", "last_attempted_at"))
    return BaseTaskResult(
        task=task,
        id=task_id,
        status=TaskResultStatus.READY,
        args=list(args),
        kwargs=kwargs,
        backend=alias,
        errors=[],
        worker_ids=[],
        **nothing,
    )


def _execute(message: Any, path: str, alias: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Carry out a task of Django's framework, and nothing else that a message may name."""
    task = import_string(path)
    if not isinstance(task, Task):
        raise SuspiciousOperation(f"{path} is not a task.")
    if task.takes_context:
        result = result_of(task, alias, message.request.id, args, kwargs)
        args = [TaskContext(task_result=result), *args]
    task.call(*args, **kwargs)


execute = shared_task(
    name=NAME,
    bind=True,
    # A ticket is given back when its worker dies. A run that has begun is kept by its lease.
    acks_late=True,
    reject_on_worker_lost=True,
    ignore_result=True,
    serializer="json",
)(_execute)
celery_worker.connect()
