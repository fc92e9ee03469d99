"""Ids known to have a row, remembered per process, so that naming a known parent costs nothing.

Rows of proxies are never removed (the gone ones are tombstones), so what was committed once stays
true. Whoever removes rows all the same (a flush, a restored backup, an operator) is met by
``forget``: on ``post_migrate`` and ``post_delete``, and by the retry of a failed webhook.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import connections, models, transaction

MAX_IDS = 200_000

Tables = dict[type[models.Model], set[str]]

_known: defaultdict[tuple[str, str], Tables] = defaultdict(dict)


def tables(using: str) -> Tables:
    """{model: ids known to have a row} of a database, for the functions here."""
    # Its name too: test databases share an alias with the real one.
    return _known[using, str(connections[using].settings_dict["NAME"])]


def unknown(model: type[models.Model], ids: Iterable[str], *, among: Tables) -> set[str]:
    """Those of the ids that may have no row."""
    known = among.get(model)
    return set(ids) if known is None else {key for key in ids if key not in known}


def remember(model: type[models.Model], ids: Iterable[str], *, among: Tables, using: str) -> None:
    """Remember ids once the current transaction has committed, not before."""
    learnt = unknown(model, ids, among=among)
    if learnt:
        transaction.on_commit(lambda: _learn(model, learnt, using), using=using, robust=True)


def _learn(model: type[models.Model], ids: set[str], using: str) -> None:
    # A test case runs such callbacks inside the transaction that it will roll back.
    if connections[using].in_atomic_block:
        return
    known = tables(using).setdefault(model, set())
    if len(known) > MAX_IDS:
        known.clear()
    known.update(ids)


def forget(**kwargs: Any) -> None:
    """Forget everything; a signal receiver."""
    _known.clear()
