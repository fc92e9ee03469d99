"""What a user may run follows from what Stripe tells about the subscription."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import stripe

from comp_billing.models import Reservation, Subscription
from comp_users.models import Profile, Project
from tests.billing.builders import Site, authorized_run, customer_of, queued_run, refusal
from tests.billing.told import tell

SETTING_UP = "Your billing account is being set up. Please try again in a minute."
UNPAID = (
    "An earlier invoice has not been paid, so no new run can be billed."
    " Pay it under Invoices, then submit again."
)
PAUSED = (
    "The subscription that pays for runs is paused. Add a payment card under Card; if it"
    " stays paused, ask this site's operators."
)
CLOSED = "The billing account was closed. Ask this site's operators to open it again."

Shop = tuple[Project, Profile]


@pytest.fixture
def shop(site: Site) -> Shop:
    """A public project, and somebody who is subscribed to it."""
    return site.shop(), site.subscriber()


def told(status: str, *, event_type: str = "customer.subscription.updated") -> None:
    """Stripe tells that the subscription is in this state now."""
    subscription = Subscription.objects.get()
    created = (subscription.as_of or 0) + 10
    tell(event_type, {**subscription.data, "status": status}, number=created, created=created)


PERMITTING = ["active", "trialing"]
REFUSING = [
    ("customer.subscription.updated", "past_due", UNPAID),
    ("customer.subscription.updated", "unpaid", UNPAID),
    ("customer.subscription.updated", "incomplete", UNPAID),
    ("customer.subscription.paused", "paused", PAUSED),
    ("customer.subscription.updated", "incomplete_expired", SETTING_UP),
    ("customer.subscription.deleted", "canceled", SETTING_UP),
]


def test_every_state_of_a_subscription_is_proved() -> None:
    """Those of the installed SDK and those below are the same."""
    documented, _text = get_args(stripe.Subscription.__annotations__["status"])
    assert set(get_args(documented)) == {
        *PERMITTING,
        *(status for _type, status, _said in REFUSING),
    }


@pytest.mark.parametrize("status", PERMITTING)
def test_runs_are_permitted(shop: Shop, status: str) -> None:
    """Whatever it was before."""
    told("past_due")
    told(status)
    authorized_run(*shop)
    assert Reservation.objects.count() == 1


@pytest.mark.parametrize(
    ("event_type", "status", "said"),
    [*REFUSING, ("customer.subscription.updated", "a_state_to_come", SETTING_UP)],
)
def test_runs_are_refused_with_the_reason(
    shop: Shop, event_type: str, status: str, said: str
) -> None:
    """From the event's commit on, without a look at Stripe; what has ended is subscribed anew."""
    told(status, event_type=event_type)
    assert refusal(queued_run(*shop)) == said


def test_older_news_permit_nothing(shop: Shop) -> None:
    """An update that is told late does not undo the later one."""
    subscription = Subscription.objects.get()
    told("unpaid")
    early: dict[str, Any] = {**subscription.data, "status": "active"}
    tell("customer.subscription.updated", early, number=7, created=(subscription.as_of or 0) + 5)
    assert refusal(queued_run(*shop)) == UNPAID


def test_a_deleted_customer_runs_nothing(shop: Shop) -> None:
    """Somebody deleted it in Stripe's dashboard."""
    customer = customer_of(shop[1])
    tell("customer.deleted", customer.data, created=(customer.as_of or 0) + 10)
    assert refusal(queued_run(*shop)) == CLOSED


def test_an_invoice_left_behind_refuses_what_the_next_subscription_permits(shop: Shop) -> None:
    """Until an event says that it was paid."""
    old = {"id": "sub_old", "object": "subscription", "status": "canceled"}
    owed = {"id": "in_9", "object": "invoice", "customer": customer_of(shop[1]).pk}
    parent = {"subscription_details": {"subscription": "sub_old"}}
    tell("customer.subscription.deleted", old, number=1)
    tell("invoice.payment_failed", {**owed, "status": "open", "parent": parent}, number=2)
    refused = refusal(queued_run(*shop))
    paid = {**owed, "status": "paid", "parent": parent}
    tell("invoice.paid", paid, number=3, created=1001)
    authorized_run(*shop)
    assert (refused, Reservation.objects.count()) == (UNPAID, 1)
