"""E-mails to the operators, and what else follows from news that needs a person."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from comp_billing import events
from comp_billing.catalog import set_up_catalog
from comp_billing.models import Charge, Event, Meter, Plan, Product
from comp_users.models import Project
from tests.billing.builders import Site
from tests.billing.told import ADDRESS, INVOICE, PEOPLE, tell

DISPUTE: dict[str, Any] = {
    "id": "du_1",
    "object": "dispute",
    "charge": "ch_1",
    "amount": 1234,
    "currency": "usd",
    "reason": "fraudulent",
    "status": "needs_response",
    "evidence_details": {"due_by": 1_800_000_000},
}
REFUND: dict[str, Any] = {
    "id": "re_1",
    "object": "refund",
    "charge": "ch_1",
    "amount": 1234,
    "currency": "usd",
    "failure_reason": "lost_or_stolen_card",
}
UNFINISHED: dict[str, Any] = {
    **INVOICE,
    "status": "draft",
    "last_finalization_error": {"code": "customer_tax_location_invalid", "message": "No address."},
}


@pytest.fixture(autouse=True)
def managers(settings: Any) -> None:
    """Somebody to tell."""
    settings.MANAGERS = PEOPLE


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("event_type", "obj", "subject", "words"),
    [
        (
            "charge.dispute.created",
            DISPUTE,
            "A payment of $12.34 is disputed: du_1",
            [
                "fraudulent",
                "Stripe takes the money back from your balance",
                "answer with evidence by Jan. 15, 2027, 8 a.m.",
                "https://dashboard.stripe.com/test/disputes/du_1",
            ],
        ),
        (
            "charge.dispute.closed",
            {**DISPUTE, "status": "lost"},
            "The dispute du_1 over $12.34 is closed: lost",
            ["The money stays with the holder of the card"],
        ),
        (
            "charge.dispute.closed",
            {**DISPUTE, "status": "won"},
            "The dispute du_1 over $12.34 is closed: won",
            ["The money is yours again"],
        ),
        (
            "refund.failed",
            REFUND,
            "A refund of $12.34 has failed: re_1",
            ["lost_or_stolen_card", "Give it back in another way"],
        ),
        (
            "invoice.finalization_failed",
            UNFINISHED,
            "The invoice in_1 could not be finalised",
            ["over $12.34", "cus_1", "It says: No address.", "nobody is asked for this money"],
        ),
    ],
)
def test_operators_are_told_what_it_means_and_what_to_do(
    event_type: str, obj: dict[str, Any], subject: str, words: list[str]
) -> None:
    """What happened, what becomes of the money, and where to act."""
    tell(event_type, obj)
    events.process_due_events()
    (message,) = mail.outbox
    assert (message.to, message.subject.endswith(subject)) == ([ADDRESS], True)
    assert [text for text in words if text not in message.body] == []


@pytest.mark.parametrize(
    "event_type",
    [
        "charge.dispute.created",
        "charge.dispute.closed",
        "refund.failed",
        "invoice.finalization_failed",
    ],
)
def test_news_with_nothing_in_it_is_told_all_the_same(event_type: str) -> None:
    """Whatever Stripe leaves out."""
    kind = "invoice" if event_type.startswith("invoice") else "dispute"
    tell(event_type, {"id": "x_1", "object": kind, "evidence_details": None, "charge": 5})
    events.process_due_events()
    assert (len(mail.outbox), Event.objects.get().state) == (1, "processed")


def test_a_site_that_names_no_operators_logs_it(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The event is done all the same."""
    settings.MANAGERS = []
    tell("charge.dispute.created", DISPUTE)
    events.process_due_events()
    (line,) = [record.message for record in caplog.records if "MANAGERS" in record.message]
    assert (mail.outbox, Event.objects.get().state, line) == (
        [],
        "processed",
        "Nobody is told, because MANAGERS is empty: A payment of $12.34 is disputed: du_1",
    )


def test_an_invoice_that_was_finalised_meanwhile_is_not_told() -> None:
    """The worker may come late."""
    tell("invoice.finalization_failed", UNFINISHED)
    tell("invoice.finalized", {**INVOICE, "status": "open"}, number=2, created=1001)
    events.process_due_events()
    assert mail.outbox == []


# -- charges


@pytest.mark.parametrize(
    "event_type",
    [
        "charge.dispute.created",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.refund.updated",
        "refund.created",
        "refund.updated",
        "refund.failed",
    ],
)
@pytest.mark.parametrize("charge", ["ch_1", {"id": "ch_1", "object": "charge"}])
def test_the_charge_behind_a_refund_or_dispute_is_fetched_anew(
    event_type: str, charge: Any
) -> None:
    """What is left of it, and whether it is disputed, stands in the charge alone."""
    tell("charge.succeeded", {"id": "ch_1", "object": "charge", "amount": 1234})
    before = Charge.objects.get().fetch_at
    tell(event_type, {**DISPUTE, "charge": charge}, number=2)
    assert (before, Charge.objects.get().fetch_at is None) == (None, False)


