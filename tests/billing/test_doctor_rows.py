"""The doctor on this site's own rows: events, the mirror, lists read, intents, usage, items."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from comp_billing import mirror
from comp_billing.models import (
    Charge,
    Customer,
    Event,
    Intent,
    Subscription,
    SubscriptionItem,
    Sync,
    UsageRecord,
)
from comp_billing.paying import portal
from comp_billing.probes import events, outbox, paying
from comp_billing.probes import mirror as mirrored
from comp_core.doctor import Finding, registered_probes
from tests.billing.builders import Site, used
from tests.billing.deliveries import event
from tests.billing.examined import bad, good, receive
from tests.billing.stripe_objects import customer, put

pytestmark = pytest.mark.django_db(transaction=True)
CANARY = "sk_test_canary whsec_canary canary@example.org"


def back(**ago: float) -> datetime:
    return timezone.now() - timedelta(**ago)


def arrived(**fields: Any) -> Event:
    """An event with these values, however it came to have them."""
    receive([event()])
    Event.objects.update(**fields)
    return Event.objects.get()


def owing(site: Site, **fields: Any) -> UsageRecord:
    """A usage record with these values."""
    record = used(site.shop(), site.subscriber())
    UsageRecord.objects.update(**fields)
    return record


def test_no_event_yet(site: Site) -> None:
    """Nothing may have happened at Stripe."""
    assert good(events.events) == [
        "No event has arrived yet: as it is where nothing has happened at Stripe."
    ]


def test_events_that_are_worked_through(site: Site) -> None:
    """The newest is told, so that silence can be judged."""
    arrived(received_at=back(hours=3))
    assert good(events.events) == [
        "The newest event, customer.updated, arrived 3 hours ago.",
        "Every event that has arrived is worked through, or about to be.",
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"state": "dead"},
            "problem: Events that were given up, their handlers having failed too often: ",
        ),
        (
            {"state": "failed", "next_attempt_at": timezone.now() + timedelta(hours=1)},
            "warning: Events whose handlers failed, and which are tried again: ",
        ),
        (
            {"state": "pending", "next_attempt_at": timezone.now() - timedelta(hours=1)},
            "problem: Events that nobody works on, although they are due: ",
        ),
    ],
)
def test_events_that_are_stuck(site: Site, fields: dict[str, Any], said: str) -> None:
    """How many, of which types, and for how long."""
    arrived(created=back(hours=5), **fields)
    assert bad(events.events) == [f"{said}1 (customer.updated 1), the oldest for 5 hours."]


def test_a_mirror_in_order(site: Site) -> None:
    """What is about to be fetched is told, and no fault."""
    put(customer())
    mirror.ensure(Charge, ["ch_1"])
    assert good(mirrored.mirror) == [
        "The mirror holds what Stripe last said. Objects about to be fetched: charge 1."
    ]


def test_placeholders_that_stay(site: Site) -> None:
    """Nobody fetches: the loops don't run."""
    mirror.ensure(Charge, ["ch_1", "ch_2"])
    Charge.all_objects.update(fetch_at=back(hours=2))
    assert bad(mirrored.mirror) == [
        "warning: Objects named more than an hour ago and still not received: charge 2.",
        "problem: Objects that were to be fetched from Stripe more than an hour ago: charge 2.",
    ]


def test_rows_whose_fetching_fails(site: Site) -> None:
    """They are tried again and again, and are not what Stripe has; told once, due or not."""
    put(customer())
    Customer.objects.update(fetch_at=timezone.now() + timedelta(hours=1), fetch_attempts=8)
    waiting = bad(mirrored.mirror)
    Customer.objects.update(fetch_at=back(hours=2))
    said = "problem: Objects that could not be fetched from Stripe for more than an hour: customer"
    assert (waiting, bad(mirrored.mirror)) == ([f"{said} 1."], [f"{said} 1."])


def test_lists_that_were_read(site: Site) -> None:
    """Which was read first, and which never."""
    for kind, hours in {"customer": 30, "invoice": 2}.items():
        Sync.objects.create(kind=kind, complete_as_of=int(back(hours=hours).timestamp()))
    (said,) = good(mirrored.syncs)
    assert said == (
        "Lists read as a whole: 2 kinds, customer first, 30 hours ago. Never read: "
        "billing.credit_grant, billing.meter, charge, invoice_payment, price, product, "
        "subscription."
    )


def test_lists_that_nobody_reads(site: Site) -> None:
    """Asked for, and nobody holds the lease."""
    Sync.objects.create(kind="customer", requested_at=back(hours=3))
    assert bad(mirrored.syncs) == [
        'problem: The list "customer" was to be read 3 hours ago. Nobody reads it.'
    ]


def test_a_list_that_is_being_read(site: Site) -> None:
    """However long it takes: somebody holds the lease."""
    held = {"lease_token": uuid.uuid4(), "lease_expires_at": timezone.now() + timedelta(minutes=1)}
    Sync.objects.create(kind="customer", requested_at=back(hours=3), **held)
    assert bad(mirrored.syncs) == []


