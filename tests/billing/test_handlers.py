"""The built-in handlers: whose customer and product it is, and the e-mails about money."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import override_settings

from comp_billing import events, webhooks
from comp_billing.handlers import handlers_of, on, unregister
from comp_billing.models import Customer, Event, Intent, Product
from comp_users.models import Project

pytestmark = pytest.mark.django_db(transaction=True)
MARK = {"comp_install": "comp"}


def tell(event_type: str, obj: dict[str, Any], *, number: int = 1, created: int = 1000) -> None:
    payload = {
        "id": f"evt_{number}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": created,
        "livemode": False,
        "type": event_type,
        "data": {"object": obj},
    }
    webhooks.ingest(webhooks.event_of(payload))


def user(name: str = "ada") -> Any:
    return get_user_model().objects.create_user(name, f"{name}@example.org")


def customer(user_pk: Any, number: int = 1, **metadata: str) -> dict[str, Any]:
    asked = Intent.objects.get(subject=f"customer.create:user:{user_pk}")
    ours = {**MARK, "comp_user": str(user_pk), "comp_intent": str(asked.idempotency_base)}
    marks = {**ours, **metadata}
    return {"id": f"cus_{number}", "object": "customer", "metadata": marks}


# -- links


def test_a_customer_that_we_asked_for_becomes_its_users() -> None:
    """Also when Stripe's answer to us was lost."""
    ada = user()
    tell("customer.created", customer(ada.pk))
    assert Customer.objects.get().user == ada


@pytest.mark.parametrize(
    "metadata",
    [
        {"comp_install": "other"},
        {"comp_intent": "00000000-0000-0000-0000-000000000000"},
        {"comp_user": "0"},
        {"comp_user": "not a key"},
        {"comp_user": "9" * 100},
        {"comp_user": ""},
    ],
)
def test_a_customer_of_nobody_here_stays_nobodys(metadata: dict[str, str]) -> None:
    """Another installation on the same account, or a former database of this one; a removed user,
    somebody's own metadata."""
    tell("customer.updated", customer(user().pk, **metadata))
    assert Customer.objects.get().user is None


def test_a_user_keeps_the_first_customer() -> None:
    """A second one is mirrored without a user."""
    ada = user()
    tell("customer.created", customer(ada.pk))
    tell("customer.created", customer(ada.pk, number=2), number=2)
    users = Customer.objects.order_by("pk").values_list("user", flat=True)
    assert list(users) == [ada.pk, None]


def test_after_a_deletion_the_successor_is_the_users() -> None:
    """The tombstone has given the user up, and does not take them back."""
    ada = user()
    tell("customer.created", customer(ada.pk))
    tell("customer.deleted", customer(ada.pk), number=2, created=1001)
    tell("customer.updated", customer(ada.pk), number=3, created=1002)
    tell("customer.created", customer(ada.pk, number=2), number=4, created=1003)
    users = Customer.all_objects.order_by("pk").values_list("user", flat=True)
    assert list(users) == [None, ada.pk]


def test_a_product_becomes_its_projects() -> None:
    """By the project's key in the metadata."""
    project = Project.objects.create(name="Epidemic", slug="epi")
    marks = {**MARK, "comp_project": str(project.pk)}
    tell("product.created", {"id": "prod_1", "object": "product", "metadata": marks})
    assert Product.objects.get().project == project


@pytest.mark.parametrize("metadata", [None, {"comp_project": "1"}, {**MARK, "comp_project": "x"}])
def test_a_product_of_no_project_here_stays_so(metadata: Any) -> None:
    """The shop's other products."""
    tell("product.updated", {"id": "prod_1", "object": "product", "metadata": metadata})
    assert Product.objects.get().project is None


def test_a_handler_is_registered_once_per_type() -> None:
    """Importing its module twice does not call it twice."""

    def handler(*arguments: Any) -> None:
        """Do nothing."""

    on("x.y")(on("x.y", "x.z")(handler))
    registered = (handlers_of("x.y", stored=False), handlers_of("x.z", stored=False))
    unregister(handler)
    assert (registered, handlers_of("x.y", stored=False)) == (([handler], [handler]), [])


# -- e-mails

INVOICE: dict[str, Any] = {
    "id": "in_1",
    "object": "invoice",
    "customer": "cus_1",
    "status": "open",
    "number": "COMP-0001",
    "currency": "usd",
    "total": 1234,
    "amount_remaining": 1234,
    "amount_paid": 0,
    "hosted_invoice_url": "https://invoice.stripe.test/i/1?a=b&c=d",
    "next_payment_attempt": 1_800_000_000,
    "lines": {
        "data": [
            {"amount": 1000, "pricing": {"price_details": {"product": "prod_1"}}},
            {"amount": 234, "description": "<b>Other</b>"},
        ]
    },
}


@pytest.fixture
def ada() -> Any:
    """A user with a customer and a project's product."""
    person = user()
    tell("customer.created", customer(person.pk), number=100)
    project = Project.objects.create(name="Epidemic", slug="epi")
    marks = {**MARK, "comp_project": str(project.pk)}
    tell("product.created", {"id": "prod_1", "object": "product", "metadata": marks}, number=101)
    return person


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
