"""The worker repairs gaps by itself, every hour, and says in words why not."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from comp_billing.models import Sync
from comp_billing.sync import gaps
from comp_billing.sync.bulk import held
from comp_core.maintenance import registered_loops
from tests.billing.gaps import DAY, at_stripe, calls, days, deliver, here, told_shop
from tests.billing.standin_rig import Shop

__all__ = ["told_shop"]
pytestmark = pytest.mark.django_db(transaction=True)
NOTHING = {"GET /v1/events": 1, "GET /v2/core/events": 1}


def test_the_loop_fetches_what_could_not_be_delivered(told_shop: Shop) -> None:
    """And asks for no more than the last hours the next time."""
    deliver(told_shop)
    days(told_shop, 4)
    calls(told_shop)
    new = [gaps.repair_undelivered(), gaps.repair_undelivered()]
    made = calls(told_shop)
    days(told_shop, 1)
    assert (new, made["GET /v1/events"], gaps.repair_undelivered(), here()) == (
        [4, 0],
        3,
        1,
        at_stripe(told_shop),
    )


def test_a_round_in_which_nothing_is_missing_is_two_calls(told_shop: Shop) -> None:
    """One for each of Stripe's lists."""
    deliver(told_shop)
    calls(told_shop)
    assert (gaps.repair_undelivered(), calls(told_shop)) == (0, NOTHING)


def test_a_round_that_fails_says_so_and_the_next_begins_where_it_did(
    told_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Stripe is away, a day after the last round."""
    gaps.repair_undelivered()
    days(told_shop, 1)
    told_shop.account.world.faults.add("500_before", path="/v1/events", times=2)
    failed = gaps.repair_undelivered()
    said, error = caplog.messages[-1], Sync.objects.get(pk="event:undelivered").error
    days(told_shop, 1)
    again = gaps.repair_undelivered()
    assert (failed, said.partition(":")[0], error != "", again, here()) == (
        0,
        "Events that may have been missed were not asked for",
        True,
        2,
        at_stripe(told_shop),
    )


def test_a_worker_that_was_away_for_too_long_says_so(
    told_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """What happened before can only be had from the lists; it says so once."""
    gaps.repair_undelivered()
    told_shop.account.world.advance(seconds=40 * DAY)
    gaps.repair_undelivered()
    gaps.repair_undelivered()
    errors = [one.message for one in caplog.records if one.levelno >= logging.ERROR]
    assert errors == [gaps.TOO_LATE]


@pytest.mark.parametrize("off", [{"SECRET_KEY": ""}, {"REPAIR_EVENTS_SECONDS": 0}])
def test_a_site_without_a_key_or_that_does_not_want_it_asks_nothing(
    told_shop: Shop, settings: Any, off: dict[str, Any]
) -> None:
    """No call, and no row."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, **off}
    assert (gaps.repair_undelivered(), calls(told_shop), Sync.objects.count()) == (0, {}, 0)


def test_two_workers_do_not_ask_for_the_same(told_shop: Shop) -> None:
    """The other one's round will do."""
    with held("event:undelivered", using="default"):
        assert (gaps.repair_undelivered(), calls(told_shop)) == (0, {})


@pytest.mark.parametrize(("seconds", "pause"), [(3600, 3600), (60, 60), (0.5, 0.5), (0, 3600)])
def test_the_pause_is_a_setting(settings: Any, seconds: float, pause: float) -> None:
    """Switched off, the loop looks every hour whether it is on again."""
    settings.COMP_BILLING = {**settings.COMP_BILLING, "REPAIR_EVENTS_SECONDS": seconds}
    loop = next(one for one in registered_loops() if one.name == "comp_billing.gaps")
    assert (loop.pause(), loop.function) == (pause, gaps.repair_undelivered)
