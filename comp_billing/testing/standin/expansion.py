"""How objects are shown: nested lists filled in, private fields left out, ids expanded."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.shapes import listed

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DEEPEST = 4
# fields whose value is an id chosen by the user, so that its prefix tells nothing
KIND_OF_FIELD = {"product": "product", "default_price": "price", "customer": "customer"}


def public(obj: Json) -> Json:
    """The object without the stand-in's own fields, whose names begin with an underscore."""
    return {name: value for name, value in obj.items() if not name.startswith("_")}


def view(world: "StandIn", obj: Json) -> Json:
    """An object as Stripe shows it unasked."""
    shown = public(obj)
    if obj.get("object") == "subscription" and not obj.get("deleted"):
        items = world.store.where("subscription_item", subscription=obj["id"])
        url = f"/v1/subscription_items?subscription={obj['id']}"
        shown["items"] = listed(
            [public(item) for item in items][:10], url, has_more=len(items) > 10
        )
    if obj.get("object") == "invoice" and "lines" in obj:
        lines = obj["lines"]
        shown["lines"] = {**lines, "data": lines["data"][:10], "has_more": len(lines["data"]) > 10}
    return shown


def show(world: "StandIn", result: Json) -> Json:
    """A handler's result as shown: an object, or a page of them."""
    if isinstance(result.get("data"), list):
        return {**result, "data": [view(world, obj) for obj in result["data"]]}
    return view(world, result)


def _payments(world: "StandIn", obj: Json) -> Json:
    found = world.store.where("invoice_payment", invoice=obj["id"])
    return listed([public(one) for one in found], "/v1/invoice_payments")


def _subscriptions(world: "StandIn", obj: Json) -> Json:
    found = world.store.where("subscription", customer=obj["id"])[::-1]
    live = [view(world, one) for one in found if one["status"] != "canceled"]
    return listed(live[:10], f"/v1/customers/{obj['id']}/subscriptions", has_more=len(live) > 10)


def _refunds(world: "StandIn", obj: Json) -> Json:
    found = world.store.where("refund", charge=obj["id"])[::-1]
    return listed([public(one) for one in found], f"/v1/charges/{obj['id']}/refunds")


def _none(world: "StandIn", obj: Json) -> Json:
    return listed([], f"/v1/customers/{obj['id']}/sources")


def _tiers(world: "StandIn", obj: Json) -> Any:
    stored = world.store.get("price", obj["id"]) or {}
    return stored.get("_tiers")


def _secret(world: "StandIn", obj: Json) -> Any:
    payments = world.store.where("invoice_payment", invoice=obj["id"])
    if not payments:
        return None
    intent = world.store.get("payment_intent", payments[-1]["payment"]["payment_intent"]) or {}
    return {"client_secret": intent.get("client_secret"), "type": "payment_intent"}


HIDDEN: dict[tuple[str, str], Callable[["StandIn", Json], Any]] = {
    ("invoice", "payments"): _payments,
    ("invoice", "confirmation_secret"): _secret,
    ("customer", "subscriptions"): _subscriptions,
    ("customer", "sources"): _none,
    ("customer", "tax_ids"): _none,
    ("charge", "refunds"): _refunds,
    ("price", "tiers"): _tiers,
    ("plan", "tiers"): _tiers,
}


def expand(world: "StandIn", shown: Json, paths: list[str]) -> Json:
    """The result with the ids at these paths replaced by their objects; raises for a wrong path."""
    for path in paths:
        names = path.split(".")
        if len(names) > DEEPEST:
            raise ApiError(f"You cannot expand more than {DEEPEST} levels of a property ({path}).")
        _expand_at(world, shown, names, path)
    return shown


def _expand_at(world: "StandIn", here: Any, names: list[str], path: str) -> None:
    if isinstance(here, list):
        for one in here:
            _expand_at(world, one, names, path)
        return
    if not isinstance(here, dict) or not names:
        return
    name, rest = names[0], names[1:]
    hidden = HIDDEN.get((here.get("object", ""), name))
    if name not in here and hidden is None:
        raise ApiError(f"This property cannot be expanded ({path}).", param="expand")
    if hidden and name not in here:
        here[name] = hidden(world, here)
    elif isinstance(here[name], str):
        here[name] = _fetched(world, name, here[name], path)
    elif isinstance(here[name], list):
        here[name] = [
            _fetched(world, name, one, path) if isinstance(one, str) else one for one in here[name]
        ]
    _expand_at(world, here[name], rest, path)


def _fetched(world: "StandIn", name: str, object_id: str, path: str) -> Json:
    kind = KIND_OF_FIELD.get(name) or ids.kind_of(object_id)
    found = world.store.get(kind, object_id) if kind else None
    if found is None:
        raise ApiError(f"This property cannot be expanded ({path}).", param="expand")
    return view(world, found)
