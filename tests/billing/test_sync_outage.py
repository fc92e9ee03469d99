"""A month without a single event, longer than Stripe keeps them: the lists make everything true."""

from __future__ import annotations

import random
from contextlib import suppress
from unittest import mock

import pytest
import stripe
from django.utils import timezone

from comp_billing import mirror
from comp_billing.sync import fetching, requests
from comp_billing.testing.standin.expansion import public
from tests.billing.lists import lists, sync
from tests.billing.standin_rig import Account as Rig
from tests.mirror.account import Account, Json, NothingThere
from tests.mirror.actions import ACTIONS, BEGINNING
from tests.mirror.truth import divergences

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)

HOUR = 3600
DAYS = 45
# What is done half as often as other things: it leaves too little for them.
RARE = {"delete customer", "delete price", "delete product"}


def act(account: Account, chance: random.Random, *, times: int, hours: int) -> None:
    """Things happen, some of which Stripe refuses, with up to so many hours between them."""
    names = sorted([*ACTIONS, *ACTIONS.keys() - RARE])
    for name in chance.choices(names, k=times):
        attempt(account, name, chance.randrange(8), chance.randrange(8))
        account.world.advance(seconds=chance.randrange(1, hours * HOUR))


def attempt(account: Account, name: str, n: int, m: int) -> None:
    with suppress(NothingThere, stripe.StripeError):
        ACTIONS[name](account, n, m)


def untrue(account: Account) -> list[str]:
    """What is not as it is at Stripe, lists within objects to their ends."""
    seen = account.world.view

    def whole(obj: Json) -> Json:
        shown = seen(obj)
        items = account.live("subscription_item", subscription=obj["id"])
        parts = {"items": [*map(public, items)], "lines": obj.get("lines", {}).get("data")}
        return {
            name: {**value, "data": parts[name], "has_more": False} if name in parts else value
            for name, value in shown.items()
        }

    with mock.patch.object(account.world, "view", whole):
        return divergences(account, listed=True)


def settle(account: Account) -> None:
    """The worker works, as if the pauses had passed, until nothing is due."""
    for _ in range(6):
        account.world.advance(seconds=60)
        for model in mirror.KINDS.values():
            doubtful = model.all_objects.filter(fetch_at__isnull=False)
            doubtful.update(fetch_at=timezone.now())
        fetching.fetch_due(limit=1000)


@pytest.fixture
def account(lists: Rig) -> Account:
    """An account with something to sell and somebody who has bought it."""
    account = Account(lists.world)
    for step in BEGINNING:
        attempt(account, *step)
    return account


def lived(account: Account, seed: int) -> list[str]:
    """Some months go by, and are mirrored; answers what is not true then."""
    act(account, random.Random(seed), times=60, hours=48)
    sync(verbosity=0)
    settle(account)
    return untrue(account)


def outage(account: Account, seed: int) -> None:
    """More than a month of which no event arrives."""
    chance = random.Random(-seed)
    begun = account.world.now()
    act(account, chance, times=60, hours=24)
    account.world.advance(to=max(account.world.now(), begun + DAYS * 24 * HOUR))


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_whole_sync_makes_everything_true(account: Account, seed: int) -> None:
    """Every row of every kind, by column and by JSON: what changed, what came, what is gone."""
    before = lived(account, seed)
    outage(account, seed)
    missed = untrue(account)
    sync(verbosity=0)
    settle(account)
    assert (before, missed == [], untrue(account)) == ([], False, [])


def test_what_an_admin_asks_for_does_the_same(account: Account) -> None:
    """The worker reads the lists, some pages in each round."""
    lived(account, 6)
    outage(account, 6)
    requests.request(mirror.KINDS)
    rounds = [requests.read_requested(pages=2) for _ in range(60)]
    settle(account)
    assert (sum(rounds) > 8, rounds[-1], untrue(account)) == (True, 0, [])


def test_newer_objects_alone_do_not_make_it_true(account: Account) -> None:
    """Which is why events, or the whole lists, are needed beside them."""
    lived(account, 7)
    outage(account, 7)
    sync(verbosity=0, incremental=True)
    settle(account)
    partly = untrue(account)
    sync(verbosity=0)
    settle(account)
    assert (partly == [], untrue(account)) == (False, [])
