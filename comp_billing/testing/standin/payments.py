"""Paying an invoice: payment intent, charge, invoice payment; failures and what follows them."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import cards, dunning, ids
from comp_billing.testing.standin.errors import ApiError, card_error
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


def request_payment(world: "StandIn", invoice: Json) -> Json:
    """The payment intent of a finalised invoice, and the invoice payment that links the two."""
    id = ids.new_id("payment_intent")
    intent = shape(
        "payment_intent", id=id, amount=invoice["amount_due"], amount_capturable=0,
        amount_received=0, capture_method="automatic", client_secret=f"{id}_secret_standin",
        confirmation_method="automatic", created=world.now(), currency=invoice["currency"],
        customer=invoice["customer"], description=f"Payment for Invoice {invoice['number']}",
        livemode=False, metadata={}, payment_method_types=["card"],
        setup_future_usage="off_session", status="requires_payment_method",
    )  # fmt: skip
    world.add(intent, "payment_intent.created")
    world.add(
        shape(
            "invoice_payment",
            id=ids.new_id("invoice_payment"),
            amount_paid=None,
            amount_requested=invoice["amount_due"],
            created=world.now(),
            currency=invoice["currency"],
            invoice=invoice["id"],
            is_default=True,
            livemode=False,
            payment={"type": "payment_intent", "payment_intent": id},
            status="open",
            status_transitions={},
        )  # fmt: skip
    )
    return intent


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


def _charge(world: "StandIn", intent: Json, card: Json, problem: ApiError | None) -> Json:
    failed = problem is not None
    error = problem.error if problem else {}
    outcome = {
        "network_status": "declined_by_network" if failed else "approved_by_network",
        "reason": error.get("decline_code"), "risk_level": "normal", "risk_score": 10,
        "seller_message": "The bank declined." if failed else "Payment complete.",
        "type": "issuer_declined" if failed else "authorized",
    }  # fmt: skip
    shown = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")
    details = {name: card["card"][name] for name in shown}
    id = ids.new_id("charge")
    return shape(
        "charge", id=id, amount=intent["amount"], amount_refunded=0, billing_details={},
        amount_captured=0 if failed else intent["amount"], captured=not failed,
        created=world.now(), currency=intent["currency"], customer=intent["customer"],
        description=intent["description"], disputed=False, failure_code=error.get("code"),
        failure_message=error.get("message"), fraud_details={}, livemode=False, metadata={},
        outcome=outcome, paid=not failed, payment_intent=intent["id"], payment_method=card["id"],
        payment_method_details={"type": "card", "card": details},
        receipt_url=None if failed else f"{world.base_url}/_standin/receipt/{id}",
        refunded=False, status="failed" if failed else "succeeded",
    )  # fmt: skip


def _succeeded(world: "StandIn", invoice: Json, intent: Json, card: Json) -> Json:
    charge = world.add(_charge(world, intent, card, None), "charge.succeeded")
    intent = world.change(
        intent, status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"],
        payment_method=card["id"], next_action=None, last_payment_error=None,
    )  # fmt: skip
    world.events.emit("payment_intent.succeeded", intent)
    payment = default_payment(world, invoice)
    if payment:
        paid = {**payment["status_transitions"], "paid_at": world.now()}
        payment = world.change(payment, status="paid", amount_paid=intent["amount"],
                               status_transitions=paid)  # fmt: skip
        world.events.emit("invoice_payment.paid", payment)
    return settle(world, invoice)


def settle(world: "StandIn", invoice: Json) -> Json:
    """An invoice counted as paid, in whatever way; its subscription is in good standing again."""
    transitions = {**invoice["status_transitions"], "paid_at": world.now()}
    paid = world.change(
        invoice, status="paid", status_transitions=transitions, amount_paid=invoice["amount_due"],
        amount_remaining=0, attempted=True, next_payment_attempt=None, auto_advance=False,
    )  # fmt: skip
    world.events.emit("invoice.paid", paid)
    world.events.emit("invoice.payment_succeeded", paid)
    dunning.recovered(world, paid)
    return paid


def _declined(
    world: "StandIn", invoice: Json, intent: Json, card: Json, problem: ApiError
) -> tuple[Json, ApiError]:
    charge = world.add(_charge(world, intent, card, problem), "charge.failed")
    error = {**problem.error, "charge": charge["id"]}
    intent = world.change(intent, status="requires_payment_method", latest_charge=charge["id"],
                          last_payment_error=error)  # fmt: skip
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
    problem = card_error("This payment requires additional user action before it can be completed"
                         " successfully.", code="invoice_payment_intent_requires_action")  # fmt: skip
    intent = world.change(intent, status="requires_action", next_action=step,
                          payment_method=card["id"])  # fmt: skip
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
        world.change(intent, "payment_intent.canceled", status="canceled",
                     canceled_at=world.now(), cancellation_reason="void_invoice")  # fmt: skip
