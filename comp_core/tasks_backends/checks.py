"""What must be right about a Celery app that carries tickets. Nothing here reaches its broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error

from comp_core.conf import conf

KEEP_HINT = "Remove it from the app's configuration, task_annotations included."
# kombu's own, for Redis.
DEFAULT_VISIBILITY_SECONDS = 3600


def check_app(backend: Any, name: str) -> list[CheckMessage]:
    """``name`` is the Celery task that carries the tasks of Django's framework."""
    try:
        app = backend.app
        settings = app.conf
    except (ImportError, AttributeError) as error:
        text = f"TASKS[{backend.alias!r}]['OPTIONS']['APP'] cannot be imported: {error}"
        hint = "Write the dotted path of the Celery app, such as 'site.celery.app'."
        return [Error(text, hint=hint, id="comp_core.E030")]
    if not (settings.broker_url or settings.broker_write_url):
        text = f"TASKS[{backend.alias!r}] finds no Celery app with a broker."
        hint = (
            "Set CELERY_BROKER_URL, and import the app in the site's __init__.py, so that web "
            "processes know it too."
        )
        return [Error(text, hint=hint, id="comp_core.E031")]
    return [
        *_check_eager(settings),
        *_check_visibility(app),
        *_check_acknowledgement(app.tasks[name]),
        *_check_time_limits(app.tasks[name], settings),
        *_check_prefetch(settings),
    ]


def urgent_is_zero(app: Any) -> bool:
    """Whether the app's broker serves priority 0 first, as Redis does and RabbitMQ does not."""
    return _kind(app) == "redis"


def _kind(app: Any) -> str:
    """Of the broker, whatever its address looks like; "" when its library is not installed."""
    with suppress(ImportError):
        return str(app.connection_for_write().get_transport_cls().driver_type)
    return ""


def _check_eager(settings: Any) -> Iterator[CheckMessage]:
    if settings.task_always_eager:
        text = "CELERY_TASK_ALWAYS_EAGER executes runs within the web request."
        hint = "Remove it, or take comp_core.host.TASKS, which needs no broker."
        yield Error(text, hint=hint, id="comp_core.E032")


def _check_visibility(app: Any) -> Iterator[CheckMessage]:
    """Redis hands a message out again that was not acknowledged within this time."""
    if _kind(app) != "redis":
        return
    options = app.conf.broker_transport_options or {}
    seconds = options.get("visibility_timeout", DEFAULT_VISIBILITY_SECONDS)
    if seconds <= conf.DEADLINE_SECONDS:
        text = (
            f"Redis delivers a ticket again after {seconds} seconds, and a run may take "
            f"{conf.DEADLINE_SECONDS}."
        )
        hint = (
            "Set CELERY_BROKER_TRANSPORT_OPTIONS['visibility_timeout'] to more than "
            "COMP_CORE['DEADLINE_SECONDS'], twice as much for instance."
        )
        yield Error(text, hint=hint, id="comp_core.E033")


def _check_acknowledgement(task: Any) -> Iterator[CheckMessage]:
    for option in ("acks_late", "reject_on_worker_lost", "ignore_result"):
        if not getattr(task, option):
            text = f"{option} is switched off for {task.name}."
            yield Error(text, hint=KEEP_HINT, id="comp_core.E034")


def _check_time_limits(task: Any, settings: Any) -> Iterator[CheckMessage]:
    limits = (
        task.time_limit or settings.task_time_limit,
        task.soft_time_limit or settings.task_soft_time_limit,
    )
    if any(limit and limit <= conf.DEADLINE_SECONDS for limit in limits):
        text = "Celery's time limit ends a run before its own deadline does."
        hint = "Raise it above COMP_CORE['DEADLINE_SECONDS'], or remove it."
        yield Error(text, hint=hint, id="comp_core.E035")


def _check_prefetch(settings: Any) -> Iterator[CheckMessage]:
    if settings.worker_prefetch_multiplier != 1:
        text = "A busy Celery worker reserves tickets that an idle one could take."
        hint = "Set CELERY_WORKER_PREFETCH_MULTIPLIER = 1."
        yield checks.Warning(text, hint=hint, id="comp_core.W030")
