"""Prices, and plans, their older face."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError, missing
from comp_billing.testing.standin.fields import given, merged, plain, stub
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


def _amounts(params: Json, *, whole: str, exact: str) -> tuple[int | None, str | None]:
    """The price of a unit as an integer (null if it is none) and as a decimal string."""
    if whole in params and exact in params:
        raise ApiError(f"You may only specify one of these parameters: {whole}, {exact}.")
    if whole in params:
        amount = Decimal(params[whole])
    elif exact in params:
        amount = Decimal(params[exact])
    else:
        return None, None
    if amount < 0 or -int(amount.as_tuple().exponent) > 12:
        raise ApiError("Invalid decimal: at most 12 decimal places, not negative.", param=exact)
    return int(amount) if amount == amount.to_integral_value() else None, plain(amount)


def _tiers(tiers: list[Json]) -> list[Json]:
    made = []
    for tier in tiers:
        unit, unit_exact = _amounts(tier, whole="unit_amount", exact="unit_amount_decimal")
        flat, flat_exact = _amounts(tier, whole="flat_amount", exact="flat_amount_decimal")
        up_to = None if tier["up_to"] == "inf" else tier["up_to"]
        made.append(
            {
                "flat_amount": flat,
                "flat_amount_decimal": flat_exact,
                "unit_amount": unit,
                "unit_amount_decimal": unit_exact,
                "up_to": up_to,
            }
        )
    if not made or made[-1]["up_to"] is not None:
        raise ApiError("The last tier must have up_to 'inf'.", param="tiers")
    return made


def _recurring(world: "StandIn", params: Json) -> Json | None:
    """How often a price recurs; a metered one needs an active meter (since basil)."""
    recurring = params.get("recurring")
    if not recurring:
        return None
    usage = recurring.get("usage_type", "licensed")
    meter = recurring.get("meter")
    if usage == "metered" and not meter:
        raise ApiError(
            "Metered prices must be backed by meters: pass recurring[meter].",
            code="parameter_missing",
            param="recurring[meter]",
        )
    if meter:
        if usage != "metered":
            raise ApiError("A price with a meter must be metered.", param="recurring[usage_type]")
        if world.need("billing.meter", meter, param="recurring[meter]")["status"] != "active":
            raise ApiError(f"Meter {meter} is inactive.", code="archived_meter")
    return {
        "interval": recurring["interval"],
        "interval_count": recurring.get("interval_count", 1),
        "meter": meter,
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": usage,
    }


def _product_of(world: "StandIn", params: Json) -> str:
    if data := params.get("product_data"):
        product = shape(
            "product",
            created=world.now(),
            updated=world.now(),
            livemode=False,
            type="service",
            id=data.get("id") or ids.new_id("product"),
            active=data.get("active", True),
            metadata=data.get("metadata") or {},
            **given(data, ["name", "statement_descriptor", "tax_code", "unit_label"]),
        )
        return str(world.add(product, "product.created")["id"])
    if "product" not in params:
        raise ApiError(
            "Missing required param: product.", code="parameter_missing", param="product"
        )
    return str(world.need("product", params["product"], param="product")["id"])


def _claim_lookup_key(world: "StandIn", params: Json) -> None:
    key = params.get("lookup_key")
    for holder in world.store.where("price", lookup_key=key) if key else []:
        if not params.get("transfer_lookup_key"):
            raise ApiError(
                f"A price (`{holder['id']}`) already uses that lookup key.", param="lookup_key"
            )
        world.change(holder, "price.updated", lookup_key=None)


def new_price(world: "StandIn", params: Json, *, object_id: str | None = None) -> Json:
    tiered = params.get("billing_scheme") == "tiered"
    amount, exact = _amounts(params, whole="unit_amount", exact="unit_amount_decimal")
    if tiered == (exact is not None) or tiered != ("tiers" in params):
        raise ApiError(
            "A price needs unit_amount or unit_amount_decimal, or billing_scheme=tiered and tiers.",
            code="parameter_missing",
            param="unit_amount",
        )
    recurring = _recurring(world, params)
    _claim_lookup_key(world, params)
    fields: Json = {"active": True, "metadata": {}, "tax_behavior": "unspecified"}
    names = ["active", "metadata", "nickname", "lookup_key", "tiers_mode", "transform_quantity"]
    fields |= given(params, [*names, "tax_behavior"])
    price = shape(
        "price",
        id=object_id or ids.new_id("price"),
        billing_scheme="tiered" if tiered else "per_unit",
        created=world.now(),
        currency=params["currency"].lower(),
        livemode=False,
        product=_product_of(world, params),
        recurring=recurring,
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=exact,
        **fields,
    )
    if tiered:
        price["_tiers"] = _tiers(params["tiers"])
    world.add(price, "price.created")
    if recurring:
        world.events.emit("plan.created", plan_of(price))
    return price


def create_price(world: "StandIn", asked: Request) -> Json:
    """POST /v1/prices."""
    return new_price(world, asked.params)


def retrieve_price(world: "StandIn", asked: Request) -> Json:
    """GET /v1/prices/{id}."""
    return world.need("price", asked.args[0])


def update_price(world: "StandIn", asked: Request) -> Json:
    """POST /v1/prices/{id}: amounts never change."""
    price = world.need("price", asked.args[0])
    if asked.params.get("lookup_key") != price["lookup_key"]:
        _claim_lookup_key(world, asked.params)
    names = ["active", "metadata", "nickname", "lookup_key", "tax_behavior"]
    return world.change(price, "price.updated", **merged(price, asked.params, names))


def list_prices(world: "StandIn", asked: Request) -> Json:
    """GET /v1/prices."""
    keys, recurring = asked.params.get("lookup_keys"), asked.params.get("recurring") or {}

    def fits(price: Json) -> bool:
        if keys and price["lookup_key"] not in keys:
            return False
        return all((price["recurring"] or {}).get(n) == v for n, v in recurring.items())

    equal = equal_to(asked, "active", "currency", "product", "type")
    return page(world, "price", asked, equal=equal, fits=fits if keys or recurring else None)


# -- plans: the older face of a recurring price


def plan_of(price: Json) -> Json:
    """A recurring price as a plan."""
    recurring = price["recurring"]
    transform = price["transform_quantity"]
    return shape(
        "plan",
        active=price["active"],
        amount=price["unit_amount"],
        amount_decimal=price["unit_amount_decimal"],
        billing_scheme=price["billing_scheme"],
        created=price["created"],
        currency=price["currency"],
        id=price["id"],
        interval=recurring["interval"],
        interval_count=recurring["interval_count"],
        livemode=False,
        metadata=price["metadata"],
        meter=recurring["meter"],
        nickname=price["nickname"],
        product=price["product"],
        tiers_mode=price["tiers_mode"],
        transform_usage=transform,
        trial_period_days=recurring["trial_period_days"],
        usage_type=recurring["usage_type"],
    )


def create_plan(world: "StandIn", asked: Request) -> Json:
    """POST /v1/plans: a recurring price by its older name; the id may be chosen."""
    params = dict(asked.params)
    if "id" in params and world.find("price", params["id"]):
        raise ApiError("Plan already exists.", code="resource_already_exists")
    names = {
        "amount": "unit_amount",
        "amount_decimal": "unit_amount_decimal",
        "transform_usage": "transform_quantity",
    }
    price = {names.get(name, name): value for name, value in params.items()}
    inner = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")
    price["recurring"] = {name: price.pop(name) for name in inner if name in price}
    if isinstance(product := price.get("product"), dict):
        price["product_data"] = price.pop("product")
        del product
    return plan_of(new_price(world, price, object_id=params.get("id")))


def _plan_price(world: "StandIn", object_id: str) -> Json:
    price = world.find("price", object_id)
    if price is None or not price["recurring"]:
        raise missing("plan", object_id)
    return price


def retrieve_plan(world: "StandIn", asked: Request) -> Json:
    """GET /v1/plans/{id}: any recurring price."""
    return plan_of(_plan_price(world, asked.args[0]))


def update_plan(world: "StandIn", asked: Request) -> Json:
    """POST /v1/plans/{id}."""
    price = _plan_price(world, asked.args[0])
    fields = merged(price, asked.params, ["active", "metadata", "nickname"])
    return plan_of(world.change(price, "price.updated", **fields))


def delete_plan(world: "StandIn", asked: Request) -> Json:
    """DELETE /v1/plans/{id}: existing subscriptions keep it."""
    price = _plan_price(world, asked.args[0])
    world.store.put(stub(price))
    world.events.emit("plan.deleted", plan_of(price))
    world.events.emit("price.deleted", price)
    return stub(plan_of(price))


def list_plans(world: "StandIn", asked: Request) -> Json:
    """GET /v1/plans."""
    equal = {**equal_to(asked, "active", "product"), "type": "recurring"}
    found = page(world, "price", asked, equal=equal)
    return {**found, "data": [plan_of(price) for price in found["data"]]}
