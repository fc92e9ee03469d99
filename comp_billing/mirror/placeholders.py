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


def ensure(
    model: type[StripeObject],
    ids: Iterable[str],
    *,
    using: str = DEFAULT_DB_ALIAS,
    among: known.Tables | None = None,
) -> None:
    """Placeholders for objects that are named before they have arrived."""
    among = known.tables(using) if among is None else among
    absent = known.unknown(model, ids, among=among)
    if absent:
        insert_new(model, _placeholders(model, absent), using=using)
        known.remember(model, absent, among=among, using=using)


def fetch_later(
    model: type[StripeObject],
    ids: Iterable[str],
    *,
    since: int | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> set[str]:
    """Have the worker fetch objects anew, as soon as it can; answers the ids of those it will.

    ``since``: they have changed then, in Unix seconds of Stripe's clock (an event's ``created``).
    Rows with newer news are left alone, and news from before does not settle the matter. Unknown
    objects become placeholders. One that Stripe has said to be deleted stays so.
    """
    if not model.collection:
        return set()
    wanted = set(ids)
    rows = _placeholders(model, wanted)
    if since is not None:
        rows = [{**row, "doubt_as_of": since} for row in rows]
    marked = insert_statement(model, using).execute(rows, _due(model, using))
    known.remember(model, wanted, among=known.tables(using), using=using)
    return marked


def _placeholders(model: type[StripeObject], ids: Iterable[str]) -> list[dict[str, object]]:
    due = timezone.now() if model.collection else None
    return [
        {"stripe_id": key, "livemode": conf.LIVEMODE, "fetch_at": due} for key in sorted(set(ids))
    ]


@cache
def _due(model: type[StripeObject], using: str) -> str:
    key = insert_statement(model, using).quote("stripe_id")
    later = "t.doubt_as_of IS NULL OR excluded.doubt_as_of > t.doubt_as_of"
    return (
        f"({key}) DO UPDATE SET fetch_at = excluded.fetch_at, fetch_attempts = 0,"
        f" doubt_as_of = CASE WHEN {later} THEN excluded.doubt_as_of ELSE t.doubt_as_of END"
        " WHERE NOT (t.deleted AND t.rank >= 3)"
        " AND (t.as_of IS NULL OR excluded.doubt_as_of IS NULL OR t.as_of <= excluded.doubt_as_of)"
        f" RETURNING {key}"
    )
