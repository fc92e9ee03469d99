"""What a failed payment does to invoice, subscription and customer, and what recovery undoes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


def _subscription(world: "StandIn", invoice: Json) -> Json | None:
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return world.find("subscription", details.get("subscription") or "")


def failed(world: "StandIn", invoice: Json) -> Json:
    """The next attempt put on the agenda, or the end of attempts carried out."""
    waits = world.settings["retry_seconds"]
    attempts = invoice["attempt_count"]
    again = world.now() + waits[attempts - 1] if attempts <= len(waits) else None
    if invoice["billing_reason"] == "subscription_create":
        again = None
    invoice = world.change(invoice, next_payment_attempt=again)
    if again:
        world.clock.schedule(again, "retry", invoice["id"])
    world.events.emit("invoice.payment_failed", invoice)
    subscription = _subscription(world, invoice)
    if subscription:
        _downgrade(world, subscription, last=again is None)
    customer = world.need("customer", invoice["customer"])
    world.change(customer, "customer.updated", delinquent=True)
    return invoice


def _downgrade(world: "StandIn", subscription: Json, *, last: bool) -> None:
    status = subscription["status"]
    if status in ("incomplete", "canceled", "incomplete_expired"):
        return
    target = world.settings["dunning_end"] if last else "past_due"
    if target == "canceled":
        ended = world.change(
            subscription,
            status="canceled",
            ended_at=world.now(),
            canceled_at=world.now(),
            cancellation_details={"reason": "payment_failed"},
        )
        world.events.emit("customer.subscription.deleted", ended)
    else:
        world.change(subscription, "customer.subscription.updated", status=target)


def recovered(world: "StandIn", invoice: Json) -> None:
    """A paid invoice clears the customer; its subscription is active once nothing else is open."""
    customer = world.need("customer", invoice["customer"])
    # any paid invoice clears it, as at Stripe
    if invoice["amount_paid"]:
        world.change(customer, "customer.updated", delinquent=False)
    subscription = _subscription(world, invoice)
    if subscription is None or subscription["status"] not in ("past_due", "unpaid", "incomplete"):
        return
    if subscription["latest_invoice"] in (invoice["id"], None):
        world.change(subscription, "customer.subscription.updated", status="active")
