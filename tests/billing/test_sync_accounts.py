"""A database mirrors one account of Stripe's: the key of another one marks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management.base import CommandError

from comp_billing import mirror, stripe_api
from comp_billing.exceptions import (
    OtherAccount,
    StripeError,
    StripeMisconfigured,
    StripeRateLimited,
    StripeUnavailable,
)
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
    " acct_standin. Nothing was read, marked or sent."
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
    products(lists, 1)
    sync("product")
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


def may_not_tell(account: Account) -> None:
    """The key is restricted, and may not ask for its account."""
    account.world.faults.add("403", path="/v1/account", times=99)


def test_a_key_that_may_not_say_whose_it_is_passes_with_a_warning(
    stripe_standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each process, if Stripe knows what is here; one call more shows it."""
    with stripe_api.use_http_client(StandInClient(stripe_standin)):
        account = in_process(stripe_standin)
        may_not_tell(account)
        products(account, 2)
        bulk.read(Product)
        calls(account)
        accounts.check()
        accounts.check()
    assert (caplog.text.count(accounts.UNKNOWN), dict(stripe_standin.calls)) == (
        1,
        {"GET /v1/products/{id}": 1},
    )


def test_a_stranger_s_key_that_may_not_say_whose_it_is_buries_nothing(lists: Account) -> None:
    """Stripe knows nothing of what is here; it is asked for three objects, once."""
    mirror.fetch_later(Product, products(lists, 5))
    fetching.fetch_due()
    lists.world.advance(seconds=60)
    mirror.fetch_later(Product, Product.objects.values_list("pk", flat=True))
    with wrong_key() as other:
        may_not_tell(other)
        fetching.fetch_due()
        everything_due()
        fetching.fetch_due()
        asked = calls(other)
    assert (Product.objects.count(), asked) == (5, 1 + accounts.SAMPLES)


def test_a_key_that_may_not_tell_can_be_accepted(lists: Account) -> None:
    """By the process that is told so: there is no account to keep."""
    products(lists, 5)
    sync("product")
    with wrong_key() as other:
        may_not_tell(other)
        said = sync("product", accept_account=True, no_fetch=True).splitlines()[0]
    assert (said, str(MirroredAccount.objects.get())) == (accounts.UNKNOWN, "acct_standin")


# -- modes


class LiveClient(StandInClient):
    """The stand-in, which knows no live mode, as if it had one."""

    def request(
        self, method: str, url: str, headers: Any, post_data: Any = None, **more: Any
    ) -> Any:
        headers = {**headers, "Authorization": "Bearer sk_test_comp"}
        return super().request(method, url, headers, post_data, **more)


@pytest.fixture
def live(stripe_standin: StandIn) -> Iterator[Any]:
    """Changes the site's key and mode to the live ones; that mode is empty."""
    standin = StandIn()
    standin.advance(seconds=1000)

    @contextmanager
    def use(settings: Any) -> Iterator[None]:
        changed = {"SECRET_KEY": "sk_live_comp", "LIVEMODE": True}
        settings.COMP_BILLING = {**settings.COMP_BILLING, **changed}
        with stripe_api.use_http_client(LiveClient(standin)):
            yield

    yield use
    standin.close()


def test_the_other_mode_of_the_same_account_buries_nothing(
    lists: Account, settings: Any, live: Any
) -> None:
    """It has the account's id, and none of its objects."""
    ids = products(lists, 5)
    sync("product")
    lists.world.advance(seconds=60)
    mirror.fetch_later(Product, ids)
    with live(settings), pytest.raises(CommandError) as raised:
        fetching.fetch_due()
        sync("product", restart=True)
    assert (str(raised.value).partition(" Nothing")[0], Product.objects.count()) == (
        "The key is for live mode of acct_standin, but the one mirrored here is that of"
        " acct_standin in test mode.",
        5,
    )


def test_the_mode_can_be_accepted_with_the_account(
    lists: Account, settings: Any, live: Any
) -> None:
    """From then on the other one is refused."""
    products(lists, 1)
    sync("product")
    with live(settings):
        accounts.accept()
        accounts.check()
    assert MirroredAccount.objects.values_list("stripe_id", "livemode").get() == (
        "acct_standin",
        True,
    )


@pytest.mark.parametrize(
    ("key", "livemode"), [("sk_live_x", False), ("rk_live_x", False), ("sk_test_x", True)]
)
def test_a_key_of_another_mode_than_the_site_s_reads_nothing(
    lists: Account, settings: Any, key: str, livemode: bool
) -> None:
    """Nor is it asked whose it is."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "SECRET_KEY": key, "LIVEMODE": livemode}
    with pytest.raises(OtherAccount, match="one database mirrors one mode"):
        bulk.read(Product)
    assert calls(lists) == 0


# -- nothing to bury, or nobody to ask


def test_while_nothing_is_here_another_account_takes_the_place(lists: Account) -> None:
    """Such as the right one after a wrong key, of which a dry run has asked."""
    MirroredAccount.objects.all().delete()
    with wrong_key():
        gaps.repair(dry_run=True)
        first = str(MirroredAccount.objects.get())
    accounts.check()
    assert (first, str(MirroredAccount.objects.get())) == ("acct_other", "acct_standin")


@pytest.mark.parametrize("kind", ["429", "500_before"])
def test_what_is_here_tells_whose_key_it_is_when_the_account_does_not_answer(
    lists: Account, kind: str
) -> None:
    """One question that Stripe does not answer ends no reading; the next does not ask it again."""
    products(lists, 2)
    sync("product")
    with stripe_api.use_http_client(StandInClient(lists.world)):
        lists.world.faults.add(kind, path="/v1/account", times=99)
        calls(lists)
        bulk.read(Product)
        bulk.read(Product)
    assert lists.world.calls["GET /v1/products"] == 2


@pytest.mark.parametrize(
    ("kind", "error"),
    [("429", StripeRateLimited), ("500_before", StripeUnavailable), ("401", StripeMisconfigured)],
)
def test_a_stranger_s_account_that_does_not_answer_is_waited_for(
    lists: Account, kind: str, error: type[StripeError]
) -> None:
    """What is here may be another's; nor may a key be used that Stripe does not accept."""
    products(lists, 2)
    sync("product")
    with wrong_key() as other:
        other.world.faults.add(kind, path="/v1/account", times=99)
        with pytest.raises(error):
            bulk.read(Product)
    assert Product.objects.filter(fetch_at=None).count() == 2
