"""Whole lists: a call and a transaction for each page, written quietly, nothing overlooked."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management.base import CommandError

from comp_billing import mirror, stripe_api
from comp_billing.models import (
    Customer,
    Meter,
    Plan,
    Product,
    Subscription,
    SubscriptionItem,
    Sync,
    SyncPage,
)
from comp_billing.sync import bulk, fetching
from tests.billing.lists import (
    before_page,
    calls,
    divergent,
    here,
    lists,
    products,
    rows_written,
    statements,
    sync,
    there,
)
from tests.billing.standin_rig import Account, metered_price, open_shop
from tests.billing.stripe_objects import VERSION

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)


def licences(account: Account, count: int) -> list[str]:
    """Ids of new prices of one product."""
    product = account.v1.products.create({"name": "Seats"}).id
    fields = {"product": product, "currency": "usd", "recurring": {"interval": "month"}}
    return [account.v1.prices.create({**fields, "unit_amount": 100 + n}).id for n in range(count)]


def subscribed(account: Account, prices: list[str]) -> Any:
    """A customer's subscription to all of these."""
    customer = account.v1.customers.create({"email": "ada@example.org"})
    items = [{"price": price} for price in prices]
    return account.v1.subscriptions.create({"customer": customer.id, "items": items})


# -- what is read


def test_everything_that_stripe_has_is_here_afterwards(lists: Account) -> None:
    """A paid month, by every column of every kind, with a call for each list; prices have two."""
    shop = open_shop(lists)
    shop.use(1_500_000, "first")
    shop.grant(1)
    shop.next_month()
    calls(lists)
    sync()
    counts = {kind: len(here(model)) for kind, model in mirror.KINDS.items()}
    assert (divergent(lists), calls(lists), set(counts.values())) == ([], 10, {1})


