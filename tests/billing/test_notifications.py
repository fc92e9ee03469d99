"""E-mails about money to the user that it is about."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import override_settings

from comp_billing import events
from comp_billing.models import Customer, Event
from tests.billing.told import INVOICE, tell

pytestmark = pytest.mark.django_db(transaction=True)


def html_of(message: Any) -> str:
    return str(message.alternatives[0][0])


def test_a_failed_payment_is_told_with_the_link_to_pay(ada: Any) -> None:
    """What happened, for which models, how to pay, what happens next."""
    tell("invoice.payment_failed", INVOICE)
    events.process_due_events()
    (message,) = mail.outbox
    expected = [
        "the payment of $12.34 for invoice COMP-0001 did not go through",
        "  Epidemic: $10.00\n  <b>Other</b>: $2.34\n",
        "https://invoice.stripe.test/i/1?a=b&c=d\n",
        "tried again on Jan. 15, 2027",
        "nothing is charged twice",
    ]
    assert (
        message.to,
        message.subject,
        [text for text in expected if text not in message.body],
    ) == (
        ["ada@example.org"],
        "Your payment of $12.34 for invoice COMP-0001 did not go through",
        [],
    )


def test_the_html_part_escapes_what_is_not_ours(ada: Any) -> None:
    """And its link leads to the same page."""
    tell("invoice.payment_failed", INVOICE)
    events.process_due_events()
    html = html_of(mail.outbox[0])
    assert (
        "<b>Other" in html,
        "&lt;b&gt;Other" in html,
        'href="https://invoice.stripe.test/i/1?a=b&amp;c=d"' in html,
    ) == (False, True, True)


def test_only_web_addresses_become_links(ada: Any) -> None:
    """Whatever a field holds."""
    tell("invoice.payment_failed", {**INVOICE, "hosted_invoice_url": "javascript:alert(1)"})
    events.process_due_events()
    assert "javascript" not in mail.outbox[0].body + html_of(mail.outbox[0])


@pytest.mark.parametrize(
    ("currency", "text"), [("jpy", "¥1,234"), ("kwd", "1.234 KWD"), ("usd", "$12.34")]
)
def test_amounts_are_told_in_their_currency(ada: Any, currency: str, text: str) -> None:
    """With no, three and two decimal places."""
    tell("invoice.payment_failed", {**INVOICE, "currency": currency})
    events.process_due_events()
    assert mail.outbox[0].subject.startswith(f"Your payment of {text} for")


def test_a_payment_that_went_through_meanwhile_is_not_told_as_failed(ada: Any) -> None:
    """The worker may come late."""
    tell("invoice.payment_failed", INVOICE)
    paid = {**INVOICE, "status": "paid", "amount_paid": 1234}
    with override_settings(COMP_BILLING={"SEND_RECEIPTS": False}):
        tell("invoice.paid", paid, number=2, created=1001)
        events.process_due_events()
    states = set(Event.objects.values_list("state", flat=True))
    assert (mail.outbox, states) == ([], {"processed"})


def test_a_paid_invoice_is_confirmed(ada: Any) -> None:
    """With what was paid for."""
    tell("invoice.paid", {**INVOICE, "status": "paid", "amount_paid": 1234})
    events.process_due_events()
    (message,) = mail.outbox
    assert (message.subject, "your payment of $12.34 has arrived" in message.body) == (
        "Invoice COMP-0001 over $12.34 is paid",
        True,
    )


def test_an_invoice_too_small_to_charge_is_told_as_carried_over(ada: Any) -> None:
    """Paid without a payment: its amount moved to the balance."""
    tell("invoice.paid", {**INVOICE, "status": "paid", "total": 23, "amount_remaining": 0})
    events.process_due_events()
    assert "your invoice over $0.23 is settled: the amount is too small" in mail.outbox[0].body


def test_an_invoice_over_nothing_is_not_worth_an_email(ada: Any) -> None:
    """A month without runs."""
    tell("invoice.paid", {**INVOICE, "status": "paid", "total": 0})
    events.process_due_events()
    assert mail.outbox == []


def test_the_end_of_a_trial_is_told(ada: Any) -> None:
    """With the day, and what it means."""
    trial = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "trialing"}
    tell("customer.subscription.trial_will_end", {**trial, "trial_end": 1_800_000_000})
    events.process_due_events()
    (message,) = mail.outbox
    assert (message.subject, "Runs before then cost nothing" in message.body) == (
        "Your trial ends on Jan. 15, 2027",
        True,
    )


@pytest.mark.parametrize("address", ["", None])
def test_who_cannot_be_written_to_is_not(ada: Any, address: str | None) -> None:
    """No address, or no user: the event is done all the same."""
    get_user_model().objects.update(email=address or "")
    Customer.objects.update(user=ada if address is not None else None)
    tell("invoice.payment_failed", INVOICE)
    events.process_due_events()
    assert (mail.outbox, Event.objects.get(pk="evt_1").state) == ([], "processed")


def test_an_email_that_cannot_be_sent_is_sent_later(
    ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once; the event waits meanwhile and says so."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr("comp_billing.notifications.EmailMultiAlternatives.send", refuse)
        tell("invoice.payment_failed", INVOICE)
        events.process_due_events()
    waiting = Event.objects.get(pk="evt_1")
    Event.objects.filter(pk="evt_1").update(next_attempt_at=waiting.received_at)
    events.process_due_events()
    assert (waiting.state, waiting.error.split(",")[0], len(mail.outbox)) == (
        "failed",
        "ConnectionRefusedError in refuse",
        1,
    )
