"""Credit grants: money given in advance, for metered prices only."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import credit, ids
from comp_billing.testing.standin.credit import GRANT, NEVER
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import merged
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DEFAULT_PRIORITY, LOWEST_PRIORITY = 50, 100
PRICES_LIMIT = 20


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/credit_grants: in force at once, unless a later moment is given."""
    params, now = asked.params, world.now()
    customer = world.need("customer", params.get("customer", ""), param="customer")
    effective_at = params.get("effective_at", now)
    money = _money_of(params)
    grant = shape(
        GRANT,
        id=ids.new_id(GRANT),
        amount={"type": "monetary", "monetary": money},
        applicability_config={"scope": _scope_of(world, params)},
        category=params.get("category", "paid"),
        created=now,
        customer=customer["id"],
        effective_at=effective_at,
        expires_at=_expiry_of(params, after=max(now, effective_at)),
        livemode=False,
        metadata=params.get("metadata") or {},
        name=params.get("name"),
        priority=_priority_of(params),
        updated=now,
    )
    _expect_expiry(world, grant)
    world.add(grant, f"{GRANT}.created")
    credit.transact(
        world, grant, "credit", money["value"], "credits_granted", effective_at=effective_at
    )
    return grant


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/credit_grants/{id}."""
    return world.need(GRANT, asked.args[0])


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/billing/credit_grants: without a customer, everybody's."""
    return page(world, GRANT, asked, equal=equal_to(asked, "customer"))


def update(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/credit_grants/{id}: its metadata and its expiry only."""
    grant = _usable(world, asked.args[0])
    fields = merged(grant, asked.params, ["metadata", "expires_at"])
    if fields.get("expires_at"):
        _expiry_of(fields, after=world.now())
    changed = world.change(grant, f"{GRANT}.updated", updated=world.now(), **fields)
    _expect_expiry(world, changed)
    return changed


def expire(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/credit_grants/{id}/expire: what is left of it is gone now."""
    grant = _usable(world, asked.args[0])
    now = world.now()
    changed = world.change(grant, f"{GRANT}.updated", expires_at=now, updated=now)
    credit.take_rest(world, changed, "credits_expired")
    return changed


def void(world: "StandIn", asked: Request) -> Json:
    """POST /v1/billing/credit_grants/{id}/void: as if it had not been given; never one in use."""
    grant = _usable(world, asked.args[0])
    if credit.balance(world, grant) != grant["amount"]["monetary"]["value"]:
        raise ApiError("Credit that was applied to an invoice cannot be voided: expire the rest.")
    now = world.now()
    changed = world.change(grant, f"{GRANT}.updated", voided_at=now, updated=now)
    credit.take_rest(world, changed, "credits_voided")
    return changed


# -- what may be asked for


def _usable(world: "StandIn", object_id: str) -> Json:
    grant = world.need(GRANT, object_id)
    if grant["voided_at"] or (grant["expires_at"] or NEVER) <= world.now():
        raise ApiError("The credit grant has expired or been voided.")
    return grant


def _money_of(params: Json) -> Json:
    money = params["amount"].get("monetary") or {}
    if money.get("value", 0) <= 0:
        raise ApiError("The amount must be positive.", param="amount[monetary][value]")
    return {"currency": money["currency"], "value": money["value"]}


def _scope_of(world: "StandIn", params: Json) -> Json:
    scope = params["applicability_config"]["scope"]
    prices = [one["id"] for one in scope.get("prices") or []]
    if bool(prices) == bool(scope.get("price_type")) or len(prices) > PRICES_LIMIT:
        text = f"Give either a price_type or 1 to {PRICES_LIMIT} prices."
        raise ApiError(text, param="applicability_config[scope]")
    for price in prices:
        found = world.need("price", price, param="applicability_config[scope][prices]")
        if not (found["recurring"] or {}).get("meter"):
            raise ApiError("Credit pays for metered prices only.", param="applicability_config")
    return {
        "price_type": scope.get("price_type"),
        "prices": [{"id": price} for price in prices] or None,
    }


def _expiry_of(params: Json, *, after: int) -> int | None:
    expires_at = params.get("expires_at")
    if expires_at is not None and expires_at <= after:
        raise ApiError("A credit grant expires later than it begins.", param="expires_at")
    return expires_at


def _expect_expiry(world: "StandIn", grant: Json) -> None:
    if grant["expires_at"]:
        world.clock.schedule(grant["expires_at"], "run_out", grant["id"])


def _priority_of(params: Json) -> int:
    priority = int(params.get("priority", DEFAULT_PRIORITY))
    if not 0 <= priority <= LOWEST_PRIORITY:
        raise ApiError(f"The priority is 0 to {LOWEST_PRIORITY}.", param="priority")
    return priority
