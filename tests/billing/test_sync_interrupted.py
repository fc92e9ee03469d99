"""A reading of a list that is interrupted, wherever it is, goes on; nothing is read by two."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from comp_billing.exceptions import ListBusy, StripeError, StripeRefused
from comp_billing.models import Product, Sync, SyncPage
from comp_billing.sync import bulk
from tests.billing.builders import at_once, several_writers
from tests.billing.lists import before_page, calls, dying, here, lists, products, sync, there
from tests.billing.standin_rig import Account

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)

END = ("sync_end:begin", "sync_end:written", "sync_end:committed")


def interrupted(pages: int) -> None:
    """A reading of products that ended after so many pages."""
    bulk.read(Product, pages=pages)


@dataclass
class Crowd:
    """Readers of one list; who is let in stays until the others were turned away."""

    others: int
    readers: int = 0
    turned_away: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> None:
        try:
            with bulk.held("product", using="default"):
                self.left.wait(20)
                self.readers += 1
        except ListBusy:
            self._leave()

    def _leave(self) -> None:
        with self.lock:
            self.turned_away += 1
            if self.turned_away == self.others:
                self.left.set()


# -- wherever it dies


# Where it dies, after how many pages; the calls of both runs and the one for what is missing; and
# whether nothing was kept, so that the reading begins when it is run again.
DEATHS = [
    ("sync_page:begin", 0, 5, True),
    ("sync_page:begin", 1, 5, False),
    ("sync_page:begin", 2, 5, False),
    ("sync_page:written", 0, 5, True),
    ("sync_page:written", 1, 5, False),
    ("sync_page:written", 2, 5, False),
    ("sync_page:committed", 0, 4, False),
    ("sync_page:committed", 1, 4, False),
    # That there are no more is asked once more.
    ("sync_page:committed", 2, 5, False),
]


@pytest.mark.parametrize(("point", "passes", "made", "begins_late"), DEATHS)
def test_a_reading_that_dies_with_a_page_goes_on(
    lists: Account, point: str, passes: int, made: int, begins_late: bool
) -> None:
    """Before, within and after the transaction of each of three pages: a page that was not kept is
    read again, and no other."""
    gone, *ids = products(lists, 9)
    sync("product")
    lists.v1.products.delete(gone)
    lists.v1.products.update(ids[0], {"name": "Renamed"})
    lists.world.advance(seconds=60)
    start = lists.world.now()
    calls(lists)
    with dying(point, passes=passes):
        sync("product")
    lists.world.advance(seconds=1000)
    sync("product")
    row = Sync.objects.get()
    known_late = (row.complete_as_of or 0) - start >= 1000
    assert (calls(lists), known_late, here(Product) == there(lists, Product)) == (
        made,
        begins_late,
        True,
    )
    pages = SyncPage.objects.filter(number__gt=0).count()
    assert (row.listed, row.written, pages) == (8, 1, 0)


@pytest.mark.parametrize("point", END)
def test_a_reading_that_dies_at_its_end_ends_the_next_time(lists: Account, point: str) -> None:
    """What is missing is marked before all counts as known."""
    gone, *_ = products(lists, 4)
    sync("product")
    lists.v1.products.delete(gone)
    lists.world.advance(seconds=60)
    with dying(point):
        sync("product")
    lists.world.advance(seconds=60)
    sync("product")
    row = Sync.objects.get()
    pages = SyncPage.objects.filter(number__gt=0).count()
    assert (here(Product), row.lease_token, pages, row.listed) == (
        there(lists, Product),
        None,
        0,
        3,
    )


def test_an_interrupted_reading_says_that_it_goes_on(lists: Account) -> None:
    """And counts what it has read before."""
    products(lists, 8)
    interrupted(2)
    tally = bulk.read(Product)
    assert (tally.is_resumed, tally.listed, tally.listed_now, tally.pages, tally.is_finished) == (
        True,
        8,
        2,
        1,
        True,
    )


@pytest.mark.parametrize(
    "options",
    [{"anew": True}, {"created_gte": 5}, {"rewrite": True}],
    ids=lambda options: next(iter(options)),
)
def test_another_reading_begins_anew(lists: Account, options: dict[str, Any]) -> None:
    """Told to, of other objects, or writing others."""
    products(lists, 8)
    interrupted(2)
    tally = bulk.read(Product, **options)
    assert (tally.is_resumed, tally.listed, tally.pages) == (False, 8, 3)


def test_what_an_earlier_reading_named_is_no_longer_believed(lists: Account) -> None:
    """It may have gone since."""
    *_, newest = products(lists, 8)
    interrupted(2)
    lists.v1.products.delete(newest)
    lists.world.advance(seconds=60)
    tally = bulk.read(Product, anew=True)
    assert (tally.listed, tally.missing) == (7, 1)


def test_what_was_begun_too_long_ago_begins_anew(lists: Account) -> None:
    """Its first pages are as old as that, and events since then may be lost."""
    products(lists, 8)
    interrupted(2)
    Sync.objects.update(started_at=timezone.now() - timedelta(hours=25))
    tally = bulk.read(Product)
    assert (tally.is_resumed, tally.pages) == (False, 3)


def test_a_rewriting_reading_goes_on_rewriting(lists: Account) -> None:
    """Whether it is asked for again or not."""
    products(lists, 8)
    sync("product")
    lists.world.advance(seconds=60)
    bulk.read(Product, rewrite=True, pages=2)
    tally = bulk.read(Product)
    assert (tally.is_resumed, tally.written) == (True, 8)


# -- the object after which to go on is gone


def test_when_the_cursor_is_gone_its_page_is_read_again(lists: Account) -> None:
    """Stripe does not go on after what it does not know."""
    ids = products(lists, 9)
    interrupted(2)
    lists.v1.products.delete(ids[3])
    calls(lists)
    tally = bulk.read(Product)
    assert (tally.listed, calls(lists), Product.objects.filter(fetch_at=None).count()) == (8, 3, 8)


def test_when_every_cursor_is_gone_the_reading_starts_over(lists: Account) -> None:
    """With a beginning of its own."""
    ids = products(lists, 9)
    interrupted(2)
    lists.v1.products.delete(ids[3])
    lists.v1.products.delete(ids[6])
    lists.world.advance(seconds=1000)
    now = lists.world.now()
    calls(lists)
    tally = bulk.read(Product)
    row = Sync.objects.get()
    assert (tally.listed, calls(lists), (row.complete_as_of or 0) - now in (0, 1)) == (7, 5, True)


def test_another_refusal_is_an_error(lists: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as of an object that has gone between the page and the rest of its list."""
    products(lists, 9)
    interrupted(1)
    refusal = StripeRefused("No such thing.", code="resource_missing", param="id")
    monkeypatch.setattr(bulk, "read_page", Mock(side_effect=refusal))
    with pytest.raises(StripeRefused):
        bulk.read(Product)
    row = Sync.objects.get()
    assert (row.error, row.listed, SyncPage.objects.count()) == ("No such thing.", 3, 1)


