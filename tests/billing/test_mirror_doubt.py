"""What makes a row doubtful, so that the worker fetches its object, and what settles that."""

from __future__ import annotations

import pytest

from comp_billing import mirror
from comp_billing.models import Customer, Subscription, SubscriptionItem, Sync
from tests.billing.stripe_objects import customer, item, put, subscription

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_tie_of_different_content_is_due_to_be_fetched() -> None:
    """Of one second and one rank: which is the later cannot be told. The same content is no tie."""
    put(customer())
    put(customer())
    before = Customer.objects.get().fetch_at
    put(customer(email="other"))
    put(customer(email="other"))
    assert (before, Customer.objects.get().fetch_at is None) == (None, False)


def test_later_news_settles_a_tie() -> None:
    """Whatever the two versions were."""
    put(customer())
    put(customer(email="other"))
    put(customer(email="latest"), as_of=1001, rank=0)
    found = Customer.objects.values_list("fetch_at", "email", "as_of", "rank").get()
    assert found == (None, "latest", 1001, 0)


def test_what_was_said_before_a_whole_reading_is_written_and_in_doubt() -> None:
    """The reading may have found the row as it is, and not written it; what followed the late news
    may be late as well, or lost."""
    put(customer())
    Sync.objects.create(kind="customer", complete_as_of=1100)
    put(customer(email="late"), as_of=1098)
    put(customer(email="later"), as_of=1099)
    before = Customer.objects.values_list("email", "doubt_as_of").get()
    put(customer(email="answer"), as_of=1101, rank=0)
    after = Customer.objects.values_list("email", "doubt_as_of", "fetch_at").get()
    assert (before, after) == (("later", 1099), ("answer", None, None))


def test_what_was_said_before_a_whole_reading_that_named_no_such_object_is_in_doubt() -> None:
    """It may have been deleted since, and the news of that lost: its items too are asked for."""
    for kind in ("subscription", "subscription_item"):
        Sync.objects.create(kind=kind, complete_as_of=1100)
    put(subscription(items={"data": [item(1)], "has_more": False}), as_of=1099)
    found = [
        (row.doubt_as_of, row.fetch_at is not None)
        for row in (Subscription.objects.get(), SubscriptionItem.objects.get())
    ]
    assert found == [(1099, True), (1099, True)]


def test_what_was_said_after_a_whole_reading_is_not_in_doubt() -> None:
    """Nor is it in the second of its first page."""
    Sync.objects.create(kind="customer", complete_as_of=1000)
    put(customer(), as_of=1000)
    assert Customer.objects.values_list("doubt_as_of", "fetch_at").get() == (None, None)


def test_what_was_said_before_a_reading_that_is_under_way_is_in_doubt() -> None:
    """Or that was of new objects only: it may have found the row as it is, and not written it."""
    put(customer())
    Sync.objects.create(kind="customer", as_of=1100)
    put(customer(email="late"), as_of=1099)
    assert Customer.objects.values_list("email", "doubt_as_of").get() == ("late", 1099)


def test_a_deletion_that_was_told_before_a_whole_reading_is_final() -> None:
    """Whatever was known of the object: nothing more is to be learnt."""
    Sync.objects.create(kind="customer", complete_as_of=1100)
    put({"id": "cus_1", "object": "customer", "deleted": True}, as_of=1000, rank=3)
    assert Customer.all_objects.values_list("doubt_as_of", "fetch_at").get() == (None, None)


def test_an_object_whose_list_is_cut_off_is_due_to_be_fetched() -> None:
    """The rest is not asked for here."""
    put(subscription(items={"data": [item(1)], "has_more": True, "url": "/v1/subscription_items"}))
    assert Subscription.objects.get().fetch_at is not None


def test_fetch_later_marks_rows_and_makes_placeholders() -> None:
    """What Stripe has said to be deleted stays as it is."""
    put(customer(), {"id": "cus_2", "object": "customer", "deleted": True})
    marked = mirror.fetch_later(Customer, ["cus_1", "cus_2", "cus_3"])
    due = Customer.all_objects.filter(fetch_at__isnull=False).order_by("pk")
    assert (marked, list(due.values_list("pk", "email"))) == (
        {"cus_1", "cus_3"},
        [("cus_1", "a@b.c"), ("cus_3", "")],
    )


def test_what_was_said_before_a_change_does_not_settle_the_doubt_about_it() -> None:
    """A hint at 1010; news from before it arrives late; the answer from after it settles it."""
    put(customer())
    mirror.fetch_later(Customer, ["cus_1"], since=1010)
    put(customer(email="late"), as_of=1005)
    put(customer(email="same second"), as_of=1010)
    before = Customer.objects.values_list("email", "doubt_as_of").get()
    is_due = Customer.objects.get().fetch_at is not None
    put(customer(email="answer"), as_of=1011, rank=0)
    after = Customer.objects.values_list("email", "doubt_as_of", "fetch_at").get()
    assert (before, is_due, after) == (("same second", 1010), True, ("answer", None, None))


def test_a_row_with_news_from_after_the_change_is_not_fetched_for_it() -> None:
    """It holds the change already."""
    put(customer(), as_of=1011)
    assert (
        mirror.fetch_later(Customer, ["cus_1"], since=1010),
        Customer.objects.get().fetch_at,
    ) == (set(), None)


def test_a_tie_of_earlier_versions_does_not_settle_a_later_change() -> None:
    """A hint at 1010; two versions of 1000 arrive late, then news from the very second."""
    mirror.fetch_later(Customer, ["cus_1"], since=1010)
    put(customer())
    put(customer(email="other"))
    put(customer(email="same second"), as_of=1010)
    row = Customer.objects.get()
    assert (row.doubt_as_of, row.fetch_at is not None) == (1010, True)


def test_of_two_changes_the_later_is_waited_for() -> None:
    """Whichever is told first."""
    put(customer())
    mirror.fetch_later(Customer, ["cus_1"], since=1020)
    mirror.fetch_later(Customer, ["cus_1"], since=1010)
    mirror.fetch_later(Customer, ["cus_1"])
    assert Customer.objects.get().doubt_as_of == 1020


def test_nothing_more_is_asked_about_what_stripe_has_said_to_be_deleted() -> None:
    """Whatever was in doubt about it, and whenever."""
    put(customer())
    mirror.fetch_later(Customer, ["cus_1"], since=1010)
    put({"id": "cus_1", "object": "customer", "deleted": True}, as_of=1005, rank=3)
    row = Customer.all_objects.get()
    assert (row.deleted, row.fetch_at, row.doubt_as_of) == (True, None, None)
