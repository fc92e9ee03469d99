"""``upsert``: objects as received -> rows, children included, parents assured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Q

from comp_billing import shapes
from comp_billing.conf import conf
from comp_billing.mirror import charges, known
from comp_billing.mirror.clean import clean
from comp_billing.mirror.kinds import KINDS, in_order, parents
from comp_billing.mirror.sql import Rank, insert_new, upsert_statement
from comp_billing.models import StripeObject


@dataclass(frozen=True)
class Stamp:
    """When Stripe said something, and in which words."""

    as_of: int
    rank: int
    api_version: str


@dataclass(eq=False)
class Row:
    """One object on its way into its table. ``parent_id``: the object it came embedded in."""

    model: type[StripeObject]
    data: dict[str, Any]
    stamp: Stamp
    parent_id: str | None = None

    @property
    def id(self) -> str:
        return str(self.data["id"])

    @property
    def is_tombstone(self) -> bool:
        return self.data.get("deleted") is True

    @cached_property
    def values(self) -> dict[str, Any]:
        """{attname: value}, the guard's columns included."""
        return {
            **({} if self.is_tombstone else self.model.columns(self.data)),
            "stripe_id": self.id,
            "data": self.data,
            "livemode": shapes.flag(self.data.get("livemode"), default=conf.LIVEMODE),
            "api_version": self.stamp.api_version,
            "as_of": self.stamp.as_of,
            "rank": int(Rank.DELETED) if self.is_tombstone else self.stamp.rank,
            "deleted": self.is_tombstone,
        }

    def embedded(self) -> Iterator[Row]:
        if not self.is_tombstone:
            for data in self.model.embedded(self.data):
                yield from _rows([data], self.stamp, parent_id=self.id)


def upsert(
    objects: Iterable[Mapping[str, Any]],
    *,
    as_of: int,
    rank: int,
    api_version: str,
    naming: Iterable[tuple[type[StripeObject], str]] = (),
    using: str = DEFAULT_DB_ALIAS,
) -> set[str]:
    """Write objects as received; what is older than a row already says is left out.

    ``as_of`` is when Stripe said it, in Unix seconds: an event's ``created`` or a response's
    ``Date`` header, never the local clock. ``rank`` (see Rank) orders news of the same second.
    Objects of kinds that are not mirrored, and objects without an id, are passed over. Children
    embedded whole (a subscription's items, an invoice's payments) are written after their parent;
    parents named but unknown become placeholders, and so do the objects in ``naming``.
    ``"deleted": True`` makes a tombstone.

    Answers the Stripe ids of the rows that were written. Atomic; makes no call to Stripe.
    """
    rows = list(_rows(objects, Stamp(as_of, int(rank), api_version)))
    children = [child for row in rows for child in row.embedded()]
    with transaction.atomic(using=using, savepoint=False):
        _place_parents(rows, children, naming, using=using)
        charges.lock_invoices(_ids(rows, "invoice_payment", "invoice_id"), using=using)
        written = _write(rows, using=using)
        # The children of old news are old news too, even those not seen before.
        fresh = [child for child in children if child.parent_id in written]
        written |= _write(fresh, using=using)
        for row in rows:
            if row.id in written and not row.is_tombstone:
                _remove_missing(row, using=using)
        charges.link(
            invoice_ids=_ids([*rows, *fresh], "invoice_payment", "invoice_id"),
            payment_intents=_ids([*rows, *fresh], "charge", "payment_intent"),
            using=using,
        )
    return written


def ensure(model: type[StripeObject], ids: Iterable[str], *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Placeholders for objects that are named before they have arrived."""
    missing = known.unknown(model, ids, using=using)
    if missing:
        rows = [{"stripe_id": key, "livemode": conf.LIVEMODE} for key in sorted(missing)]
        insert_new(model, rows, using=using)
        known.remember(model, missing, using=using)


def _rows(
    objects: Iterable[Mapping[str, Any]], stamp: Stamp, *, parent_id: str | None = None
) -> Iterator[Row]:
    for given in objects:
        model = KINDS.get(shapes.text(given.get("object")))
        key = shapes.ref(given.get("id"))
        # A preview of an invoice has an id too, but not an invoice's.
        if model is not None and key is not None and key.startswith(model.id_prefix):
            yield Row(model, clean(dict(given)), stamp, parent_id)


def _ids(rows: Iterable[Row], kind: str, column: str) -> set[str]:
    """The values of one column of one kind; absent ones left out."""
    found = (row.values.get(column) for row in rows if row.model.kind == kind)
    return {value for value in found if value}


def _place_parents(
    rows: list[Row],
    children: list[Row],
    naming: Iterable[tuple[type[StripeObject], str]],
    *,
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
        ensure(model, tables[model], using=using)


def _write(rows: Iterable[Row], *, using: str) -> set[str]:
    """The guarded upserts, table by table and in key order; of two rows of one id the last."""
    tables: defaultdict[type[StripeObject], dict[str, Row]] = defaultdict(dict)
    for row in rows:
        tables[row.model][row.id] = row
    written: set[str] = set()
    for model in in_order(tables):
        statement = upsert_statement(model, using)
        ordered = [row for _, row in sorted(tables[model].items())]
        for is_tombstone, conflict in ((False, statement.conflict), (True, statement.tombstone)):
            batch = [row.values for row in ordered if row.is_tombstone is is_tombstone]
            written |= statement.execute(batch, conflict)
        known.remember(model, tables[model], using=using)
    return written


def _remove_missing(row: Row, *, using: str) -> None:
    """Mark the children that a complete list no longer names, unless they are newer news."""
    child = row.model.removes_missing(row.data)
    if child is None:
        return
    link = next(attname for attname, parent in parents(child).items() if parent is row.model)
    stamp = row.stamp
    older = Q(as_of__lt=stamp.as_of) | Q(as_of=stamp.as_of, rank__lte=stamp.rank)
    named = [str(data["id"]) for data in row.model.embedded(row.data) if shapes.ref(data.get("id"))]
    child.all_objects.using(using).filter(older, **{link: row.id}, deleted=False).exclude(
        pk__in=named
    ).update(deleted=True, as_of=stamp.as_of, rank=stamp.rank)
