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


ACTION = "invoice.payment_action_required"


def test_a_payment_to_be_confirmed_is_told_with_the_link(ada: Any) -> None:
    """What the bank wants, that nothing is charged yet, where to confirm."""
    tell(ACTION, INVOICE)
    events.process_due_events()
    (message,) = mail.outbox
    expected = [
        "your bank wants you to confirm the payment of $12.34 for invoice COMP-0001",
        "Nothing has been charged yet",
        "  Epidemic: $10.00\n  <b>Other</b>: $2.34\n",
        "https://invoice.stripe.test/i/1?a=b&c=d\n",
        "nothing is charged twice",
    ]
    html = html_of(message)
    assert (
        message.to,
        message.subject,
        [text for text in expected if text not in message.body],
        "<b>Other" in html,
        'href="https://invoice.stripe.test/i/1?a=b&amp;c=d"' in html,
    ) == (
        ["ada@example.org"],
        "Please confirm your payment of $12.34 for invoice COMP-0001",
        [],
        False,
        True,
    )


@pytest.mark.parametrize("event_type", ["invoice.payment_failed", ACTION])
@pytest.mark.parametrize(
    ("later", "status"),
    [
        ("invoice.paid", "paid"),
        ("invoice.voided", "void"),
        ("invoice.marked_uncollectible", "uncollectible"),
        ("invoice.deleted", "draft"),
    ],
)
def test_who_need_not_pay_any_more_is_not_asked_to(
    ada: Any, settings: Any, event_type: str, later: str, status: str
) -> None:
    """The worker may come late."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "SEND_RECEIPTS": False}
    tell(event_type, INVOICE)
    tell(later, {**INVOICE, "status": status}, number=2, created=1001)
    events.process_due_events()
    assert mail.outbox == []


@pytest.mark.parametrize(
    "event_type",
    [
        "invoice.created",
        "invoice.updated",
        "invoice.upcoming",
        "invoice.marked_uncollectible",
        "invoice.deleted",
    ],
)
def test_what_asks_nothing_of_the_user_is_mirrored_only(ada: Any, event_type: str) -> None:
    """No e-mail, and nothing left to do."""
    tell(event_type, INVOICE)
    assert (Event.objects.get(pk="evt_1").state, events.process_due_events()) == ("processed", 0)


@pytest.mark.parametrize("event_type", ["invoice.finalized", "invoice.voided"])
def test_what_may_touch_credit_sends_no_email(ada: Any, event_type: str) -> None:
    """The worker looks whether the customer has any, and that is all."""
    tell(event_type, INVOICE)
    events.process_due_events()
    assert (Event.objects.get(pk="evt_1").state, mail.outbox) == ("processed", [])


def test_of_an_attempt_to_be_confirmed_the_failure_is_not_told_too(ada: Any) -> None:
    """Stripe tells both; one e-mail says what to do."""
    tell("invoice.payment_failed", INVOICE)
    tell(ACTION, INVOICE, number=2)
    events.process_due_events()
    assert [message.subject.split()[0] for message in mail.outbox] == ["Please"]


@pytest.mark.parametrize("differing", [{"attempt_count": 2}, {"id": "in_2"}])
def test_the_failure_of_another_attempt_is_told(ada: Any, differing: dict[str, Any]) -> None:
    """A later one of the same invoice, or one of another."""
    tell(ACTION, INVOICE)
    tell("invoice.payment_failed", {**INVOICE, **differing}, number=2)
    events.process_due_events()
    assert sorted(message.subject.split()[0] for message in mail.outbox) == ["Please", "Your"]


@pytest.mark.parametrize("name", ["payment_failed", "payment_action_required", "invoice_paid"])
def test_a_host_can_override_each_part(ada: Any, settings: Any, tmp_path: Any, name: str) -> None:
    """By a template of the same name that is found first."""
    folder = tmp_path / "comp_billing" / "email"
    folder.mkdir(parents=True)
    (folder / f"{name}_subject.txt").write_text("S {{ number }}\n")
    (folder / f"{name}.txt").write_text("T {{ total }}")
    (folder / f"{name}.html").write_text("<p>H {{ user.email }}</p>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    tell(f"invoice.{name.removeprefix('invoice_')}", INVOICE)
    events.process_due_events()
    (message,) = mail.outbox
    assert (message.subject, message.body, html_of(message)) == (
        "S COMP-0001",
        "T $12.34",
        "<p>H ada@example.org</p>",
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


def test_a_handler_that_fails_sends_no_email_of_another_twice(ada: Any, handle: Any) -> None:
    """Each has its turn, and those that are done are not repeated with the one that is not."""
    attempts: list[int] = []

    def fail_once(*arguments: Any) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionRefusedError

    handle("invoice.payment_failed", handler=fail_once, stored=True)
    tell("invoice.payment_failed", INVOICE)
    events.process_due_events()
    Event.objects.filter(pk="evt_1").update(next_attempt_at="2020-01-01T00:00Z")
    events.process_due_events()
    state = Event.objects.get(pk="evt_1").state
    assert (state, len(attempts), len(mail.outbox)) == ("processed", 2, 1)


def test_what_credit_has_paid_is_a_line_of_the_receipt(ada: Any) -> None:
    """So that the lines add up to what was paid, which may be nothing; a discount is no credit."""
    used = [
        {"amount": 1234, "type": "credit_balance_transaction"},
        {"amount": 5, "type": "discount"},
    ]
    paid = {"status": "paid", "total": 0, "amount_paid": 0, "total_pretax_credit_amounts": used}

    tell("invoice.paid", {**INVOICE, **paid})
    events.process_due_events()

    wanted = (
        "  Paid from credit: -$12.34\n",
        "\n$12.34 of your invoice were paid from your credit.\n",
    )
    assert [part in mail.outbox[0].body for part in wanted] == [True, True]