# -- one reader at a time


def test_a_list_that_is_being_read_is_left_alone(lists: Account) -> None:
    """The second reader makes no call."""
    products(lists, 4)
    lease = {"lease_token": uuid4(), "lease_expires_at": timezone.now() + timedelta(seconds=60)}
    Sync.objects.create(kind="product", **lease)
    calls(lists)
    with pytest.raises(CommandError) as said:
        sync("product")
    assert (str(said.value), calls(lists)) == (f"Not read: product. {ListBusy.__doc__}", 0)


@several_writers
def test_of_several_that_begin_at_once_one_reads(lists: Account) -> None:
    """Whoever the database lets in; the others hear of it at once."""
    crowd = Crowd(others=5)
    at_once(crowd.read, times=6)
    assert (crowd.readers, crowd.turned_away, Sync.objects.get().lease_token) == (1, 5, None)


def test_a_dead_reader_is_succeeded(lists: Account) -> None:
    """When its lease has run out, from where it was."""
    products(lists, 8)
    interrupted(2)
    lease = {"lease_token": uuid4(), "lease_expires_at": timezone.now() - timedelta(seconds=1)}
    Sync.objects.update(**lease)
    tally = bulk.read(Product)
    assert (tally.is_resumed, tally.pages, Sync.objects.get().lease_token) == (True, 1, None)


def test_a_reader_that_was_succeeded_writes_nothing_more(lists: Account) -> None:
    """Its page, rows included, is undone; the lease of its successor stays."""
    products(lists, 8)
    successor = uuid4()

    def succeed() -> None:
        Sync.objects.update(lease_token=successor)

    with before_page(2, succeed), pytest.raises(ListBusy):
        bulk.read(Product)
    row = Sync.objects.get()
    assert (Product.objects.count(), SyncPage.objects.count(), row.lease_token) == (3, 1, successor)


def test_a_page_extends_the_lease(lists: Account) -> None:
    """A list of any length can be read."""
    products(lists, 8)
    nearly = timezone.now() + timedelta(seconds=1)
    seen: list[Any] = []
    with before_page(2, lambda: Sync.objects.update(lease_expires_at=nearly)):
        bulk.read(Product, told=lambda tally: seen.append(Sync.objects.get().lease_expires_at))
    assert [moment > nearly + timedelta(seconds=60) for moment in seen] == [True, True, True]


# -- errors


@pytest.mark.parametrize("kind", ["401", "403", "429", "500_before", "refuse"])
def test_an_error_is_kept_in_words(lists: Account, kind: str) -> None:
    """No key in them; the next run goes on."""
    products(lists, 8)
    lists.world.faults.add(kind, path="/v1/products", times=99, skip=1)
    with pytest.raises(StripeError):
        bulk.read(Product)
    failed = Sync.objects.get()
    assert (bool(failed.error), "_test_" in failed.error, failed.listed) == (True, False, 3)
    assert (failed.lease_token, failed.finished_at, failed.complete_as_of) == (None, None, None)


def test_an_error_is_forgotten_with_the_next_page(lists: Account) -> None:
    """The doctor and the admin show those that still matter."""
    products(lists, 8)
    interrupted(1)
    Sync.objects.update(error="Stripe could not be reached or failed.")
    bulk.read(Product, pages=1)
    assert Sync.objects.values_list("error", "listed").get() == ("", 6)
