"""Paying an invoice: payment intent, charge, invoice payment; failures and what follows them."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import cards, dunning, ids
from comp_billing.testing.standin.errors import ApiError, card_error
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
# what every payment intent begins with
UNPAID: Json = {
    "amount_capturable": 0,
    "amount_received": 0,
    "capture_method": "automatic",
    "confirmation_method": "automatic",
    "livemode": False,
    "metadata": {},
    "payment_method_types": ["card"],
    "setup_future_usage": "off_session",
    "status": "requires_payment_method",
}
# what every charge begins with
UNREFUNDED: Json = {
    "amount_refunded": 0,
    "billing_details": {},
    "disputed": False,
    "fraud_details": {},
    "livemode": False,
    "metadata": {},
    "refunded": False,
}
# what a charge tells of its card
SHOWN = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")


def request_payment(world: "StandIn", invoice: Json) -> Json:
    """The payment intent of a finalised invoice, and the invoice payment that links the two."""
    object_id = ids.new_id("payment_intent")
    intent = shape(
        "payment_intent",
        id=object_id,
        **UNPAID,
        amount=invoice["amount_due"],
        client_secret=f"{object_id}_secret_{ids.letters(24)}",
        created=world.now(),
        currency=invoice["currency"],
        customer=invoice["customer"],
        description=f"Payment for Invoice {invoice['number']}",
    )
    world.add(intent, "payment_intent.created")
    world.add(_link(world, invoice, object_id))
    return intent


def _link(world: "StandIn", invoice: Json, intent: str) -> Json:
    return shape(
        "invoice_payment",
        id=ids.new_id("invoice_payment"),
        amount_requested=invoice["amount_due"],
        created=world.now(),
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        livemode=False,
        payment={"type": "payment_intent", "payment_intent": intent},
        status="open",
        status_transitions={},
    )


def default_payment(world: "StandIn", invoice: Json) -> Json | None:
    """The invoice payment that is to be paid, or None for an invoice that charges nothing."""
    found = world.store.where("invoice_payment", invoice=invoice["id"])
    return next((one for one in found if one["is_default"]), None)


def _intent(world: "StandIn", invoice: Json) -> Json:
    payment = default_payment(world, invoice)
    if payment is None:
        raise ApiError("The invoice has no payment.")
    return world.need("payment_intent", payment["payment"]["payment_intent"])


def card_for(world: "StandIn", invoice: Json, method: str | None = None) -> Json | None:
    """The card to charge: the one given, else the invoice's, the subscription's, the customer's."""
    customer = world.need("customer", invoice["customer"])
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    subscription = world.store.get("subscription", details.get("subscription") or "") or {}
    chosen = (
        method
        or invoice["default_payment_method"]
        or subscription.get("default_payment_method")
        or customer["invoice_settings"]["default_payment_method"]
    )
    return cards.attached(world, chosen, customer["id"]) if chosen else None


def attempt(
    world: "StandIn", invoice: Json, *, method: str | None = None, present: bool = False
) -> tuple[Json, ApiError | None]:
    """One attempt to collect an open invoice; the invoice afterwards and the bank's refusal.

    `present` says that the card's holder is there to authenticate.
    """
    invoice = world.change(invoice, attempt_count=invoice["attempt_count"] + 1, attempted=True)
    intent, card = _intent(world, invoice), card_for(world, invoice, method)
    if card is None:
        return _without_card(world, invoice, intent)
    says = cards.behaviour(card)
    if says.authenticates and not present:
        return _authentication(world, invoice, intent, card)
    decline = says.declines_charge or says.declines_saving
    if decline:
        return _declined(world, invoice, intent, card, cards.declined(decline))
    return _succeeded(world, invoice, intent, card), None


def _outcome(error: Json) -> Json:
    failed = bool(error)
    return {
        "network_status": "declined_by_network" if failed else "approved_by_network",
        "reason": error.get("decline_code"),
        "risk_level": "normal",
        "risk_score": 10,
        "seller_message": "The bank declined." if failed else "Payment complete.",
        "type": "issuer_declined" if failed else "authorized",
    }


