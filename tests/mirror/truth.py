"""The site's rows against the account: what exists, what is gone, every column, and the JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from comp_billing import mirror
from comp_billing.models import Invoice, StripeObject
from tests.mirror.account import Account, Json

# What Stripe changes, or makes, without telling of it: known from lists and answers only.
UNTOLD_FIELDS = {"customer": ("next_invoice_sequence",)}
UNTOLD_KIND = "invoice_payment"


def divergences(account: Account, *, listed: bool) -> list[str]:
    """What is not as it is at Stripe. ``listed``: the lists have been read since, so that also
    what Stripe tells of by no event must be true."""
    found: list[str] = []
    for kind, model in mirror.KINDS.items():
        objects = {obj["id"]: account.world.view(obj) for obj in account.live(kind)}
        told = set(objects) if listed or kind != UNTOLD_KIND else _told(account, kind)
        rows = {row.pk: row for row in model.all_objects.all()}
        found += _of_kind(objects, rows, told, listed=listed)
    return [*found, *_charges(account, listed=listed)]


def _told(account: Account, kind: str) -> set[str]:
    """The objects that an event has been about."""
    every = (event["data"]["object"] for event in account.live("event"))
    return {obj["id"] for obj in every if obj["object"] == kind}


def _of_kind(
    objects: dict[str, Json], rows: dict[str, StripeObject], told: set[str], *, listed: bool
) -> Iterator[str]:
    for stripe_id in sorted(told - rows.keys()):
        yield f"{stripe_id} has no row"
    for stripe_id, row in sorted(rows.items()):
        where = f"{row.kind} {stripe_id}"
        if row.fetch_at is not None:
            yield f"{where} is still in doubt"
        if stripe_id not in objects:
            if not row.deleted:
                yield f"{where} is gone at Stripe"
        elif stripe_id not in told:
            continue
        elif row.deleted or row.is_placeholder:
            yield f"{where} exists, but is a {'placeholder' if row.is_placeholder else 'tombstone'}"
        else:
            yield from _differences(where, row, objects[stripe_id], listed=listed)


def _differences(where: str, row: StripeObject, obj: Json, *, listed: bool) -> Iterator[str]:
    for name, value in row.columns(obj).items():
        if getattr(row, name) != value:
            yield f"{where}: {name} is {getattr(row, name)!r} instead of {value!r}"
    untold = () if listed else UNTOLD_FIELDS.get(row.kind, ())
    names = (row.data.keys() | obj.keys()) - {*untold, "payments"}
    for name in sorted(names):
        if row.data.get(name) != obj.get(name):
            seen, real = _brief(row.data.get(name)), _brief(obj.get(name))
            yield f"{where}: its {name} is {seen} instead of {real}"


def _charges(account: Account, *, listed: bool) -> Iterator[str]:
    """The charge of each invoice, as the account's payments have it."""
    charges = account.live("charge")
    for row in Invoice.objects.order_by("pk"):
        payments = account.live("invoice_payment", invoice=row.pk)
        intents = {one["payment"]["payment_intent"] for one in payments}
        of_invoice = [one for one in charges if one["payment_intent"] in intents]
        best = max(map(_place, of_invoice), default=None)
        allowed: set[str | None] = {c["id"] for c in of_invoice if _place(c) == best} or {None}
        # The payment that links the two is told of when it is paid.
        if not listed and best is not None and not best[0]:
            allowed.add(None)
        if row.charge_id not in allowed:
            real = " or ".join(sorted(map(str, allowed)))
            yield f"invoice {row.pk}: its charge is {row.charge_id} instead of {real}"


def _place(charge: Json) -> tuple[bool, int]:
    return charge["status"] == "succeeded", charge["created"]


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
