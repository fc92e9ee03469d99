"""E-mails about money: what happened, what it means, and what to do next.

Stored handlers: the worker sends them from the stored event, at least once. A host overrides the
templates ``comp_billing/email/<name>_subject.txt``, ``<name>.txt`` and ``<name>.html``.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from comp_billing import invoice_lines, shapes
from comp_billing.conf import conf
from comp_billing.handlers import on
from comp_billing.models import Customer, Event, Invoice, Subscription
from comp_billing.money import format_amount

logger = logging.getLogger(__name__)

# States of an invoice in which nobody is to pay it any more.
SETTLED = ("paid", "void", "uncollectible")


@on("invoice.payment_failed", stored=True, model=Invoice)
def email_payment_failed(event: Event, obj: Invoice | None, previous: dict[str, Any]) -> None:
    """Tell the user that a payment failed, with the link to pay.

    Not when nothing is to be paid by now; nor when the payment only waits for being confirmed,
    which has an e-mail of its own (Stripe tells both).
    """
    if _is_to_be_paid(obj) and not _awaits_confirmation(event):
        send("payment_failed", event, invoice_context(event.object_data))


@on("invoice.payment_action_required", stored=True, model=Invoice)
def email_payment_action_required(
    event: Event, obj: Invoice | None, previous: dict[str, Any]
) -> None:
    """Tell the user that their bank wants them to confirm a payment, with the link to do so."""
    if _is_to_be_paid(obj):
        send("payment_action_required", event, invoice_context(event.object_data))


@on("invoice.paid", stored=True, model=Invoice)
def email_invoice_paid(event: Event, obj: Invoice | None, previous: dict[str, Any]) -> None:
    """Confirm a paid invoice; one of nothing is not worth an e-mail."""
    invoice = event.object_data
    is_of_something = shapes.integer(invoice.get("total")) or invoice_lines.credit_used(invoice)
    if conf.SEND_RECEIPTS and is_of_something:
        send("invoice_paid", event, invoice_context(event.object_data))


@on("customer.subscription.trial_will_end", stored=True)
def email_trial_will_end(event: Event, obj: Subscription | None, previous: dict[str, Any]) -> None:
    """Tell the user that runs will cost money soon."""
    trial_end = shapes.moment(event.object_data.get("trial_end"))
    send("trial_will_end", event, {"trial_end": trial_end})


def _is_to_be_paid(invoice: Invoice | None) -> bool:
    """As far as the mirror knows by now: the worker may come late."""
    return invoice is None or not (invoice.deleted or invoice.status in SETTLED)


def _awaits_confirmation(event: Event) -> bool:
    """Whether Stripe has told of the same attempt that it needs the user's confirmation."""
    attempt = event.object_data.get("attempt_count")
    if event.invoice_id is None or attempt is None:
        return False
    return Event.objects.filter(
        type="invoice.payment_action_required",
        invoice=event.invoice_id,
        payload__data__object__attempt_count=attempt,
    ).exists()


def invoice_context(invoice: dict[str, Any]) -> dict[str, Any]:
    """What the templates say about an invoice as it was at the time of the event.

    Amounts are text. ``carried_over``: the invoice counts as paid although nothing was charged,
    being below the smallest charge; its amount moved to the customer's balance. ``credit_used``
    is empty when no credit grant has paid anything.
    """
    currency = shapes.text(invoice.get("currency"))
    paid, total = shapes.integer(invoice.get("amount_paid")), shapes.integer(invoice.get("total"))
    due = shapes.integer(invoice.get("amount_remaining"))
    credit = invoice_lines.credit_used(invoice)
    return {
        "invoice": invoice,
        "number": shapes.text(invoice.get("number")),
        "total": format_amount(total, currency),
        "amount_paid": format_amount(paid, currency),
        "amount_due": format_amount(due, currency) or format_amount(total, currency),
        "carried_over": paid == 0 and bool(total),
        "paid_something": bool(paid),
        "credit_used": format_amount(credit, currency) if credit else "",
        "lines": invoice_lines.of_invoice(invoice),
        "pay_url": shapes.link(invoice.get("hosted_invoice_url")),
        "pdf_url": shapes.link(invoice.get("invoice_pdf")),
        "next_attempt": shapes.moment(invoice.get("next_payment_attempt")),
    }


def send(name: str, event: Event, context: dict[str, Any]) -> bool:
    """Render and send one e-mail to the user that the event's customer belongs to.

    False when there is nobody to write to: a customer that is no user's, or has no address.
    """
    customer = Customer.all_objects.filter(pk=event.customer_id).select_related("user").first()
    if customer and customer.user and send_to(customer.user, name, context):
        return True
    logger.info("Event %s (%s): nobody to write to", event.pk, event.type)
    return False


def site_link(url_name: str) -> str:
    """The absolute address of a page; empty without a SITE_URL, or where it is not mounted."""
    try:
        path = reverse(url_name)
    except NoReverseMatch:
        return ""
    return f"{conf.SITE_URL.rstrip('/')}{path}" if conf.SITE_URL else ""


def send_to(user: Any, name: str, context: dict[str, Any]) -> bool:
    """Render and send one e-mail to a user; False when the user has no address."""
    address = getattr(user, "email", "")
    if not address:
        return False
    values = {**context, "user": user, "site_url": conf.SITE_URL}
    prefix = f"comp_billing/email/{name}"
    # A line break in a subject would be refused, rightly.
    subject = " ".join(render_to_string(f"{prefix}_subject.txt", values).split())
    message = EmailMultiAlternatives(
        subject, render_to_string(f"{prefix}.txt", values), to=[address]
    )
    message.attach_alternative(render_to_string(f"{prefix}.html", values), "text/html")
    message.send()
    return True
