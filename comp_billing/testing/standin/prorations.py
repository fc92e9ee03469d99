"""Prorations: the unused part of a licence given back, the new one charged for what is left."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import amounts
from comp_billing.testing.standin.lines import metered

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


def spec(world: "StandIn", item: Json, *, sign: int) -> Json:
    """One line for the rest of the period: `sign` 1 charges it, -1 gives it back; by the second."""
    price = item["_segments"][-1]["price"]
    start, end = item["current_period_start"], item["current_period_end"]
    share = Decimal(end - world.now()) / Decimal(max(end - start, 1))
    amount = amounts.rounded(amounts.cost(price, item["quantity"]) * share) * sign
    return {
        "item": item["id"],
        "price": price,
        "start": world.now(),
        "end": end,
        "quantity": item["quantity"],
        "amount": amount,
    }


def pend(world: "StandIn", subscription_id: str, *, old: Json | None, new: Json | None) -> None:
    """The lines of a change put on the next invoice; metered items have none."""
    added = [spec(world, old, sign=-1)] if old and not metered(old) else []
    added += [spec(world, new, sign=1)] if new and not metered(new) else []
    subscription = world.need("subscription", subscription_id)
    world.change(subscription, _pending=[*subscription["_pending"], *added])
