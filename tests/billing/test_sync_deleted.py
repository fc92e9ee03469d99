"""What is deleted, or doubted, while lists are read; and pages that take longer than a lease."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import ListBusy, StripeRefused
from comp_billing.models import Customer, Subscription, SubscriptionItem, Sync
from comp_billing.sync import bulk, fetching, pacing, reading, requests
from tests.billing.deliveries import event, tell
from tests.billing.lists import calls, dying, lists
from tests.billing.standin_rig import Account
from tests.billing.stripe_objects import VERSION
from tests.billing.test_sync_lists import licences, subscribed

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)


def customer(account: Account, *, ago: int = 0) -> dict[str, Any]:
    """A new one, of which we were told; it was made so many seconds ago."""
    found = account.world.store.get("customer", account.v1.customers.create({}).id) or {}
    found["created"] = int(found["created"]) - ago
    tell(event("customer.created", found, id="evt_1", created=found["created"]))
    return found


def tell_late(found: dict[str, Any], *, seconds: int) -> None:
    """What happened so long after its creation, in an event that arrives only now."""
    obj = {**found, "email": "older@example.org"}
    tell(event("customer.updated", obj, id="evt_2", created=found["created"] + seconds))


# -- doubts and older news


def test_older_news_does_not_settle_that_a_list_misses_an_object(lists: Account) -> None:
    """It was deleted after that; the worker still asks, though the reading did not end."""
    found = customer(lists)
    lists.v1.customers.delete(found["id"])
    lists.world.advance(seconds=60)
    with dying("sync_end:begin"):
        bulk.read(Customer)
    tell_late(found, seconds=5)
    lists.world.advance(seconds=60)
    fetching.fetch_due()
    assert Customer.all_objects.values_list("deleted", "fetch_at").get() == (True, None)


def test_older_news_does_not_settle_what_somebody_doubts(lists: Account) -> None:
    """Who has a row fetched anew gets an answer of Stripe's."""
    found = customer(lists, ago=3600)
    asked = requests.refetch(Customer, [Customer.objects.get()])
    tell_late(found, seconds=5)
    fetching.fetch_due()
    assert (asked, Customer.objects.get().email) == ({found["id"]}, "")


def test_a_row_of_this_very_minute_can_be_doubted(lists: Account) -> None:
    """Or one that is dated in the future."""
    now = int(timezone.now().timestamp())
    for number in (0, 1000):
        obj = {"id": f"cus_{number}", "object": "customer"}
        mirror.upsert([obj], as_of=now + number, rank=1, api_version=VERSION)
    assert requests.refetch(Customer, Customer.objects.all()) == {"cus_0", "cus_1000"}


# -- lists within objects


@pytest.fixture
def gone(lists: Account, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of two subscriptions with many items, the first that is listed is deleted then; its id."""
    subscribed(lists, licences(lists, 12))
    key = subscribed(lists, licences(lists, 12))["id"]
    ask = reading.ask

    def refuse(path: str, params: dict[str, Any], **more: Any) -> stripe_api.Answer:
        answer = ask(path, params, **more)
        if params.get("subscription") == key:
            raise StripeRefused("No such subscription", code="resource_missing", date=answer.date)
        return answer

    monkeypatch.setattr(reading, "ask", refuse)
    return [key]


def test_an_object_deleted_after_its_page_does_not_end_the_reading(
    lists: Account, gone: list[str]
) -> None:
    """The others are here whole; it is due to be fetched."""
    requests.request(["subscription"])
    requests.read_requested()
    rows = Subscription.objects.filter(fetch_at__isnull=False).values_list("pk", flat=True)
    whole = SubscriptionItem.objects.exclude(subscription__in=gone).count()
    assert (list(rows), whole, Sync.objects.get(pk="subscription").error) == (gone, 12, "")


# -- leases


def test_a_page_may_take_longer_than_a_lease(
    lists: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lists within its objects take many calls: the lease is extended meanwhile, so that nobody
    else begins the same page again, and none of them ever comes to its end."""
    subscribed(lists, licences(lists, 12))
    leases: list[int] = []

    def take(bucket: pacing.TokenBucket, *, per_second: float) -> None:
        rows = Sync.objects.filter(pk="subscription")
        leases.append(rows.filter(lease_expires_at__gt=Now()).count())
        rows.update(lease_expires_at=timezone.now() - timedelta(seconds=1))

    monkeypatch.setattr(bulk, "TICKS", 10**9)
    monkeypatch.setattr(pacing.TokenBucket, "take", take)
    bulk.read(Subscription)
    assert (leases, SubscriptionItem.objects.count()) == ([1] * 5, 12)


def test_a_reader_that_was_succeeded_stops_asking(
    lists: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when its page is to be written."""
    subscribed(lists, licences(lists, 12))
    monkeypatch.setattr(bulk, "TICKS", 10**9)
    monkeypatch.setattr(
        pacing.TokenBucket,
        "take",
        lambda *args, **kwargs: Sync.objects.update(lease_token=uuid4()),
    )
    calls(lists)
    with pytest.raises(ListBusy):
        bulk.read(Subscription)
    assert calls(lists) == 0