def test_a_thousand_objects_are_ten_calls_and_forty_statements(
    lists: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each page: its rows in one or two statements, its ids, and the checkpoint."""
    monkeypatch.setattr(stripe_api, "PAGE_SIZE", 100)
    for number in range(1000):
        lists.v1.customers.create({"email": f"{number}@example.org"})
    calls(lists)
    with statements() as made:
        sync("customer", no_fetch=True)
    others = len(made.made) - made.of(Customer) - made.of(SyncPage) - made.of(Sync)
    # The other one: whose account is mirrored here.
    assert (calls(lists), Customer.objects.count(), others) == (10, 1000, 1)
    # Beside ten pages: how many are here and what is missing; where the pages go on, and that they
    # go; what becomes of the row.
    assert made.of(Customer) - 2 in range(10, 21)
    assert (made.of(SyncPage) - 10, made.of(Sync) - 10) == (3, 8)


def test_an_unchanged_account_writes_no_row(lists: Account) -> None:
    """Counted by the database itself."""
    shop = open_shop(lists)
    shop.use(1_500_000, "first")
    shop.next_month()
    with rows_written() as first:
        sync()
    lists.world.advance(seconds=60)
    with rows_written() as again:
        sync()
    assert (len(first) >= 9, again) == (True, [])


def test_one_change_writes_one_row(lists: Account) -> None:
    """Of eight products."""
    ids = products(lists, 8)
    sync("product")
    lists.world.advance(seconds=60)
    lists.v1.products.update(ids[4], {"name": "Renamed"})
    with rows_written() as written:
        sync("product")
    assert (written, Product.objects.get(pk=ids[4]).name) == (["comp_billing_product"], "Renamed")


def test_rows_are_stamped_by_the_date_of_their_page(lists: Account) -> None:
    """Stripe's clock, not ours; what is told of an earlier moment is no news."""
    lists.world.advance(seconds=100_000)
    products(lists, 4)
    start = lists.world.now()
    with before_page(2, lambda: lists.world.advance(seconds=1000)):
        sync("product")
    stamps = sorted(row.as_of - start for row in Product.objects.all())
    assert [stamp // 1000 for stamp in stamps] == [0, 0, 0, 1] or stamps == [1000, 0, 0, 0]


def test_rewriting_writes_unchanged_rows_too(lists: Account) -> None:
    """Such as after an upgrade that added a column."""
    products(lists, 4)
    sync("product")
    Product.all_objects.update(name="")
    lists.world.advance(seconds=60)
    sync("product")
    quiet = set(Product.objects.values_list("name", flat=True))
    sync("product", rewrite=True)
    assert (quiet, here(Product)) == ({""}, there(lists, Product))
    assert "" not in set(Product.objects.values_list("name", flat=True))


def test_a_host_s_kinds_are_read_after_ours() -> None:
    """Whatever is registered, has a list and may be listed."""
    kinds = [model.kind for model in bulk.listed_kinds()]
    assert kinds == [kind for kind in mirror.KINDS if kind != "subscription_item"]


# -- lists within objects


def test_a_list_that_is_cut_off_is_read_to_its_end(lists: Account) -> None:
    """Twelve items, of which Stripe embeds ten; with pages of three that is four more calls."""
    subscribed(lists, licences(lists, 12))
    calls(lists)
    sync("subscription", no_fetch=True)
    row = Subscription.objects.get()
    assert (SubscriptionItem.objects.count(), row.data["items"]["has_more"], calls(lists)) == (
        12,
        False,
        5,
    )


def test_items_that_were_removed_are_marked(lists: Account) -> None:
    """One of twelve, without an event."""
    subscription = subscribed(lists, licences(lists, 12))
    sync()
    gone = subscription["items"].data[3].id
    lists.v1.subscription_items.delete(gone)
    lists.world.advance(seconds=60)
    sync()
    rows = SubscriptionItem.all_objects.filter(deleted=True).values_list("pk", flat=True)
    assert (list(rows), SubscriptionItem.objects.count(), divergent(lists)) == ([gone], 11, [])


# -- what is gone


def test_what_was_deleted_meanwhile_is_a_tombstone_once_it_was_asked_for(lists: Account) -> None:
    """The list marks what it does not name; each is asked for before it is believed gone."""
    kept, gone, *others = products(lists, 5)
    customer = lists.v1.customers.create({"email": "ada@example.org"}).id
    sync()
    lists.v1.products.delete(gone)
    lists.v1.customers.delete(customer)
    lists.world.advance(seconds=60)
    said = sync(no_fetch=True)
    marked = {row.pk for row in Product.objects.filter(fetch_at__isnull=False)}
    lists.world.advance(seconds=60)
    fetching.fetch_due()
    assert (marked, "The worker will fetch" in said) == ({gone}, False)
    assert (Customer.all_objects.get().deleted, set(here(Product))) == (True, {kept, *others})


def test_the_command_itself_fetches_what_is_in_doubt(lists: Account) -> None:
    """So that a site without a worker is true afterwards."""
    gone, *_ = products(lists, 2)
    sync()
    lists.v1.products.delete(gone)
    lists.world.advance(seconds=60)
    said = sync()
    assert (said.splitlines()[-1], divergent(lists)) == ("Fetched one by one: 1.", [])


def test_a_placeholder_that_is_not_listed_is_asked_for(lists: Account) -> None:
    """Stripe does not know it, so it is gone."""
    mirror.ensure(Product, ["prod_unheard_of"])
    Product.all_objects.update(fetch_at=None)
    sync("product")
    row = Product.all_objects.get()
    assert (row.deleted, row.is_placeholder) == (True, False)


def test_what_was_told_after_the_beginning_needs_not_be_listed(lists: Account) -> None:
    """It was made while older pages were read, and its event was here first."""
    products(lists, 4)

    def create() -> None:
        lists.world.advance(seconds=10)
        obj = {"id": "prod_new", "object": "product", "name": "New"}
        mirror.upsert([obj], as_of=lists.world.now(), rank=1, api_version=VERSION)

    with before_page(2, create):
        sync("product", no_fetch=True)
    assert list(Product.all_objects.filter(fetch_at__isnull=False)) == []


def test_the_end_of_a_whole_reading_is_kept_by_its_start(lists: Account) -> None:
    """What Stripe said before the first page is no news; the pages' ids are forgotten."""
    products(lists, 7)
    start = lists.world.now()
    with before_page(2, lambda: lists.world.advance(seconds=1000)):
        sync("product")
    row = Sync.objects.get(pk="product")
    assert (row.complete_as_of in (start, start + 1), row.finished_at is not None) == (True, True)
    assert (row.listed, row.written, row.lease_token, SyncPage.objects.count()) == (7, 7, None, 0)


def test_a_key_of_another_account_does_not_bury_everything(lists: Account) -> None:
    """Many objects are here, and its list names none of them."""
    objects = [{"id": f"prod_{n}", "object": "product", "name": "Ours"} for n in range(20)]
    mirror.upsert(objects, as_of=5, rank=1, api_version=VERSION)
    products(lists, 4)
    with pytest.raises(CommandError) as raised:
        sync("product")
    asked_again = calls(lists)
    row = Sync.objects.get()
    assert str(raised.value).startswith(f"Reading product objects ended: {row.error}")
    assert (row.error.partition(":")[0], row.complete_as_of) == (
        "Stripe lists none of the 20 product objects that are here",
        None,
    )
    assert (Product.objects.filter(fetch_at=None).count(), asked_again) == (24, 6)


def test_what_was_all_deleted_is_believed_when_told_so(lists: Account) -> None:
    """An account's test data can be deleted at Stripe."""
    ids = products(lists, 20)
    sync("product")
    for key in ids:
        lists.v1.products.delete(key)
    lists.world.advance(seconds=60)
    sync("product", accept_missing=True)
    assert (Product.objects.count(), Sync.objects.get().error) == (0, "")


# -- newer objects only


def test_since_a_moment_only_newer_objects_are_read(lists: Account) -> None:
    """Older ones are neither read nor missed, and the list counts as never read whole."""
    old, *_ = products(lists, 4)
    sync("product")
    Sync.objects.update(complete_as_of=None)
    lists.v1.products.update(old, {"name": "Renamed"})
    lists.v1.products.delete(products(lists, 1)[0])
    lists.world.advance(seconds=1000)
    moment = lists.world.now()
    newer = products(lists, 2)
    calls(lists)
    sync("product", since=moment, no_fetch=True)
    row = Sync.objects.get()
    assert (row.listed, row.complete_as_of, calls(lists)) == (2, None, 1)
    names = set(Product.objects.filter(pk__in=[old, *newer]).values_list("name", flat=True))
    assert names == {"Model 0", "Model 1"}
    assert list(Product.all_objects.filter(fetch_at__isnull=False)) == []


def test_incremental_is_since_the_last_whole_reading(lists: Account) -> None:
    """A list that cannot be asked by date is read whole all the same, and marks nothing."""
    metered_price(lists)
    lists.world.advance(seconds=10)
    sync()
    whole = Sync.objects.get(pk="product").complete_as_of
    lists.world.advance(seconds=1000)
    new = metered_price(lists, name="second").id
    sync(incremental=True)
    row = Sync.objects.get(pk="product")
    assert (row.created_gte, row.complete_as_of, row.listed) == (whole, whole, 1)
    assert (Plan.objects.filter(pk=new).count(), Meter.objects.count()) == (1, 2)


def test_incremental_reads_whole_what_was_never_read(lists: Account) -> None:
    """As on the first day."""
    products(lists, 4)
    sync("product", incremental=True)
    assert (Product.objects.count(), Sync.objects.get().complete_as_of is None) == (4, False)