def test_a_list_whose_reading_failed(site: Site) -> None:
    """Its error stays in the admin."""
    Sync.objects.create(kind="customer", error=CANARY)
    assert bad(mirrored.syncs) == [
        'warning: The last reading of Stripe\'s list "customer" ended in an error.'
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"next_attempt_at": timezone.now() - timedelta(hours=1)},
            "problem: Calls to Stripe that nobody makes, although they are due: ",
        ),
        (
            {"next_attempt_at": timezone.now() + timedelta(hours=1)},
            "warning: Calls to Stripe that have not succeeded for an hour: ",
        ),
        ({"state": "failed", "next_attempt_at": None}, "warning: Calls that Stripe refused: "),
    ],
)
def test_calls_that_are_stuck(site: Site, fields: dict[str, Any], said: str) -> None:
    """By kind; what they say stays in the admin."""
    site.user()
    Intent.objects.update(created=back(hours=4), error_message=CANARY, **fields)
    assert bad(outbox.intents) == [f"{said}1 (customer.create 1), the oldest for 4 hours."]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"next_attempt_at": timezone.now() - timedelta(hours=1)},
            "problem: Usage that nobody reports to Stripe, although it is due: 1 (pending 1)",
        ),
        (
            {"state": "rejected", "error_code": "no_meter"},
            "warning: Usage that Stripe rejected, and that is not billed: 1 (no_meter 1)",
        ),
        (
            {"state": "ambiguous", "error_code": "no_answer"},
            "warning: Usage of which it is unclear whether Stripe took it: 1 (no_answer 1)",
        ),
        (
            {"state": "expired", "error_code": "too_old"},
            "warning: Usage that was too old to be reported, and that is not billed: 1 (too_old 1)",
        ),
    ],
)
def test_usage_that_is_not_billed(site: Site, fields: dict[str, Any], said: str) -> None:
    """How much, why, and for how long."""
    sent = {"first_sent_at": back(hours=5), "timestamp": back(hours=5)}
    owing(site, used_at=back(hours=6), error_message=CANARY, **sent, **fields)
    assert bad(outbox.usage) == [f"{said}, the oldest for 6 hours."]


def test_usage_that_is_nearly_lost(site: Site) -> None:
    """Stripe takes 35 days of it."""
    later = timezone.now() + timedelta(minutes=5)
    owing(site, used_at=back(days=30), next_attempt_at=later)
    assert bad(outbox.usage) == [
        "problem: Usage that Stripe will soon not take any more (after 35 days): 1 (pending 1), "
        "the oldest for 30 days."
    ]


def test_usage_on_its_way(site: Site) -> None:
    """It is told, and no fault."""
    owing(site)
    assert good(outbox.usage) == [
        "Usage that is still to be reported: 1 (pending 1), the oldest for 0 seconds."
    ]


def test_customers_without_items(site: Site) -> None:
    """An hour after their sign-up somebody should look; not before."""
    site.shop()
    site.subscriber()
    SubscriptionItem.all_objects.update(deleted=True)
    early = bad(outbox.subscriptions)
    Customer.objects.update(as_of=int(back(hours=2).timestamp()))
    Subscription.objects.update(as_of=int(back(hours=2).timestamp()))
    assert (early, bad(outbox.subscriptions)) == (
        [],
        [
            "warning: Subscriptions without a single item: 1. They bill nothing.",
            "warning: Customers who lack an item for something on offer: 1, in 1 plans. "
            "Their runs are refused.",
        ],
    )


def test_everybody_is_subscribed(site: Site) -> None:
    """Then nothing is missing."""
    site.shop()
    site.subscriber()
    Customer.objects.update(as_of=int(back(hours=2).timestamp()))
    assert good(outbox.subscriptions) == ["Every customer is subscribed to everything on offer."]


def test_rows_give_no_secret_away(site: Site) -> None:
    """Whatever a column holds that came from outside."""
    owing(site, state="expired", error_code=CANARY, error_message=CANARY)
    receive([event(CANARY)])
    Event.objects.update(state="dead", error=CANARY, account=CANARY)
    Intent.objects.update(kind=CANARY, state="failed", result_id="", error_message=CANARY)
    Sync.objects.create(kind=CANARY, error=CANARY)
    probes = [one for one in registered_probes() if one.name.startswith("comp_billing.")]
    told: list[Finding] = [finding for one in probes for finding in one.function()]
    assert "canary" not in " ".join(f"{one.what} {one.todo}" for one in told)


def test_portal_that_is_not_set_up(site: Site) -> None:
    """Named once there is somebody who could use it, with what makes it."""
    before = list(paying.portal())
    site.user()
    site.work()

    (found,) = paying.portal()

    assert (before, found.level.value, found.todo) == (
        [],
        "warning",
        "python manage.py comp_setup_stripe makes its configuration.",
    )


def test_portal_that_is_set_up(site: Site) -> None:
    """Nothing is to be done."""
    portal.set_up()

    (found,) = paying.portal()

    assert (found.level.value, found.todo) == ("ok", "")
