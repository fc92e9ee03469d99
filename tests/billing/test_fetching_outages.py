"""What is fetched while Stripe fails for some, and what waits: nothing holds up everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from comp_billing import mirror
from comp_billing.exceptions import StripeMisconfigured
from comp_billing.models import Customer, Invoice, MirroredAccount, Product, Subscription, Sync
from comp_billing.sync import accounts, fetching, requests
from tests.billing.lists import calls, lists, products, sync
from tests.billing.standin_rig import Account
from tests.billing.stripe_objects import VERSION
from tests.billing.test_fetching import everything_due
from tests.billing.test_sync_accounts import wrong_key

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)


# -- Stripe fails


@pytest.mark.parametrize("kind", ["500_before", "refuse"])
def test_what_was_asked_for_while_stripe_failed_waits_longer_each_time(
    lists: Account, kind: str
) -> None:
    """Stripe may fail because of it; but no longer than an hour, as it may not."""
    mirror.fetch_later(Customer, ["cus_0"])
    lists.world.faults.add(kind, path="/v1/customers/*", times=100)
    waits = []
    for _ in range(6):
        everything_due()
        fetching.fetch_due()
        waits.append(Customer.all_objects.get().fetch_at - timezone.now())
    assert [round(wait.total_seconds() / 60) for wait in waits] == [5, 10, 20, 40, 60, 60]


def test_what_was_not_asked_for_while_stripe_failed_is_asked_for_soon(lists: Account) -> None:
    """It is none of its attempts."""
    mirror.fetch_later(Customer, ["cus_0", "cus_1", "cus_2"])
    lists.world.faults.add("500_before", path="/v1/customers/*", times=100)
    fetching.fetch_due()
    soon = timezone.now() + timedelta(minutes=1)
    rows = Customer.all_objects.filter(fetch_at__lt=soon).values_list("fetch_attempts", flat=True)
    assert (list(rows), Customer.all_objects.count()) == ([0, 0], 3)


def test_a_kind_for_which_stripe_fails_does_not_hold_up_the_others(lists: Account) -> None:
    """They have their turn in the same round."""
    mirror.fetch_later(Subscription, ["sub_0", "sub_1"])
    mirror.fetch_later(Invoice, ["in_0"])
    lists.world.faults.add("500_before", path="/v1/subscriptions/*", times=100)
    settled = fetching.fetch_due()
    assert (settled, Invoice.all_objects.get().fetch_at) == (1, None)


def test_a_round_ends_when_stripe_fails_for_two_kinds(lists: Account) -> None:
    """It is away: each kind would wait for it in vain."""
    for model in (Product, Customer, Subscription, Invoice):
        mirror.fetch_later(model, ["x_0"])
    lists.world.faults.add("500_before", times=100)
    fetching.fetch_due()
    attempts = [
        model.all_objects.get().fetch_attempts
        for model in (Product, Customer, Subscription, Invoice)
    ]
    assert attempts == [1, 1, 0, 0]


# -- the key is refused


@pytest.fixture
def many(lists: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """So much is due that a list would be read instead."""
    monkeypatch.setattr(fetching, "MANY", 4)
    products(lists, 1)
    sync("product")
    mirror.fetch_later(Customer, [f"cus_{number}" for number in range(20)])


def rounds(number: int) -> list[int]:
    """What the worker settles and reads in so many rounds."""
    return [fetching.fetch_due(limit=5) + requests.read_requested() for _ in range(number)]


def test_a_refused_key_asks_for_no_list(
    many: None, lists: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """One call and one line in the log, for all that is due."""
    with wrong_key() as other:
        done = rounds(5)
        asked = dict(other.world.calls)
    said = [record.message.partition(":")[0] for record in caplog.records]
    wanted = Sync.objects.exclude(requested_at=None).count()
    assert (done, asked, said, wanted) == (
        [0] * 5,
        {"GET /v1/account": 1},
        ["Fetching stopped"],
        0,
    )


def test_a_database_that_knows_no_account_is_not_asked_about_in_every_round(
    many: None, lists: Account
) -> None:
    """That Stripe knows nothing of what is here is kept for a while."""
    MirroredAccount.objects.all().delete()
    with wrong_key() as other:
        rounds(3)
        with pytest.raises(StripeMisconfigured):
            accounts.check()
        asked = calls(other)
    assert asked == 2


def test_a_corrected_key_is_used_at_once(many: None, lists: Account) -> None:
    """For what is due by then; that is, what the refused one has not put off."""
    with wrong_key():
        rounds(1)
    assert fetching.fetch_due(limit=5) == 5


# -- two at a time


@pytest.fixture
def slow_rows(transactional_db: None) -> Iterator[list[str]]:
    """Ids of customers whose rows stand in the table in the opposite order, are claimed, and take
    a moment each to write."""
    ids = [f"cus_{number:03}" for number in range(60)]
    for key in reversed(ids):
        Customer.all_objects.create(stripe_id=key, as_of=5, fetch_at=LEASE, fetch_attempts=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION slow() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(0.01);"
            " RETURN new; END $$ LANGUAGE plpgsql"
        )
        cursor.execute(
            "CREATE TRIGGER slow BEFORE UPDATE ON comp_billing_customer"
            " FOR EACH ROW EXECUTE FUNCTION slow()"
        )
    yield ids
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER slow ON comp_billing_customer")
        cursor.execute("DROP FUNCTION slow()")


LEASE = timezone.now() + timedelta(minutes=10)


def give_back(ids: list[str], how: str) -> None:
    options: dict[str, Any] = {"pause": timedelta(minutes=5)} if how == "_give_back" else {}
    getattr(fetching, how)(Customer, ids, lease=LEASE, using="default", **options)


def at_once(*actions: Any) -> list[str]:
    """Names of the errors that they end with."""
    failed: list[str] = []

    def run(action: Any) -> None:
        try:
            action()
        except Exception as exc:
            failed.append(type(exc).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("how", ["_give_back", "_postpone"])
def test_rows_are_given_back_while_a_page_writes_them(slow_rows: list[str], how: str) -> None:
    """Both lock them in one order: neither is a deadlock's victim."""
    page = [{"id": key, "object": "customer", "name": "x"} for key in slow_rows]

    def write() -> None:
        mirror.upsert(page, as_of=50, rank=0, api_version=VERSION, quiet=True)

    assert at_once(lambda: give_back(slow_rows, how), write) == []
