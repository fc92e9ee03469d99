"""System checks of comp_core; they touch neither database nor network."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from comp_core.compat import InvalidTaskBackend, task_backends
from comp_core.conf import conf
from comp_core.declaration import declared_values, inputs_model_of
from comp_core.metering import BaseMeter
from comp_core.registry import registered, run_models

TASKS_HINT = (
    'Write TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []}} in '
    "your settings; the empty list admits every queue."
)


def check_settings(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    wrong = conf.check(prefix="comp_core")
    # The others read values whose types have to be right.
    return wrong or [
        *_check_meter(),
        *_check_tasks(),
        *_check_storage(),
        *_check_clocks(),
        *_check_currency(),
    ]


def _check_clocks() -> list[checks.CheckMessage]:
    messages: list[checks.CheckMessage] = []
    if conf.HEARTBEAT_SECONDS * 2 > conf.LEASE_SECONDS:
        text = "COMP_CORE['LEASE_SECONDS'] is shorter than two heartbeats."
        hint = "A run would be taken from a healthy worker: lower HEARTBEAT_SECONDS."
        messages.append(checks.Error(text, hint=hint, id="comp_core.E008"))
    elif conf.TERMINATE_GRACE_SECONDS + conf.HEARTBEAT_SECONDS >= conf.LEASE_SECONDS:
        text = "COMP_CORE['TERMINATE_GRACE_SECONDS'] is as long as the lease of a run."
        hint = "A run that is being stopped would be started again: raise LEASE_SECONDS."
        messages.append(checks.Error(text, hint=hint, id="comp_core.E024"))
    if not settings.USE_TZ:
        text = "USE_TZ is off, so the site's moments and the database's cannot be compared."
        messages.append(
            checks.Error(text, hint="Write USE_TZ = True in your settings.", id="comp_core.E009")
        )
    return messages


def _check_currency() -> list[checks.CheckMessage]:
    if re.fullmatch("[a-z]{3}", conf.CURRENCY):
        return []
    text = "COMP_CORE['CURRENCY'] is no currency's code."
    hint = "Write three lower-case letters, such as 'usd' or 'eur'."
    return [checks.Error(text, hint=hint, id="comp_core.E019")]


def _check_meter() -> list[checks.CheckMessage]:
    try:
        meter = import_string(conf.METER)
    except (ImportError, AttributeError, TypeError):
        meter = None
    if isinstance(meter, type) and issubclass(meter, BaseMeter):
        return []
    hint = "Name a subclass of comp_core.metering.BaseMeter, such as the default NullMeter."
    return [checks.Error("COMP_CORE['METER'] is not a meter.", hint=hint, id="comp_core.E004")]


def _check_tasks() -> list[checks.CheckMessage]:
    try:
        backend: Any = task_backends[conf.TASK_BACKEND]
    except (InvalidTaskBackend, ImportError) as error:
        text = f"TASKS[{conf.TASK_BACKEND!r}], which carries tickets, cannot be loaded: {error}"
        return [checks.Error(text, hint=TASKS_HINT, id="comp_core.E005")]
    messages: list[checks.CheckMessage] = []
    if type(backend).__name__ in ("ImmediateBackend", "DummyBackend"):
        text = f"TASKS[{conf.TASK_BACKEND!r}] does not hand tickets to a worker."
        messages.append(checks.Warning(text, hint=TASKS_HINT, id="comp_core.W001"))
    queues = {conf.CHECK_QUEUE, *(spec.queue for spec in registered().values())}
    missing = sorted(queues - set(backend.queues)) if backend.queues else []
    if missing:
        text = f"TASKS[{conf.TASK_BACKEND!r}] refuses the queues {', '.join(missing)}."
        messages.append(checks.Error(text, hint=TASKS_HINT, id="comp_core.E006"))
    return messages


def _check_storage() -> list[checks.CheckMessage]:
    if conf.STORAGE in settings.STORAGES:
        return []
    hint = f"Add {conf.STORAGE!r} to STORAGES, or name one of {', '.join(settings.STORAGES)}."
    text = "COMP_CORE['STORAGE'] names no entry of STORAGES."
    return [checks.Error(text, hint=hint, id="comp_core.E007")]


def check_duplicates(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Two models cannot share a slug: it is the address of their pages and of their project."""
    by_slug: dict[Any, list[Any]] = defaultdict(list)
    for model in run_models():
        by_slug[declared_values(model).get("slug")].append(model)
    return [
        checks.Error(
            f"{model.__name__} has the slug {slug!r}, which {first.__name__} has already.",
            hint=f"Give {model.__name__}.Comp a slug of its own.",
            obj=model,
            id="comp_core.E018",
        )
        for slug, (first, *others) in by_slug.items()
        if slug
        for model in others
    ]


def check_shared_inputs(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """Saved inputs say by their class which model runs them, so each run has a class of its own."""
    by_inputs: dict[Any, list[Any]] = defaultdict(list)
    for model in run_models():
        by_inputs[inputs_model_of(model)].append(model)
    return [
        checks.Error(
            f"{model.__name__} has the inputs of {first.__name__}.",
            hint=f"Declare inputs of its own for {model.__name__}; they may derive from an "
            "abstract base with the common parameters.",
            obj=model,
            id="comp_core.E020",
        )
        for inputs, (first, *others) in by_inputs.items()
        if inputs is not None
        for model in others
    ]


def check_databases(app_configs: Any, **kwargs: Any) -> list[checks.CheckMessage]:
    """SQLite works for several processes only with immediate transactions and patience."""
    messages: list[checks.CheckMessage] = []
    for alias, config in settings.DATABASES.items():
        if config.get("ENGINE") != "django.db.backends.sqlite3":
            continue
        options = config.get("OPTIONS") or {}
        immediate = str(options.get("transaction_mode", "")).upper() in ("IMMEDIATE", "EXCLUSIVE")
        if not (immediate and "journal_mode=wal" in _squeezed(options.get("init_command"))):
            messages.append(_sqlite_warning(alias))
    return messages


def _squeezed(command: Any) -> str:
    return str(command or "").lower().replace(" ", "")


def _sqlite_warning(alias: str) -> checks.CheckMessage:
    return checks.Warning(
        f"DATABASES[{alias!r}] is SQLite in its default mode: a site with a worker will see "
        "“database is locked”.",
        hint=(
            'Add "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": '
            '"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}.'
        ),
        id="comp_core.W002",
    )
