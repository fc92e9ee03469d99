"""The calls on invoices, their lines and payments, payment intents, charges and refunds."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import cards, ids, invoices, payments
from comp_billing.testing.standin.changes import ENDED
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.listing import equal_to, page, slice_of
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]


# -- invoices


def retrieve_invoice(world: "StandIn", asked: Request) -> Json:
    """GET /v1/invoices/{id}."""
    return world.need("invoice", asked.args[0])


def list_invoices(world: "StandIn", asked: Request) -> Json:
    """GET /v1/invoices."""
    wanted = asked.params.get("subscription")
    fits = (lambda obj: invoices.subscription_of(obj) == wanted) if wanted else None
    equal = equal_to(asked, "customer", "status", "collection_method")
    return page(world, "invoice", asked, equal=equal, fits=fits)


def update_invoice(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoices/{id}."""
    return invoices.edit(world, world.need("invoice", asked.args[0]), asked.params)


def finalize_invoice(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoices/{id}/finalize: paid only by the clock or by hand."""
    invoice = invoices.finalize(world, world.need("invoice", asked.args[0]))
    automatic = asked.params.get("auto_advance", invoice["auto_advance"])
    if automatic and invoice["status"] == "open":
        # Stripe collects within the hour
        world.clock.schedule(world.now() + 3600, "collect", invoice["id"])
    return invoice


def pay_invoice(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoices/{id}/pay: raises the bank's refusal, which is recorded all the same."""
    invoice = world.need("invoice", asked.args[0])
    if invoice["status"] == "draft":
        invoice = invoices.finalize(world, invoice)
    if invoice["status"] == "paid":
        raise ApiError("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in ("open", "uncollectible"):
        raise ApiError(f"This invoice is {invoice['status']}: it cannot be paid.")
    if asked.params.get("paid_out_of_band"):
        payments.withdraw(world, invoice)
        return payments.settle(world, invoice)
    method = asked.params.get("payment_method")
    present = asked.params.get("off_session") is False
    paid, problem = payments.attempt(world, invoice, method=method, present=present)
    if problem:
        # recorded: an answer of the bank is no failed call
        problem.status = 402
        raise problem
    return paid


def void_invoice(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoices/{id}/void."""
    return invoices.void(world, world.need("invoice", asked.args[0]))


def write_off_invoice(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoices/{id}/mark_uncollectible."""
    return invoices.write_off(world, world.need("invoice", asked.args[0]))


def list_lines(world: "StandIn", asked: Request) -> Json:
    """GET /v1/invoices/{id}/lines."""
    invoice = world.need("invoice", asked.args[0])
    return slice_of(invoice["lines"]["data"], asked)


def preview(world: "StandIn", asked: Request) -> Json:
    """POST /v1/invoices/create_preview: what a subscription's next invoice would be now."""
    params = asked.params
    if "subscription" not in params:
        raise ApiError("The stand-in previews subscriptions only.", param="subscription")
    subscription = world.need("subscription", params["subscription"], param="subscription")
    if subscription["status"] in ENDED:
        text = f"No upcoming invoices for subscription: {subscription['id']}"
        raise ApiError(text, status=404, code="invoice_upcoming_none")
    more = [_imagined(world, spec) for spec in params.get("invoice_items", [])]
    return invoices.upcoming(world, subscription, more)


def _imagined(world: "StandIn", spec: Json) -> Json:
    price = world.need("price", spec.get("price", ""), param="invoice_items[0][price]")
    quantity = int(spec.get("quantity_decimal") or spec.get("quantity") or 1)
    now = world.now()
    return {"item": None, "price": price, "start": now, "end": now, "quantity": quantity}


def list_invoice_payments(world: "StandIn", asked: Request) -> Json:
    """GET /v1/invoice_payments, by invoice, status or payment intent."""
    intent = (asked.params.get("payment") or {}).get("payment_intent")
    fits = (lambda obj: obj["payment"]["payment_intent"] == intent) if intent else None
    return page(
        world, "invoice_payment", asked, equal=equal_to(asked, "invoice", "status"), fits=fits
    )


def retrieve_invoice_payment(world: "StandIn", asked: Request) -> Json:
    """GET /v1/invoice_payments/{id}."""
    return world.need("invoice_payment", asked.args[0])


# -- payment intents, charges, refunds


def retrieve_intent(world: "StandIn", asked: Request) -> Json:
    """GET /v1/payment_intents/{id}."""
    return world.need("payment_intent", asked.args[0])


def list_intents(world: "StandIn", asked: Request) -> Json:
    """GET /v1/payment_intents."""
    return page(world, "payment_intent", asked, equal=equal_to(asked, "customer"))


def confirm_intent(world: "StandIn", asked: Request) -> Json:
    """POST /v1/payment_intents/{id}/confirm: its invoice paid with the card's holder present."""
    intent = world.need("payment_intent", asked.args[0])
    links = [
        one
        for one in world.store.where("invoice_payment")
        if one["payment"]["payment_intent"] == intent["id"]
    ]
    if not links or intent["status"] in ("succeeded", "canceled"):
        raise ApiError(
            f"This PaymentIntent's status is {intent['status']}: it cannot be confirmed.",
            code="payment_intent_unexpected_state",
        )
    invoice = world.need("invoice", links[0]["invoice"])
    method = asked.params.get("payment_method") or intent["payment_method"]
    if method:
        cards.attach_to(world, method, intent["customer"])
    _, problem = payments.attempt(world, invoice, method=method, present=True)
    if problem:
        raise problem
    return world.need("payment_intent", intent["id"])


def retrieve_charge(world: "StandIn", asked: Request) -> Json:
    """GET /v1/charges/{id}."""
    return world.need("charge", asked.args[0])


def list_charges(world: "StandIn", asked: Request) -> Json:
    """GET /v1/charges."""
    return page(world, "charge", asked, equal=equal_to(asked, "customer", "payment_intent"))


def create_refund(world: "StandIn", asked: Request) -> Json:
    """POST /v1/refunds of a charge or a payment intent, whole or in part."""
    params = asked.params
    charge_id = params.get("charge")
    if intent := params.get("payment_intent"):
        found = world.need("payment_intent", intent, param="payment_intent")
        charge_id = found["latest_charge"]
    charge = world.need("charge", charge_id or "", param="charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = params.get("amount", left)
    if left == 0:
        raise ApiError(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if not 0 < amount <= left:
        raise ApiError(
            f"Refund amount ({amount}) is greater than unrefunded amount ({left}).", param="amount"
        )
    refund = shape(
        "refund",
        id=ids.new_id("refund"),
        amount=amount,
        charge=charge["id"],
        created=world.now(),
        currency=charge["currency"],
        metadata=params.get("metadata") or {},
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        status="succeeded",
    )
    world.add(refund, "refund.created")
    total = charge["amount_refunded"] + amount
    refunded = total == charge["amount_captured"]
    world.change(charge, "charge.refunded", amount_refunded=total, refunded=refunded)
    return refund


def retrieve_refund(world: "StandIn", asked: Request) -> Json:
    """GET /v1/refunds/{id}."""
    return world.need("refund", asked.args[0])


def list_refunds(world: "StandIn", asked: Request) -> Json:
    """GET /v1/refunds."""
    return page(world, "refund", asked, equal=equal_to(asked, "charge", "payment_intent"))
