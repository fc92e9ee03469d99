"""Subscriptions: what a customer is billed for, again and again."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import invoices, items, payments, terms
from comp_billing.testing.standin.changes import ENDED, must_live, told
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import merged
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400


# -- creation


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/subscriptions: active at once when nothing is due."""
    params = asked.params
    if "customer" not in params:
        raise ApiError(
            "Missing required param: customer.", code="parameter_missing", param="customer"
        )
    customer = world.need("customer", params["customer"], param="customer")
    subscription = world.add({**terms.draft(world, params, customer), "_pending": []})
    start, trial = subscription["start_date"], subscription["trial_end"]
    for spec in params["items"]:
        items.build(world, subscription, spec, start=start, end=trial or 0)
    if subscription["cancel_at"]:
        world.clock.schedule(subscription["cancel_at"], "cancel", subscription["id"])
    if trial:
        at = max(world.now(), trial - 3 * DAY)
        world.clock.schedule(at, "trial_will_end", subscription["id"])
    if not customer["currency"]:
        world.change(customer, "customer.updated", currency=subscription["currency"])
    return _begin(world, subscription, params.get("payment_behavior", "allow_incomplete"))


def _begin(world: "StandIn", subscription: Json, behavior: str) -> Json:
    """The first invoice, if something is due in advance; metered items have none in flexible."""
    invoice = None
    if subscription["status"] != "trialing":
        invoice = invoices.first(world, subscription)
        waits = invoice and behavior in ("default_incomplete", "allow_incomplete")
        if waits and subscription["collection_method"] == "charge_automatically":
            subscription = world.change(subscription, status="incomplete")
    if invoice:
        subscription = world.change(subscription, latest_invoice=invoice["id"])
    world.events.emit("customer.subscription.created", subscription)
    if invoice:
        _open_first(world, invoice, behavior)
    return world.need("subscription", subscription["id"])


def _open_first(world: "StandIn", invoice: Json, behavior: str) -> None:
    world.events.emit("invoice.created", invoice)
    if invoice["collection_method"] == "send_invoice":
        # Stripe leaves the first one a draft for an hour
        world.clock.schedule(world.now() + 3600, "finalize", invoice["id"])
        return
    opened = invoices.finalize(world, invoice)
    if behavior != "default_incomplete" and opened["status"] == "open":
        opened, problem = payments.attempt(world, opened)
        if problem and behavior == "error_if_incomplete":
            raise problem


# -- reading and changing


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/subscriptions/{id}."""
    return world.need("subscription", asked.args[0])


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/subscriptions: those not canceled, unless a status is asked for."""
    params = asked.params
    equal = equal_to(asked, "customer", "collection_method")
    status, price = params.get("status"), params.get("price")

    def fits(obj: Json) -> bool:
        if price and all(item["price"]["id"] != price for item in items.of(world, obj)):
            return False
        if status in (None, "all", "ended"):
            ended = obj["status"] in ENDED
            return status == "all" or ended == (status == "ended")
        return bool(obj["status"] == status)

    return page(world, "subscription", asked, equal=equal, fits=fits)


def update(world: "StandIn", asked: Request) -> Json:
    """POST /v1/subscriptions/{id}."""
    subscription = world.need("subscription", asked.args[0])
    must_live(subscription)
    params = asked.params
    with told(world, subscription):
        fields = merged(subscription, params, terms.FIELDS)
        if "default_payment_method" in params:
            fields["default_payment_method"] = terms.default_card(
                world, params, subscription["customer"]
            )
        fields |= _cancel_fields(world, subscription, params)
        subscription = world.change(subscription, **fields)
        for spec in params.get("items", []):
            _change_item(world, subscription, spec, params)
        if params.get("trial_end") == "now" and subscription["status"] == "trialing":
            end_trial(world, subscription)
    return world.need("subscription", subscription["id"])


def _cancel_fields(world: "StandIn", subscription: Json, params: Json) -> Json:
    if "cancel_at_period_end" in params:
        ends = [item["current_period_end"] for item in items.of(world, subscription)]
        if not params["cancel_at_period_end"]:
            return {"cancel_at": None, "canceled_at": None}
        reason = {
            **(subscription["cancellation_details"] or {}),
            **params.get("cancellation_details", {}),
            "reason": "cancellation_requested",
        }
        return {"cancel_at": max(ends), "canceled_at": world.now(), "cancellation_details": reason}
    if isinstance(params.get("cancel_at"), int):
        world.clock.schedule(params["cancel_at"], "cancel", subscription["id"])
        return {"cancel_at": params["cancel_at"], "canceled_at": world.now()}
    return {"cancel_at": None, "canceled_at": None} if params.get("cancel_at") == "" else {}


def _change_item(world: "StandIn", subscription: Json, spec: Json, params: Json) -> None:
    manner = {"proration_behavior": params.get("proration_behavior", "create_prorations"), **spec}
    if "id" not in spec:
        items.join(world, subscription, manner)
        return
    item = world.need("subscription_item", spec["id"], param="items[0][id]")
    if spec.get("deleted"):
        items.drop(world, subscription, item, manner)
    else:
        items.apply_change(world, subscription, item, manner)


def end_trial(world: "StandIn", subscription: Json) -> None:
    """The trial over now: usage so far is free, the cycle starts anew."""
    now = world.now()
    subscription = world.change(subscription, trial_end=now, billing_cycle_anchor=now)
    for item in items.of(world, subscription):
        world.change(item, current_period_end=now)
    world.clock.schedule(now, "renew", subscription["id"])


def cancel(world: "StandIn", asked: Request) -> Json:
    """DELETE /v1/subscriptions/{id}: a second time it is missing."""
    subscription = world.need("subscription", asked.args[0])
    if subscription["status"] in ENDED:
        raise ApiError(
            f"No such subscription: '{subscription['id']}'",
            status=404,
            code="resource_missing",
            param="id",
        )
    details = {
        **(subscription["cancellation_details"] or {}),
        **asked.params.get("cancellation_details", {}),
        "reason": "cancellation_requested",
    }
    subscription = world.change(subscription, cancellation_details=details)
    return end(world, subscription, invoice_now=asked.params.get("invoice_now", False))


def end(world: "StandIn", subscription: Json, *, invoice_now: bool = False) -> Json:
    """Canceled now; with `invoice_now` the usage so far is billed, without it never."""
    now = world.now()
    invoice = invoices.final(world, subscription) if invoice_now else None
    fields: Json = {"latest_invoice": invoice["id"]} if invoice else {}
    ended = world.change(
        subscription,
        status="canceled",
        ended_at=now,
        _pending=[],
        canceled_at=subscription["canceled_at"] or now,
        **fields,
    )
    world.events.emit("customer.subscription.deleted", ended)
    if invoice:
        world.events.emit("invoice.created", invoice)
    return ended
