"""Invoice lines: what is billed for an item, and the amount of it."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import amounts, ids, meters
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


def metered(item: Json) -> bool:
    """Whether usage is billed after the period, instead of a quantity before it."""
    return bool(item["price"]["recurring"]["usage_type"] == "metered")


def usage_specs(subscription: Json, item: Json, *, until: int) -> list[Json]:
    """The metered lines of an item's period up to `until`: one for each price in force in it."""
    start = max(item["current_period_start"], subscription["trial_end"] or 0)
    segments = item["_segments"]
    ends = [segment["from"] for segment in segments[1:]] + [until]
    return [
        {
            "item": item["id"],
            "price": segment["price"],
            "start": max(start, segment["from"]),
            "end": end,
        }
        for segment, end in zip(segments, ends, strict=True)
        if end > start
    ]


def advance_spec(item: Json, *, start: int, end: int) -> Json:
    """The licensed line of an item for the period to come."""
    price = item["_segments"][-1]["price"]
    return {
        "item": item["id"],
        "price": price,
        "start": start,
        "end": end,
        "quantity": item["quantity"],
    }


def _quantity(world: "StandIn", customer: str, spec: Json) -> int:
    if "quantity" in spec:
        return int(spec["quantity"])
    meter = world.need("billing.meter", spec["price"]["recurring"]["meter"])
    return meters.used(world, meter, customer, spec["start"], spec["end"])


def _description(world: "StandIn", price: Json, quantity: int) -> str:
    product = world.store.get("product", price["product"]) or {}
    each = (price["unit_amount_decimal"] or "tiered") + " " + price["currency"].upper()
    return f"{quantity} x {product.get('name', price['product'])} (at {each} minor units)"


def line(world: "StandIn", subscription: Json, spec: Json, invoice: str) -> Json:
    """One line: quantity and amount, rounded once."""
    price = spec["price"]
    quantity = _quantity(world, subscription["customer"], spec)
    amount = spec["amount"] if "amount" in spec else amounts.cost(price, quantity)
    details = {
        "proration": "amount" in spec,
        "subscription": subscription["id"],
        "subscription_item": spec["item"],
    }
    return shape(
        "line_item",
        id=spec.get("line") or ids.new_id("line_item"),
        amount=amount,
        currency=price["currency"],
        description=_description(world, price, quantity),
        discount_amounts=[],
        discountable=True,
        invoice=invoice,
        livemode=False,
        metadata={},
        parent={"type": "subscription_item_details", "subscription_item_details": details},
        period={"start": spec["start"], "end": spec["end"]},
        pretax_credit_amounts=[],
        pricing={
            "type": "price_details",
            "price_details": {"price": price["id"], "product": price["product"]},
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        quantity=quantity,
        quantity_decimal=str(quantity),
        subscription=subscription["id"],
        subtotal=amount,
        taxes=[],
    )
