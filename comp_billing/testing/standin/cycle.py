"""What falls due as time passes: the turn of periods, finalisation, retries, ends of trials."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import (
    credit,
    invoices,
    items,
    lines,
    payments,
    subscriptions,
)
from comp_billing.testing.standin.changes import ENDED, told
from comp_billing.testing.standin.periods import period_end

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


def perform(world: "StandIn", action: str, target: str) -> None:
    """One action of the agenda; one that no longer applies does nothing."""
    ACTIONS[action](world, target)


def _live(world: "StandIn", object_id: str) -> Json | None:
    found = world.find("subscription", object_id)
    return found if found and found["status"] not in ENDED else None


def renew(world: "StandIn", object_id: str) -> None:
    """The period of one or more items is over."""
    subscription = _live(world, object_id)
    if subscription is None:
        return
    every = items.of(world, subscription)
    due = [item for item in every if item["current_period_end"] <= world.now()]
    if not due:
        return
    if subscription["cancel_at_period_end"] and len(due) == len(every):
        subscriptions.end(world, subscription, invoice_now=True)
    elif subscription["status"] == "trialing":
        _leave_trial(world, subscription, due)
    elif subscription["status"] != "paused":
        _turn(world, subscription, due)


def _move_on(world: "StandIn", subscription: Json, item: Json) -> None:
    start, recurring = item["current_period_end"], item["price"]["recurring"]
    end = period_end(
        subscription["billing_cycle_anchor"],
        recurring["interval"],
        recurring["interval_count"],
        start,
    )
    world.change(
        item,
        current_period_start=start,
        current_period_end=end,
        _segments=[{**item["_segments"][-1], "from": start}],
    )
    items.expect_turn(world, subscription["id"], end)


def _turn(world: "StandIn", subscription: Json, due: list[Json]) -> None:
    with told(world, subscription):
        for item in due:
            _move_on(world, subscription, item)
        invoice = invoices.of_cycle(world, subscription, due)
        world.change(subscription, latest_invoice=invoice["id"], _pending=[])
    world.events.emit("invoice.created", invoice)


def _leave_trial(world: "StandIn", subscription: Json, due: list[Json]) -> None:
    """Usage during a trial is not billed; licences of the first paid period are."""
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    customer = world.need("customer", subscription["customer"])
    card = (
        subscription["default_payment_method"]
        or (customer["invoice_settings"]["default_payment_method"])
    )
    if not card and behavior == "cancel":
        subscriptions.end(world, subscription)
        return
    if not card and behavior == "pause":
        paused = world.change(subscription, "customer.subscription.updated", status="paused")
        world.events.emit("customer.subscription.paused", paused)
        return
    with told(world, subscription):
        for item in due:
            _move_on(world, subscription, item)
        subscription = world.change(subscription, status="active")
    licensed = [item for item in due if not lines.metered(item)]
    if licensed:
        invoice = invoices.of_cycle(world, subscription, licensed)
        world.change(subscription, "customer.subscription.updated", latest_invoice=invoice["id"])
        world.events.emit("invoice.created", invoice)


def upcoming(world: "StandIn", target: str) -> None:
    """Some days before the turn: what the invoice would be now; such an invoice has no id."""
    subscription = _live(world, target)
    if subscription is None or subscription["status"] == "trialing":
        return
    preview = world.view(invoices.upcoming(world, subscription))
    del preview["id"]
    world.events.emit("invoice.upcoming", preview)


def trial_will_end(world: "StandIn", object_id: str) -> None:
    """Told three days before."""
    subscription = _live(world, object_id)
    if subscription and subscription["status"] == "trialing":
        world.events.emit("customer.subscription.trial_will_end", subscription)


def cancel(world: "StandIn", object_id: str) -> None:
    """The moment of `cancel_at`; a cancellation that was taken back does nothing."""
    subscription = _live(world, object_id)
    if subscription and subscription["cancel_at"] and subscription["cancel_at"] <= world.now():
        subscriptions.end(world, subscription, invoice_now=True)


def finalize(world: "StandIn", object_id: str) -> None:
    """A draft's hour is over: it is opened and, unless it is sent, collected at once."""
    invoice = world.find("invoice", object_id)
    if invoice is None or invoice["status"] != "draft" or not invoice["auto_advance"]:
        return
    if world.find("customer", invoice["customer"]) is None:
        return
    opened = invoices.finalize(world, invoice)
    if opened["status"] == "open" and opened["collection_method"] == "charge_automatically":
        payments.attempt(world, opened)


def collect(world: "StandIn", object_id: str) -> None:
    """An invoice that was finalised by hand is collected."""
    invoice = world.find("invoice", object_id)
    if invoice and invoice["status"] == "open" and not invoice["attempted"]:
        payments.attempt(world, invoice)


def retry(world: "StandIn", object_id: str) -> None:
    """A failed payment tried again."""
    invoice = world.find("invoice", object_id)
    due = invoice and invoice["status"] == "open" and invoice["next_payment_attempt"]
    if invoice and due and due <= world.now() and world.find("customer", invoice["customer"]):
        payments.attempt(world, invoice)


ACTIONS: dict[str, Callable[["StandIn", str], None]] = {
    "renew": renew,
    "upcoming": upcoming,
    "trial_will_end": trial_will_end,
    "cancel": cancel,
    "finalize": finalize,
    "collect": collect,
    "retry": retry,
    "run_out": credit.run_out,
}
