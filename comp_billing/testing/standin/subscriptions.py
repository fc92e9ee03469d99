"""Subscriptions: what a customer is billed for, again and again."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import cards, ids, invoices, items, payments
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import given, merged
from comp_billing.testing.standin.listing import page
from comp_billing.testing.standin.periods import add_months, moment
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape
from comp_billing.testing.standin.changes import previous_attributes

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400
ENDED = ("canceled", "incomplete_expired")
FIELDS = ("cancel_at_period_end", "collection_method", "days_until_due", "description", "metadata",
          "payment_settings", "trial_settings", "automatic_tax", "pause_collection")  # fmt: skip


def must_live(subscription: Json) -> None:
    """Raises unless the subscription can still change."""
    if subscription["status"] in ENDED:
        raise ApiError("A canceled subscription can only update its cancellation_details.")


@contextmanager
def told(world: "StandIn", subscription: Json) -> Iterator[None]:
    """Changes to the items inside are told of by one event on the subscription."""
    before = world.view(world.need("subscription", subscription["id"]))
    yield
    after = world.need("subscription", subscription["id"])
    previous = previous_attributes(before, world.view(after))
    if previous:
        world.events.emit("customer.subscription.updated", after, previous)


# -- creation ---------------------------------------------------------------------------------------


def _anchor(params: Json, now: int) -> int:
    """When the cycle turns for the first time, or the present."""
    if "billing_cycle_anchor" in params:
        if params["billing_cycle_anchor"] < now:
            raise ApiError("billing_cycle_anchor cannot be in the past.",
                           param="billing_cycle_anchor")  # fmt: skip
        return int(params["billing_cycle_anchor"])
    config = params.get("billing_cycle_anchor_config")
    if not config:
        return now
    start = moment(now)
    for months in range(14):
        # a day that the month does not have becomes its last one
        first = add_months(start.replace(day=1), months)
        last = (add_months(first, 1) - timedelta(days=1)).day
        at = first.replace(
            day=min(config["day_of_month"], last), hour=config.get("hour", start.hour),
            minute=config.get("minute", start.minute), second=config.get("second", start.second),
        )  # fmt: skip
        if at > start and at.month == config.get("month", at.month):
            return int(at.timestamp())
    return now


def _trial_end(params: Json, now: int) -> int | None:
    if params.get("trial_end") not in (None, "now"):
        return int(params["trial_end"])
    days = params.get("trial_period_days")
    return now + days * DAY if days else None


def _currency(world: "StandIn", specs: list[Json]) -> str:
    if not specs:
        raise ApiError("Missing required param: items.", code="parameter_missing", param="items")
    return str(items.price_for(world, specs[0])["currency"])


def _default_card(world: "StandIn", params: Json, customer: str) -> str | None:
    method = params.get("default_payment_method")
    if not method:
        return None
    found = cards.attached(world, method, customer)
    if found is None:
        raise ApiError(
            f"The customer does not have a payment method with the ID {method}.",
            code="resource_missing",
            param="default_payment_method",
        )
    return str(found["id"])


def _draft(world: "StandIn", params: Json, customer: Json) -> Json:
    now = world.now()
    trial = _trial_end(params, now)
    mode = params.get("billing_mode") or {"type": "flexible"}
    fields: Json = {"cancel_at_period_end": False, "collection_method": "charge_automatically",
                    "metadata": {}, "payment_settings": {}, "automatic_tax": {"enabled": False},
                    "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}}}  # fmt: skip
    fields |= given(params, FIELDS)
    if fields["collection_method"] == "send_invoice" and fields.get("days_until_due") is None:
        raise ApiError("With send_invoice, days_until_due is required.", param="days_until_due")
    return shape(
        "subscription",
        id=ids.new_id("subscription"),
        billing_cycle_anchor=trial or _anchor(params, now),
        billing_mode={"type": mode["type"], "updated_at": now},
        cancel_at=params["cancel_at"] if isinstance(params.get("cancel_at"), int) else None,
        cancellation_details={},
        created=now,
        currency=_currency(world, params.get("items", [])),
        customer=customer["id"],
        default_payment_method=_default_card(world, params, customer["id"]),
        default_tax_rates=[],
        invoice_settings={"issuer": {"type": "self"}},
        items={},
        livemode=False,
        start_date=params.get("backdate_start_date", now),
        status="trialing" if trial else "active",
        trial_start=now if trial else None,
        trial_end=trial,
        **fields,
    )


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/subscriptions: active at once when nothing is due."""
    params = asked.params
    if "customer" not in params:
        raise ApiError("Missing required param: customer.", code="parameter_missing",
                       param="customer")  # fmt: skip
    customer = world.need("customer", params["customer"], param="customer")
    subscription = world.add({**_draft(world, params, customer), "_pending": []})
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


# -- reading and changing ---------------------------------------------------------------------------


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/subscriptions/{id}."""
    return world.need("subscription", asked.args[0])


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/subscriptions: those not canceled, unless a status is asked for."""
    params = asked.params
    equal = {name: params[name] for name in ("customer", "collection_method") if name in params}
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
        fields = merged(subscription, params, FIELDS)
        if "default_payment_method" in params:
            fields["default_payment_method"] = _default_card(
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
        reason = {**(subscription["cancellation_details"] or {}),
                  **params.get("cancellation_details", {}), "reason": "cancellation_requested"}  # fmt: skip
        return {"cancel_at": max(ends), "canceled_at": world.now(), "cancellation_details": reason}
    if isinstance(params.get("cancel_at"), int):
        world.clock.schedule(params["cancel_at"], "cancel", subscription["id"])
        return {"cancel_at": params["cancel_at"], "canceled_at": world.now()}
    return {"cancel_at": None, "canceled_at": None} if params.get("cancel_at") == "" else {}


def _change_item(world: "StandIn", subscription: Json, spec: Json, params: Json) -> None:
    manner = {"proration_behavior": params.get("proration_behavior", "create_prorations"), **spec}
    if "id" not in spec:
        items.build(world, subscription, spec, start=world.now())
        return
    item = world.need("subscription_item", spec["id"], param="items[0][id]")
    if spec.get("deleted"):
        items.drop(world, subscription, item, manner)
    else:
        items.apply_change(world, subscription, item, spec)


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
        raise ApiError(f"No such subscription: '{subscription['id']}'", status=404,
                       code="resource_missing", param="id")  # fmt: skip
    details = {**(subscription["cancellation_details"] or {}),
               **asked.params.get("cancellation_details", {}), "reason": "cancellation_requested"}  # fmt: skip
    subscription = world.change(subscription, cancellation_details=details)
    return end(world, subscription, invoice_now=asked.params.get("invoice_now", False))


def end(world: "StandIn", subscription: Json, *, invoice_now: bool = False) -> Json:
    """Canceled now; with `invoice_now` the usage so far is billed, without it never."""
    now = world.now()
    invoice = invoices.final(world, subscription) if invoice_now else None
    fields: Json = {"latest_invoice": invoice["id"]} if invoice else {}
    ended = world.change(
        subscription, status="canceled", ended_at=now, _pending=[],
        canceled_at=subscription["canceled_at"] or now, **fields,
    )  # fmt: skip
    world.events.emit("customer.subscription.deleted", ended)
    if invoice:
        world.events.emit("invoice.created", invoice)
    return ended
