"""The one place that knows which package provides ``django.tasks`` (Django 6) or its backport."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import django
from django_tasks_db import compat as _tasks_db

_tasks: Any = import_module("django.tasks" if django.VERSION >= (6, 0) else "django_tasks")

# Decorator of module-level functions that workers execute.
task: Callable[[Callable[..., Any]], Any] = _tasks.task
task_backends: Any = _tasks.task_backends
InvalidTaskBackend: type[Exception] = _tasks_db.InvalidTaskBackend
# For backends of our own. django-tasks-db has made the same choice, with the types.
BaseTaskBackend = _tasks_db.BaseTaskBackend
BaseTaskResult: Any = _tasks_db.BaseTaskResult
Task: Any = _tasks_db.Task
TaskContext: Any = _tasks_db.TaskContext
TaskResultStatus: Any = _tasks_db.TaskResultStatus
task_enqueued: Any = _tasks_db.task_enqueued
