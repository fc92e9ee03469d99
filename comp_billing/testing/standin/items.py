"""Subscription items: one price of a subscription, with its own period."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids, lines, prorations
from comp_billing.testing.standin.changes import must_live, told
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.expansion import public
from comp_billing.testing.standin.fields import merged, stub
from comp_billing.testing.standin.listing import slice_of
from comp_billing.testing.standin.periods import later, period_end
from comp_billing.testing.standin.prices import plan_of
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


def of(world: "StandIn", subscription: Json) -> list[Json]:
    """The items of a subscription, oldest first."""
    return world.store.where("subscription_item", subscription=subscription["id"])


def price_for(world: "StandIn", spec: Json, *, param: str = "items[0][price]") -> Json:
    """The active recurring price that an item's parameters name, by `price` or `plan`."""
    object_id = spec.get("price") or spec.get("plan")
    if not object_id:
        raise ApiError("Missing required param: price.", code="parameter_missing", param=param)
    price = world.need("price", object_id, param=param)
    if not price["recurring"]:
        raise ApiError("The price specified is of type `one_time`.", param=param)
    if not price["active"]:
        raise ApiError("The price specified is inactive.", param=param)
    return price


def _quantity(price: Json, spec: Json) -> int | None:
    if price["recurring"]["usage_type"] != "metered":
        return int(spec.get("quantity", 1))
    if "quantity" in spec:
        raise ApiError("You cannot set a quantity on a metered plan.", param="quantity")
    return None


def check_fit(world: "StandIn", subscription: Json, price: Json, *, but: str = "") -> None:
    """Raises if the subscription cannot have this price beside what it has."""
    others = [item for item in of(world, subscription) if item["id"] != but]
    if any(item["price"]["id"] == price["id"] for item in others):
        text = f"Cannot add multiple subscription items with the same plan: {price['id']}"
        raise ApiError(text, param="price")
    if price["currency"] != subscription["currency"]:
        raise ApiError("All prices of a subscription must have the same currency.", param="price")
    limit = world.settings["item_limit"]
    if len(others) >= limit:
        raise ApiError(f"A subscription can have at most {limit} items.", param="items")


def expect_turn(world: "StandIn", subscription_id: str, end: int) -> None:
    """The end of a period put on the agenda, and the notice some days before it."""
    world.clock.schedule(end, "renew", subscription_id)
    notice = end - world.settings["upcoming_seconds"]
    if notice < end and notice > world.now():
        world.clock.schedule(notice, "upcoming", subscription_id)


def build(world: "StandIn", subscription: Json, spec: Json, *, start: int, end: int = 0) -> Json:
    """A new item, kept; its period ends with the cycle of the anchor, or at `end`."""
    price = price_for(world, spec)
    check_fit(world, subscription, price)
    recurring = price["recurring"]
    turn = end or period_end(
        subscription["billing_cycle_anchor"],
        recurring["interval"],
        recurring["interval_count"],
        max(start, world.now()),
    )
    made = shape(
        "subscription_item",
        id=ids.new_id("subscription_item"),
        created=world.now(),
        current_period_start=start,
        current_period_end=turn,
        metadata=spec.get("metadata") or {},
        plan=plan_of(price),
        price=public(price),
        quantity=_quantity(price, spec),
        subscription=subscription["id"],
        tax_rates=[],
    )
    # the prices that were in force during the period, each from its moment
    made["_segments"] = [{"from": start, "price": price}]
    expect_turn(world, subscription["id"], turn)
    return world.add(made)


def join(world: "StandIn", subscription: Json, spec: Json) -> Json:
    """A new item of a running subscription: a licence is charged for the rest of the period."""
    item = build(world, subscription, spec, start=world.now())
    if prorated(spec) and not lines.metered(item):
        recurring = item["price"]["recurring"]
        begun = later(
            item["current_period_end"], recurring["interval"], recurring["interval_count"], -1
        )
        prorations.pend(
            world, subscription["id"], old=None, new={**item, "current_period_start": begun}
        )
    return item


def prorated(spec: Json) -> bool:
    """Whether a change is prorated: unless told otherwise it is, on the next invoice."""
    return bool(spec.get("proration_behavior", "create_prorations") != "none")


def apply_change(world: "StandIn", subscription: Json, item: Json, spec: Json) -> Json:
    """An item's price, quantity or metadata changed; usage keeps the price it was reported at."""
    changed = _changed(world, subscription, item, spec)
    parts = (changed["price"]["id"], changed["quantity"])
    if parts != (item["price"]["id"], item["quantity"]) and prorated(spec):
        prorations.pend(world, subscription["id"], old=item, new=changed)
    return changed


def _changed(world: "StandIn", subscription: Json, item: Json, spec: Json) -> Json:
    fields = merged(item, spec, ["metadata"])
    if spec.get("price") or spec.get("plan"):
        price = price_for(world, spec)
        check_fit(world, subscription, price, but=item["id"])
        if price["id"] != item["price"]["id"]:
            segment = {"from": world.now(), "price": price}
            fields |= {"price": public(price), "plan": plan_of(price)}
            fields["quantity"] = _quantity(price, spec)
            fields["_segments"] = [*item["_segments"], segment]
    elif "quantity" in spec:
        fields["quantity"] = _quantity(item["price"], spec)
    return world.change(item, **fields)


def drop(world: "StandIn", subscription: Json, item: Json, spec: Json) -> None:
    """An item taken off; flexible billing keeps its unbilled usage for the next invoice."""
    flexible = subscription["billing_mode"]["type"] == "flexible"
    if not lines.metered(item) and prorated(spec):
        prorations.pend(world, subscription["id"], old=item, new=None)
    elif flexible and prorated(spec) and not spec.get("clear_usage"):
        pending = lines.usage_specs(subscription, item, until=world.now())
        current = world.need("subscription", subscription["id"])
        world.change(current, _pending=[*current["_pending"], *pending])
    world.store.remove("subscription_item", item["id"])


# -- requests


def _subscription_of(world: "StandIn", item: Json) -> Json:
    return world.need("subscription", item["subscription"])


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/subscription_items."""
    subscription = world.need("subscription", asked.params["subscription"], param="subscription")
    must_live(subscription)
    with told(world, subscription):
        return join(world, subscription, asked.params)


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/subscription_items/{id}."""
    return world.need("subscription_item", asked.args[0])


def update(world: "StandIn", asked: Request) -> Json:
    """POST /v1/subscription_items/{id}."""
    item = world.need("subscription_item", asked.args[0])
    subscription = _subscription_of(world, item)
    with told(world, subscription):
        return apply_change(world, subscription, item, asked.params)


def delete(world: "StandIn", asked: Request) -> Json:
    """DELETE /v1/subscription_items/{id}: the last one cannot go."""
    item = world.need("subscription_item", asked.args[0])
    subscription = _subscription_of(world, item)
    if len(of(world, subscription)) == 1:
        raise ApiError(
            "A subscription must have at least one active plan. To cancel it, delete it instead."
        )
    with told(world, subscription):
        drop(world, subscription, item, asked.params)
    return stub(item)


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/subscription_items of one subscription."""
    subscription = world.need("subscription", asked.params["subscription"], param="subscription")
    return slice_of(of(world, subscription), asked)
