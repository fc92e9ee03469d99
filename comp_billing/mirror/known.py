"""Ids known to have a row, remembered per process, so that naming a known parent costs nothing.

Rows of proxies are never removed (the gone ones are tombstones), so what was committed once stays
true. Whoever removes rows all the same (a flush, a restored backup, an operator) is met by
``forget``: on ``post_migrate`` and ``post_delete``, and by the retry of a failed webhook.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connections, models, transaction

MAX_IDS = 200_000

_known: dict[tuple[str, str], dict[str, set[str]]] = {}


def _bucket(model: type[models.Model], using: str) -> set[str]:
    # The database's name too: test databases share an alias with the real one.
    tables = _known.setdefault((using, str(connections[using].settings_dict["NAME"])), {})
    return tables.setdefault(model._meta.label, set())


def unknown(model: type[models.Model], ids: Iterable[str], *, using: str) -> set[str]:
    """Those of the ids that may have no row."""
    return set(ids) - _bucket(model, using)


def remember(model: type[models.Model], ids: Iterable[str], *, using: str) -> None:
    """Remember ids once the current transaction has committed, not before."""
    learnt = unknown(model, ids, using=using)
    if learnt:
        transaction.on_commit(lambda: _learn(model, learnt, using), using=using, robust=True)


def _learn(model: type[models.Model], ids: set[str], using: str) -> None:
    # A test case runs such callbacks inside the transaction that it will roll back.
    if connections[using].in_atomic_block:
        return
    bucket = _bucket(model, using)
    if len(bucket) > MAX_IDS:
        bucket.clear()
    bucket.update(ids)


def forget(**kwargs: Any) -> None:
    """Forget everything; a signal receiver."""
    _known.clear()
