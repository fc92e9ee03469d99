"""Whether there is a table for intents yet."""

from __future__ import annotations

import threading
from typing import Any

from django.db import connection

from comp_billing import stripe_api
from comp_billing.models import Intent

_seen_table = threading.Event()


def can_intend() -> bool:
    """Whether facts become intents: there is a key, and the tables have been made.

    Users and projects may be saved before that, by a ``migrate`` of other apps; the maintenance
    loops catch up on them.
    """
    return stripe_api.is_configured() and (_seen_table.is_set() or _look_for_table())


def _look_for_table() -> bool:
    if Intent._meta.db_table in connection.introspection.table_names():
        _seen_table.set()
    return _seen_table.is_set()


def forget_table(**kwargs: Any) -> None:
    """Receiver of ``pre_migrate``: migrations may take the table away."""
    _seen_table.clear()
