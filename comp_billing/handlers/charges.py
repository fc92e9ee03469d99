"""Charges whose money was asked back: the news is about a refund or a dispute, and changes them."""

from __future__ import annotations

from typing import Any

from comp_billing import mirror, shapes
from comp_billing.handlers.registry import on
from comp_billing.models import Charge, Event, StripeObject


@on("charge.dispute.*", "charge.refund.updated", "refund.*")
def fetch_charge(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """Have the worker fetch the charge anew: what was refunded of it, and whether it is disputed,
    is told in the charge alone, and not every such event is followed by one of the charge's."""
    key = shapes.ref(event.object_data.get("charge"))
    if key is not None:
        mirror.fetch_later(Charge, [key], since=int(event.created.timestamp()))