def test_a_charge_that_is_not_known_yet_is_fetched() -> None:
    """Its placeholder is due."""
    tell("refund.created", REFUND)
    (charge,) = Charge.all_objects.all()
    assert (charge.pk, charge.is_placeholder, charge.fetch_at is None) == ("ch_1", True, False)


@pytest.mark.parametrize("charge", [None, "", 5, {}])
def test_a_refund_of_no_charge_marks_nothing(charge: Any) -> None:
    """Some are of a customer's balance."""
    tell("refund.created", {**REFUND, "charge": charge})
    assert (Charge.all_objects.count(), Event.objects.get().state) == (0, "processed")


# -- what is sold


@pytest.fixture
def sold(site: Site) -> Project:
    """A public project with product, meter and plan."""
    project = site.public_project("Epidemic")
    set_up_catalog()
    return project


def archived(obj: Product | Plan, **fields: str) -> None:
    """Stripe tells that somebody archived it."""
    tell(
        f"{obj.kind}.updated",
        {**obj.data, "active": False},
        number=Event.objects.count() + 10,
        created=(obj.as_of or 0) + 10,
        previous={"active": True},
        **fields,
    )
    events.process_due_events()


def test_an_archived_product_of_a_public_project_is_told(sold: Project) -> None:
    """Not silently: the site puts it on sale again."""
    product = Product.objects.get()
    archived(product)
    (message,) = mail.outbox
    assert (
        message.subject.endswith(f"Epidemic is sold through was archived at Stripe: {product.pk}"),
        "puts the product on sale again" in message.body,
        f"https://dashboard.stripe.com/test/products/{product.pk}" in message.body,
    ) == (True, True, True)


def test_an_archived_price_of_a_public_project_is_told(sold: Project) -> None:
    """Who is subscribed goes on, new users need another."""
    archived(Plan.objects.get())
    assert "Who is subscribed to this price goes on paying it" in mail.outbox[0].body


def test_a_deleted_product_of_a_public_project_is_told(sold: Project) -> None:
    """Its row has given the project up; its metadata has not."""
    product = Product.objects.get()
    gone = {"id": product.pk, "object": "product", "deleted": True}
    tell("product.deleted", gone, created=(product.as_of or 0) + 10)
    events.process_due_events()
    assert "was deleted at Stripe, but the public model Epidemic" in mail.outbox[0].body


def test_a_meter_that_was_switched_off_is_told(sold: Project) -> None:
    """Runs are refused from then on."""
    meter = Meter.objects.get()
    off = {**meter.data, "status": "inactive"}
    tell("billing.meter.deactivated", off, created=(meter.as_of or 0) + 10)
    events.process_due_events()
    assert "Runs of the model are refused" in mail.outbox[0].body


def test_what_is_archived_of_a_private_project_is_not_told(sold: Project) -> None:
    """So one takes a model off the market."""
    Project.objects.update(is_public=False)
    archived(Product.objects.get())
    archived(Plan.objects.get())
    assert mail.outbox == []


def test_what_the_shop_sells_besides_is_not_told(site: Site) -> None:
    """A product of no project."""
    tell("product.created", {"id": "prod_9", "object": "product", "active": True}, number=9)
    archived(Product.objects.get())
    assert mail.outbox == []


def test_what_was_put_on_sale_again_meanwhile_is_not_told(sold: Project) -> None:
    """The worker may come late."""
    product = Product.objects.get()
    later = {"created": (product.as_of or 0) + 20, "previous": {"active": False}}
    tell("product.updated", product.data, number=2, **later)
    archived(product)
    assert mail.outbox == []


def test_a_price_that_was_replaced_is_archived_silently(sold: Project) -> None:
    """It is priced as the site does no longer."""
    Plan.objects.update(amount_decimal=7)
    plan = Plan.objects.get()
    plan.data["unit_amount_decimal"] = "7"
    archived(plan)
    assert mail.outbox == []


def test_a_change_of_name_is_not_told(sold: Project) -> None:
    """Only what takes it off sale."""
    product = Product.objects.get()
    tell("product.updated", product.data, number=2, previous={"name": "Epidemic?"})
    events.process_due_events()
    assert mail.outbox == []


def test_what_was_archived_long_ago_is_not_told_again(sold: Project) -> None:
    """With every other change of it."""
    product = Product.objects.get()
    changed, created = {**product.data, "active": False}, (product.as_of or 0) + 10
    tell("product.updated", changed, created=created, previous={"name": "Epidemic?"})
    events.process_due_events()
    assert mail.outbox == []


def test_a_change_in_other_words_is_told(sold: Project) -> None:
    """An event of another version of the API is a hint: the row does not know yet."""
    archived(Product.objects.get(), api_version="2025-03-31.basil")
    assert (Product.objects.get().active, len(mail.outbox)) == (True, 1)