def _charge(world: "StandIn", intent: Json, card: Json, problem: ApiError | None) -> Json:
    error = problem.error if problem else {}
    object_id = ids.new_id("charge")
    receipt = f"{world.base_url}/_standin/receipt/{object_id}"
    return shape(
        "charge",
        id=object_id,
        **UNREFUNDED,
        amount=intent["amount"],
        amount_captured=0 if error else intent["amount"],
        captured=not error,
        created=world.now(),
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        failure_code=error.get("code"),
        failure_message=error.get("message"),
        outcome=_outcome(error),
        paid=not error,
        payment_intent=intent["id"],
        payment_method=card["id"],
        payment_method_details={
            "type": "card",
            "card": {name: card["card"][name] for name in SHOWN},
        },
        receipt_url=None if error else receipt,
        status="failed" if error else "succeeded",
    )


def _succeeded(world: "StandIn", invoice: Json, intent: Json, card: Json) -> Json:
    charge = world.add(_charge(world, intent, card, None), "charge.succeeded")
    intent = world.change(
        intent,
        status="succeeded",
        amount_received=intent["amount"],
        latest_charge=charge["id"],
        payment_method=card["id"],
        next_action=None,
        last_payment_error=None,
    )
    world.events.emit("payment_intent.succeeded", intent)
    payment = default_payment(world, invoice)
    if payment:
        paid = {**payment["status_transitions"], "paid_at": world.now()}
        payment = world.change(
            payment, status="paid", amount_paid=intent["amount"], status_transitions=paid
        )
        world.events.emit("invoice_payment.paid", payment)
    return settle(world, invoice)


def settle(world: "StandIn", invoice: Json) -> Json:
    """An invoice counted as paid, in whatever way; its subscription is in good standing again."""
    transitions = {**invoice["status_transitions"], "paid_at": world.now()}
    paid = world.change(
        invoice,
        status="paid",
        status_transitions=transitions,
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        attempted=True,
        next_payment_attempt=None,
        auto_advance=False,
    )
    world.events.emit("invoice.paid", paid)
    world.events.emit("invoice.payment_succeeded", paid)
    dunning.recovered(world, paid)
    return paid


def _declined(
    world: "StandIn", invoice: Json, intent: Json, card: Json, problem: ApiError
) -> tuple[Json, ApiError]:
    charge = world.add(_charge(world, intent, card, problem), "charge.failed")
    error = {**problem.error, "charge": charge["id"]}
    intent = world.change(
        intent,
        status="requires_payment_method",
        latest_charge=charge["id"],
        last_payment_error=error,
    )
    world.events.emit("payment_intent.payment_failed", intent)
    return dunning.failed(world, invoice), problem


def _without_card(world: "StandIn", invoice: Json, intent: Json) -> tuple[Json, ApiError]:
    problem = ApiError(
        "There is no default payment method set on this customer or subscription.",
        code="invoice_payment_intent_requires_action" if intent["next_action"] else "missing",
    )
    return dunning.failed(world, invoice), problem


def _authentication(
    world: "StandIn", invoice: Json, intent: Json, card: Json
) -> tuple[Json, ApiError]:
    step = {"type": "use_stripe_sdk", "use_stripe_sdk": {}}
    problem = card_error(
        "This payment requires additional user action before it can be completed successfully.",
        code="invoice_payment_intent_requires_action",
    )
    intent = world.change(
        intent, status="requires_action", next_action=step, payment_method=card["id"]
    )
    world.events.emit("payment_intent.requires_action", intent)
    failed = dunning.failed(world, invoice)
    world.events.emit("invoice.payment_action_required", failed)
    return failed, problem


def withdraw(world: "StandIn", invoice: Json) -> None:
    """The payment of an invoice canceled."""
    payment = default_payment(world, invoice)
    if payment and payment["status"] == "open":
        canceled = {**payment["status_transitions"], "canceled_at": world.now()}
        world.change(payment, status="canceled", status_transitions=canceled)
        intent = _intent(world, invoice)
        world.change(
            intent,
            "payment_intent.canceled",
            status="canceled",
            canceled_at=world.now(),
            cancellation_reason="void_invoice",
        )
