"""``upsert``: objects as received -> rows, children included, parents assured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from comp_billing.mirror import charges, known
from comp_billing.mirror.kinds import in_order, parents
from comp_billing.mirror.placeholders import ensure
from comp_billing.mirror.rows import Row, Stamp, column_of, rows_of
from comp_billing.mirror.sql import upsert_statement
from comp_billing.models import StripeObject


def upsert(
    objects: Iterable[Mapping[str, Any]],
    *,
    as_of: int,
    rank: int,
    api_version: str,
    naming: Iterable[tuple[type[StripeObject], str]] = (),
    quiet: bool = False,
    using: str = DEFAULT_DB_ALIAS,
) -> set[str]:
    """Write objects as received, of one kind; what is older than a row already says is left out.
    (Of several kinds too, but then the locks are taken in an order that can deadlock with others.)

    ``as_of`` is when Stripe said it, in Unix seconds: an event's ``created`` or a response's
    ``Date`` header, never the local clock. ``rank`` (see Rank) orders news of the same second;
    two versions that it cannot order leave the row due to be fetched. Objects of kinds that are
    not mirrored, and objects without an id, are passed over. Children embedded whole (a
    subscription's items, an invoice's payments) are written after their parent; parents named but
    unknown become placeholders, and so do the objects in ``naming``. ``"deleted": True`` makes a
    tombstone. ``quiet``: what says nothing new about a row does not write it.

    Answers the Stripe ids of the rows that were written. Atomic; makes no call to Stripe.
    """
    rows = list(rows_of(objects, Stamp(as_of, int(rank), api_version)))
    if connections[using].in_atomic_block:
        return _upsert(rows, naming, quiet=quiet, using=using)
    with transaction.atomic(using=using):
        return _upsert(rows, naming, quiet=quiet, using=using)


def _upsert(
    rows: list[Row], naming: Iterable[tuple[type[StripeObject], str]], *, quiet: bool, using: str
) -> set[str]:
    children = [child for row in rows for child in row.embedded()]
    among = known.tables(using)
    _place_parents(rows, children, naming, among=among, using=using)
    written = _write(rows, quiet=quiet, using=using)
    # The children of old news are old news too, even those not seen before.
    fresh = [child for child in children if child.parent_id in written]
    owners = [row for row in rows if row.id in written and not row.is_tombstone]
    written |= _write_children(fresh, owners, using=using)
    told = [*rows, *fresh]
    for model, batch in _by_table(told):
        known.remember(model, [row.id for row in batch], among=among, using=using)
    charges.link(
        invoice_ids=column_of(told, "invoice_payment", "invoice_id"),
        payment_intents=column_of(told, "charge", "payment_intent"),
        charge_ids={row.id for row in told if row.model.kind == "charge"},
        using=using,
    )
    return written


def missing(
    model: type[StripeObject],
    ids: Iterable[str],
    *,
    as_of: int,
    api_version: str,
    using: str = DEFAULT_DB_ALIAS,
) -> set[str]:
    """Mark rows of which Stripe, asked at ``as_of``, knows nothing; answers those marked.

    They are gone until there is newer news: an answer to a key of another account looks the same.
    """
    rows = [
        {
            "stripe_id": key,
            "api_version": api_version,
            "as_of": as_of,
            "rank": 0,
            "deleted": True,
        }
        for key in sorted(set(ids))
    ]
    return upsert_statement(model, using).write(rows)


def _place_parents(
    rows: list[Row],
    children: list[Row],
    naming: Iterable[tuple[type[StripeObject], str]],
    *,
    among: known.Tables,
    using: str,
) -> None:
    """Placeholders for every parent named, table by table and in key order."""
    named = {
        (parent, row.values.get(attname))
        for row in [*rows, *children]
        for attname, parent in parents(row.model).items()
    }
    named |= set(naming)
    # What is about to be written needs no place kept.
    named -= {(row.model, row.id) for row in rows}
    tables: defaultdict[type[StripeObject], set[str]] = defaultdict(set)
    for parent, key in named:
        if key:
            tables[parent].add(key)
    for model in in_order(tables):
        ensure(model, tables[model], using=using, among=among)


def _write(rows: Iterable[Row], *, quiet: bool, using: str) -> set[str]:
    """The guarded upserts, table by table; of two rows of one id the last."""
    written: set[str] = set()
    for model, batch in _by_table(rows):
        statement = upsert_statement(model, using)
        written |= statement.write([row.values for row in batch], quiet=quiet)
    return written


def _write_children(children: list[Row], owners: list[Row], *, using: str) -> set[str]:
    """Children of rows that were written. Of a kind of which an owner told all there are, those
    that it no longer names go with the same statement."""
    whole: defaultdict[type[StripeObject], list[Row]] = defaultdict(list)
    for owner in owners:
        child = owner.model.removes_missing(owner.data)
        if child is not None:
            whole[child].append(owner)
    plain = [child for child in children if child.model not in whole]
    written = _write(plain, quiet=False, using=using)
    tables = dict(_by_table(child for child in children if child.model in whole))
    for model, telling in whole.items():
        batch = tables.get(model, [])
        written |= _replace(model, batch, telling, using=using)
    return written


def _replace(
    model: type[StripeObject], children: list[Row], owners: list[Row], *, using: str
) -> set[str]:
    link = next(name for name, parent in parents(model).items() if parent is owners[0].model)
    return upsert_statement(model, using).replace(
        [row.values for row in children],
        stamp=(owners[0].stamp.as_of, owners[0].stamp.rank),
        link=link,
        owners=sorted({owner.id for owner in owners}),
    )


def _by_table(rows: Iterable[Row]) -> list[tuple[type[StripeObject], list[Row]]]:
    """Tables in the order of writing, the rows of each in key order."""
    tables: defaultdict[type[StripeObject], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        tables[row.model][row.id] = row
    return [
        (model, [row for _, row in sorted(tables[model].items())]) for model in in_order(tables)
    ]
