"""Rows of objects that are named before they arrive, and rows that are in doubt: both are fetched
by the worker."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from comp_billing.conf import conf
from comp_billing.mirror import known
from comp_billing.mirror.sql import insert_new, insert_statement
from comp_billing.models import StripeObject


def ensure(model: type[StripeObject], ids: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Placeholders for objects that are named before they have arrived."""
    absent = known.unknown(model, ids, using=using)
    if absent:
        insert_new(model, _placeholders(model, absent), using=using)
        known.remember(model, absent, using=using)


def fetch_later(
    model: type[StripeObject], ids: Iterable[str], *, using: str = DEFAULT_DB_ALIAS
) -> set[str]:
    """Have the worker fetch objects anew, as soon as it can; answers the ids of those it will.

    Unknown ones become placeholders. One that Stripe has said to be deleted stays so.
    """
    if not model.collection:
        return set()
    wanted = set(ids)
    rows = _placeholders(model, wanted)
    marked = insert_statement(model, using).execute(rows, _due(model, using))
    known.remember(model, wanted, using=using)
    return marked


def _placeholders(model: type[StripeObject], ids: Iterable[str]) -> list[dict[str, object]]:
    due = timezone.now() if model.collection else None
    return [
        {"stripe_id": key, "livemode": conf.LIVEMODE, "fetch_at": due} for key in sorted(set(ids))
    ]


@cache
def _due(model: type[StripeObject], using: str) -> str:
    key = insert_statement(model, using).quote("stripe_id")
    return (
        f"({key}) DO UPDATE SET fetch_at = excluded.fetch_at, fetch_attempts = 0"
        f" WHERE NOT (t.deleted AND t.rank >= 3) RETURNING {key}"
    )
