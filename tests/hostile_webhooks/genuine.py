"""Events as Stripe sends them: one of each type that happens in the stand-in within a month."""

from __future__ import annotations

from functools import cache
from typing import Any

from comp_billing.testing import StandIn
from tests.billing.standin_rig import in_process, open_shop


@cache
def genuine_events() -> tuple[dict[str, Any], ...]:
    """One of each type, oldest first; thin ones included."""
    standin = StandIn()
    shop = open_shop(in_process(standin), unit="5000")
    shop.use(3, "run-1")
    standin.faults.add("reject_usage", code="meter_event_invalid_value")
    shop.use(1, "run-2")
    shop.next_month()
    (charge,) = standin.store.where("charge")
    shop.account.v1.refunds.create({"charge": charge["id"], "amount": 100})
    shop.account.v1.subscriptions.cancel(shop.subscription.id)
    shop.account.v1.products.update(shop.price.product, {"name": "Changed"})
    shop.account.v1.customers.delete(shop.customer.id)
    events = [*standin.store.where("event"), *standin.store.where("v2.core.event")]
    kinds = {event["type"]: event for event in reversed(events)}
    standin.close()
    return tuple(dict(event) for event in reversed(kinds.values()))


def paths(value: Any, *, start: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value within a payload, itself left out."""
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    found = [(*start, key) for key, _child in children]
    return found + [way for key, child in children for way in paths(child, start=(*start, key))]


def replaced(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """The payload with one value within it replaced."""
    if not way:
        return new
    copy = value.copy()
    copy[way[0]] = replaced(value[way[0]], way[1:], new)
    return copy
