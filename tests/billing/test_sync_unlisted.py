"""What Stripe's lists leave out: inactive prices unless asked for, and prices made inline."""

from __future__ import annotations

from typing import Any

import pytest

from comp_billing import stripe_api
from comp_billing.models import Plan, Sync
from comp_billing.sync import bulk, reading
from tests.billing.lists import calls, divergent, dying, here, lists, sync, there
from tests.billing.standin_rig import Account
from tests.billing.test_sync_lists import licences

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hidden(lists: Account, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Ids that the list of prices does not name; nor those of inactive ones, unless it is asked for
    them. This is what Stripe documents."""
    ids: set[str] = set()
    ask = reading.ask

    def documented(path: str, params: Any = None, **more: Any) -> stripe_api.Answer:
        page = ask(path, params, **more)
        if path == "/v1/prices":
            active = params.get("active", True)
            shown = [price for price in page.data["data"] if price["active"] is active]
            page.data["data"] = [price for price in shown if price["id"] not in ids]
        return page

    monkeypatch.setattr(reading, "ask", documented)
    return ids


def read_again(account: Account) -> int:
    """How many calls it takes to read the prices a minute later, and to fetch what is in doubt."""
    account.world.advance(seconds=60)
    calls(account)
    sync("price")
    return calls(account)


# -- several lists of one kind


def test_inactive_prices_are_read_too(lists: Account, hidden: set[str]) -> None:
    """From a list of their own; none of them is in doubt."""
    first, second, *_ = licences(lists, 5)
    lists.v1.prices.update(first, {"active": False})
    lists.v1.prices.update(second, {"active": False})
    calls(lists)
    sync("price", no_fetch=True)
    row = Sync.objects.get(pk="price")
    assert (here(Plan), row.listed, calls(lists)) == (there(lists, Plan), 5, 2)


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_a_reading_of_two_lists_goes_on_in_the_one_in_which_it_was(
    lists: Account, hidden: set[str], pages: int
) -> None:
    """Of two pages each."""
    for price in licences(lists, 8)[::2]:
        lists.v1.prices.update(price, {"active": False})
    bulk.read(Plan, pages=pages)
    calls(lists)
    tally = bulk.read(Plan)
    assert (tally.listed, calls(lists), here(Plan)) == (8, 4 - pages, there(lists, Plan))


def test_a_second_list_is_read_again_when_its_cursor_is_gone(
    lists: Account, hidden: set[str]
) -> None:
    """From its own beginning."""
    ids = licences(lists, 8)
    for price in ids[4:]:
        lists.v1.prices.update(price, {"active": False})
    bulk.read(Plan, pages=3)
    lists.world.store.remove("price", ids[5])
    lists.world.advance(seconds=60)
    sync("price")
    assert (divergent(lists), Sync.objects.get(pk="price").listed) == ([], 7)


# -- what no list names


def test_what_exists_though_no_list_names_it_is_asked_for_once(
    lists: Account, hidden: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at every reading."""
    monkeypatch.setattr(stripe_api, "PAGE_SIZE", 100)
    _, *inline = licences(lists, 12)
    sync()
    hidden.update(inline)
    assert [read_again(lists) for _ in range(3)] == [2 + 11, 2, 2]


def unheard_change(account: Account, hidden: set[str]) -> str:
    """Id of a price that no list names, which was asked for; it changes, and the event is lost."""
    price, *_ = licences(account, 2)
    sync("price")
    hidden.add(price)
    read_again(account)
    account.v1.prices.update(price, {"active": False})
    return price


@pytest.mark.parametrize(("days", "called", "untrue"), [(6, [2, 2], ["price"]), (8, [3, 2], [])])
def test_what_no_list_names_is_asked_for_again_after_a_week(
    lists: Account, hidden: set[str], days: int, called: list[int], untrue: list[str]
) -> None:
    """Of Stripe's last word on it: what became of it may have been missed."""
    unheard_change(lists, hidden)
    lists.world.advance(seconds=days * 86400)
    assert ([read_again(lists) for _ in range(2)], divergent(lists)) == (called, untrue)


@pytest.mark.parametrize("option", ["restart", "rewrite"])
def test_what_no_list_names_is_asked_for_by_who_doubts_what_is_here(
    lists: Account, hidden: set[str], option: str
) -> None:
    """Though the reading is interrupted, and gone on with by somebody else."""
    unheard_change(lists, hidden)
    lists.world.advance(seconds=60)
    with dying("sync_page:committed"):
        sync("price", **{option: True})
    read_again(lists)
    assert divergent(lists) == []


def test_a_reading_in_a_list_that_is_there_no_more_begins_anew(
    lists: Account, hidden: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as after an upgrade."""
    for price in licences(lists, 8)[::2]:
        lists.v1.prices.update(price, {"active": False})
    bulk.read(Plan, pages=3)
    monkeypatch.setattr(Plan, "list_params", Plan.list_params[:1])
    tally = bulk.read(Plan)
    assert (tally.is_resumed, tally.is_finished, tally.listed) == (False, True, 4)


def test_what_was_asked_for_once_and_is_listed_again_is_asked_for_anew(
    lists: Account, hidden: set[str]
) -> None:
    """When a list misses it the next time."""
    price, *_ = licences(lists, 2)
    sync()
    hidden.add(price)
    once = read_again(lists)
    hidden.clear()
    listed = read_again(lists)
    lists.world.store.remove("price", price)
    assert (once, listed, read_again(lists), divergent(lists)) == (3, 2, 3, [])


def test_what_is_missing_is_asked_for_though_the_reading_died_at_its_end(
    lists: Account, hidden: set[str]
) -> None:
    """What was asked for is kept with the end of the reading."""
    price, *_ = licences(lists, 2)
    sync()
    lists.world.store.remove("price", price)
    lists.world.advance(seconds=60)
    with dying("sync_end:written"):
        bulk.read(Plan)
    sync("price")
    assert divergent(lists) == []
