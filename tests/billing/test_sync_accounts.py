"""A database mirrors one account of Stripe's: the key of another one marks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management.base import CommandError

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import OtherAccount
from comp_billing.models import Customer, Event, MirroredAccount, Product
from comp_billing.sync import accounts, bulk, fetching, gaps
from comp_billing.testing import StandIn, StandInClient
from tests.billing.lists import calls, lists, products, sync
from tests.billing.standin_rig import Account, in_process
from tests.billing.stripe_objects import VERSION
from tests.billing.test_fetching import due, everything_due

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = (
    "The key is of the Stripe account acct_other, but the one mirrored here is that of"
    " acct_standin. Nothing was read or marked."
)


@contextmanager
def wrong_key() -> Iterator[Account]:
    """The site has the key of another account from now on, which knows none of what is here."""
    other = StandIn()
    other.settings["account"] = "acct_other"
    other.advance(seconds=100)
    with stripe_api.use_http_client(StandInClient(other)):
        yield in_process(other)
    other.close()


def test_the_first_reading_keeps_whose_objects_these_are(stripe_standin: StandIn) -> None:
    """With one call; the same key is not asked again in this process."""
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        bulk.read(Product)
        bulk.read(Customer)
    assert (str(MirroredAccount.objects.get()), dict(stripe_standin.calls)) == (
        "acct_standin",
        {"GET /v1/account": 1, "GET /v1/products": 1, "GET /v1/customers": 1},
    )


def test_another_account_s_lists_are_not_read(lists: Account) -> None:
    """However few objects are here, and whatever arrives meanwhile."""
    products(lists, 5)
    sync("product")
    with wrong_key() as other, pytest.raises(CommandError) as raised:
        sync("product")
    assert (
        str(raised.value).startswith(REFUSED),
        Product.objects.filter(fetch_at=None).count(),
    ) == (
        True,
        5,
    )
    assert dict(other.world.calls) == {"GET /v1/account": 1}


def test_another_account_s_key_buries_nothing_that_is_fetched(
    lists: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows wait, and no attempt of theirs is counted; the right key fetches them."""
    ids = products(lists, 5)
    sync("product")
    lists.world.advance(seconds=60)
    mirror.fetch_later(Product, ids)
    with wrong_key():
        settled = fetching.fetch_due()
    waiting = due(), Product.objects.filter(fetch_attempts=0).count()
    everything_due()
    assert (settled, waiting, fetching.fetch_due(), Product.objects.count()) == (0, (5, 5), 5, 5)
    assert f"Fetching stopped: {REFUSED}" in caplog.text


def test_another_account_s_events_are_not_taken_for_ours(lists: Account) -> None:
    """They would be about strangers."""
    with wrong_key() as other, pytest.raises(OtherAccount):
        other.v1.customers.create({"email": "stranger@example.org"})
        gaps.repair()
    assert Event.objects.count() == 0


def test_another_account_can_be_accepted(lists: Account) -> None:
    """From then on it is the one that is mirrored, and the former one is refused."""
    with wrong_key() as other:
        products(other, 2)
        said = sync("product", accept_account=True).splitlines()[0]
    with pytest.raises(OtherAccount) as raised:
        bulk.read(Product)
    assert (said, Product.objects.count(), "acct_standin, but" in str(raised.value)) == (
        "The account mirrored here is acct_other.",
        2,
        True,
    )


def test_a_database_from_before_is_adopted_if_stripe_knows_what_is_here(lists: Account) -> None:
    """One of some objects will do: others may have been deleted meanwhile."""
    MirroredAccount.objects.all().delete()
    strange = {"id": "prod_gone", "object": "product", "name": "Gone"}
    mirror.upsert([strange], as_of=5, rank=1, api_version=VERSION)
    known = {"id": lists.v1.customers.create({}).id, "object": "customer"}
    mirror.upsert([known], as_of=5, rank=1, api_version=VERSION)
    accounts.check()
    assert str(MirroredAccount.objects.get()) == "acct_standin"


def test_a_database_from_before_is_not_adopted_by_a_stranger(lists: Account) -> None:
    """Nothing that is here is known to Stripe."""
    MirroredAccount.objects.all().delete()
    products(lists, 2)
    mirror.upsert([{"id": "prod_ours", "object": "product"}], as_of=5, rank=1, api_version=VERSION)
    with pytest.raises(OtherAccount) as raised:
        accounts.check()
    assert (
        "Stripe knows none of what is here" in str(raised.value),
        MirroredAccount.objects.count(),
    ) == (
        True,
        0,
    )


def test_a_key_that_may_not_say_whose_it_is_passes_with_a_warning(
    lists: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each process; that a list names nothing of what is here is noticed still."""
    products(lists, 2)
    with wrong_key() as other:
        other.world.faults.add("403", path="/v1/account", times=99)
        sync("product", no_fetch=True)
        accounts.check()
        asked = calls(other)
    assert (caplog.text.count(accounts.UNKNOWN), asked) == (1, 2)
    assert str(MirroredAccount.objects.get()) == "acct_standin"
