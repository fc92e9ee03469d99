"""What a host site puts into its settings module. Imports nothing that needs settings."""

from __future__ import annotations

from typing import Any

import django

# For INSTALLED_APPS, besides the contrib apps of a new Django project. Before Django 6.0 the
# framework has no tasks of its own, and the backport is an app.
APPS: list[str] = [
    *(["django_tasks"] if django.VERSION < (6, 0) else []),
    "django_tasks_db",
    "django_htmx",
    "comp_users",
    "comp_core",
]

# For TASKS: tickets are kept in the site's own database.
TASKS: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []}
}

# For DATABASES["default"]["OPTIONS"] on SQLite. A reader that becomes a writer half-way fails at
# once with "database is locked", whatever the timeout; IMMEDIATE takes the lock at the start.
SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

# The same on PostgreSQL, if connections are kept and no pooler hands them out transaction by
# transaction: statements that come again are parsed and planned once.
POSTGRES_OPTIONS: dict[str, Any] = {"server_side_binding": True, "prepare_threshold": 3}
