"""Lists that are asked for: the worker reads some pages at a time, and says what went wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone

from comp_billing import mirror
from comp_billing.models import Customer, Product, Sync
from comp_billing.sync import bulk, requests
from comp_core.maintenance import registered_loops
from tests.billing.lists import before_page, calls, dying, here, lists, products, sync, there
from tests.billing.standin_rig import Account

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)


def waiting() -> list[str]:
    """The kinds that are still to be read."""
    return list(Sync.objects.filter(requested_at__isnull=False).values_list("pk", flat=True))


def test_a_requested_list_is_read_by_the_worker(lists: Account) -> None:
    """Nothing else is, and asking makes no call."""
    products(lists, 8)
    lists.v1.customers.create({})
    calls(lists)
    asked = requests.request(["product"])
    before, read = calls(lists), requests.read_requested()
    assert (asked, before, read, calls(lists), waiting()) == (["product"], 0, 3, 3, [])
    assert (here(Product), Customer.objects.count()) == (there(lists, Product), 0)


def test_what_cannot_be_listed_is_not_asked_for(lists: Account) -> None:
    """Items come with their subscription; of other kinds nothing is known."""
    asked = requests.request(["subscription_item", "unheard_of", "price", "product"])
    assert (asked, waiting()) == (["product", "price"], ["price", "product"])


def test_a_round_reads_some_pages_and_the_next_goes_on(lists: Account) -> None:
    """So that a worker can end; two rounds for three pages, and one that finds nothing."""
    products(lists, 8)
    requests.request(["product"])
    calls(lists)
    read = [requests.read_requested(pages=2) for _ in range(3)]
    assert (read, calls(lists), here(Product)) == ([2, 1, 0], 3, there(lists, Product))


def test_a_round_divides_its_pages_among_the_kinds(lists: Account) -> None:
    """In the order in which tables are written."""
    products(lists, 4)
    for _ in range(4):
        lists.v1.customers.create({})
    requests.request(["customer", "product"])
    read = [requests.read_requested(pages=3) for _ in range(2)]
    assert (read, Product.objects.count(), Customer.objects.count()) == ([3, 1], 4, 4)


def test_a_worker_that_dies_is_succeeded_by_the_next_round(lists: Account) -> None:
    """The request stands until the list was read."""
    products(lists, 8)
    requests.request(["product"])
    with dying("sync_page:written", passes=1):
        bulk.read(Product)
    stood = waiting()
    requests.read_requested()
    assert (stood, waiting(), Product.objects.count()) == (["product"], [], 8)


def test_a_request_during_a_reading_is_met_by_the_next_one(lists: Account) -> None:
    """The first pages may be what it is about."""
    products(lists, 8)
    with before_page(2, lambda: requests.request(["product"])):
        sync("product")
    stood, read = waiting(), requests.read_requested()
    assert (stood, read, waiting()) == (["product"], 3, [])


def test_asking_again_while_the_worker_reads_is_another_request(lists: Account) -> None:
    """Its first pages were read before."""
    products(lists, 8)
    requests.request(["product"])
    requests.read_requested(pages=2)
    requests.request(["product"])
    rounds = [requests.read_requested() for _ in range(3)]
    assert (rounds, waiting()) == ([1, 3, 0], [])


def test_asking_twice_before_it_begins_is_asking_once(lists: Account) -> None:
    """However impatient; the doctor tells how old the first request is."""
    requests.request(["product"])
    first = Sync.objects.get().requested_at
    requests.request(["product"])
    assert Sync.objects.get().requested_at == first


def test_a_reading_of_newer_objects_only_meets_no_request(lists: Account) -> None:
    """The whole list was asked for."""
    products(lists, 4)
    requests.request(["product"])
    sync("product", since=5)
    stood = waiting()
    requests.read_requested()
    assert (stood, waiting()) == (["product"], [])


def test_a_list_that_somebody_reads_is_left_to_them(lists: Account) -> None:
    """The other kinds have their turn."""
    products(lists, 4)
    lists.v1.customers.create({})
    requests.request(["product", "customer"])
    lease = {"lease_token": uuid4(), "lease_expires_at": timezone.now() + timedelta(seconds=60)}
    Sync.objects.filter(pk="product").update(**lease)
    read = requests.read_requested()
    assert (read, waiting(), Customer.objects.count()) == (1, ["product"], 1)


@pytest.mark.parametrize("kind", ["429", "500_before", "refuse"])
def test_while_stripe_is_away_the_request_stands(lists: Account, kind: str) -> None:
    """No other list is tried in this round; the row says why."""
    products(lists, 8)
    requests.request(["product", "customer"])
    lists.world.faults.add(kind, times=99, skip=1)
    read = requests.read_requested()
    failed = list(Sync.objects.exclude(error="").values_list("pk", flat=True))
    lists.world.faults.clear()
    requests.read_requested()
    assert (read, failed, waiting()) == (1, ["product"], [])
    assert (Sync.objects.get(pk="product").error, Product.objects.count()) == ("", 8)


def test_what_stripe_refuses_is_not_asked_for_again(lists: Account) -> None:
    """A key without a permission needs a person; the other lists are read."""
    lists.v1.customers.create({})
    requests.request(["product", "customer"])
    lists.world.faults.add("403", path="/v1/products", times=99)
    calls(lists)
    requests.read_requested()
    row = Sync.objects.get(pk="product")
    assert (row.error.partition(":")[0], waiting(), calls(lists), Customer.objects.count()) == (
        "Stripe does not allow this key to use /v1/products (403)",
        [],
        2,
        1,
    )


def test_a_kind_that_cannot_be_read_does_not_hold_up_the_others(
    lists: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a host's, whose columns raise; the value that did it is not told."""
    products(lists, 1)
    lists.v1.customers.create({})
    monkeypatch.setattr(Product, "columns", Mock(side_effect=KeyError("ada@example.org")))
    requests.request(["product", "customer"])
    requests.read_requested()
    assert (Sync.objects.get(pk="product").error, waiting(), Customer.objects.count()) == (
        "Unexpected KeyError; see the log.",
        [],
        1,
    )


def test_a_deadlock_does_not_end_a_request(lists: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row says so, and the next round reads the list."""
    products(lists, 1)
    requests.request(["product"])
    with monkeypatch.context() as patch:
        patch.setattr(mirror, "upsert", Mock(side_effect=OperationalError("deadlock detected")))
        requests.read_requested()
    stood, error = waiting(), Sync.objects.get().error
    requests.read_requested()
    assert (stood, error, waiting(), Sync.objects.get().error, Product.objects.count()) == (
        ["product"],
        "The database was away or busy; see the log.",
        [],
        "",
        1,
    )


def test_a_site_without_a_key_asks_nothing(settings: Any) -> None:
    """Such as one that has only just been installed."""
    settings.COMP_BILLING = {}
    requests.request(["product"])
    assert (requests.read_requested(), waiting()) == (0, ["product"])


def test_the_worker_has_a_loop_for_it() -> None:
    """One of all workers at a time."""
    (loop,) = [loop for loop in registered_loops() if loop.name == "comp_billing.lists"]
    assert (loop.function, loop.pause(), loop.everywhere) == (requests.read_requested, 5, False)
