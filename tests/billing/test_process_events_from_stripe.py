"""comp_process_events --from-stripe: what it fetches, says and answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError

from comp_billing.sync import gaps
from comp_billing.sync.bulk import held
from tests.billing.gaps import DAY, at_stripe, calls, days, deliver, here, process, told_shop
from tests.billing.standin_rig import Shop

__all__ = ["told_shop"]
pytestmark = pytest.mark.django_db(transaction=True)


def repair(**options: Any) -> str:
    return process(from_stripe=True, **options)


def test_what_never_arrived_is_fetched(told_shop: Shop) -> None:
    """And counted."""
    days(told_shop, 1)
    assert ([repair(), repair()], here()) == (
        [
            "Events that Stripe listed: 10 (10 new, 0 known, 0 failed).\n",
            "Events that Stripe listed: 1 (0 new, 1 known, 0 failed).\n",
        ],
        at_stripe(told_shop),
    )


def test_a_dry_run_fetches_nothing(told_shop: Shop) -> None:
    """It says how much it would."""
    assert (repair(dry_run=True), here()) == (
        "Events that Stripe listed: 9 (9 would be ingested, 0 known, 0 failed).\n",
        set(),
    )


def test_only_what_could_not_be_delivered(told_shop: Shop) -> None:
    """The rest is not even listed."""
    deliver(told_shop)
    days(told_shop, 1)
    said = repair(undelivered=True)
    assert said == "Events that Stripe listed: 1 (1 new, 0 known, 0 failed).\n"


def test_a_part_of_the_time_and_of_the_types(told_shop: Shop) -> None:
    """Both are asked of Stripe."""
    days(told_shop, 5)
    since = told_shop.account.world.now() - DAY - 60
    said = repair(since=since, types=["customer.*"])
    assert said == "Events that Stripe listed: 2 (2 new, 0 known, 0 failed).\n"


def test_it_says_how_it_gets_on(told_shop: Shop) -> None:
    """Each ten pages; with more verbosity, each."""
    days(told_shop, 25)
    lines = [repair(dry_run=True, verbosity=n).splitlines() for n in (0, 1, 2)]
    pages = calls(told_shop)["GET /v1/events"] // 3
    assert (
        [len(said) for said in lines],
        lines[1][0].startswith("Events that Stripe listed: 30 "),
    ) == (
        [0, 2, pages + 2],
        True,
    )


def test_more_than_stripe_has_is_answered_in_words(told_shop: Shop) -> None:
    """With the way out."""
    said = repair(since=told_shop.account.world.now() - 40 * DAY)
    assert said.splitlines() == [
        "Events that Stripe listed: 9 (9 new, 0 known, 0 failed).",
        gaps.TOO_LATE,
    ]


def test_handlers_that_fail_are_an_error(told_shop: Shop, handle: Any) -> None:
    """The events are here all the same."""

    def fail(*arguments: Any) -> None:
        raise ValueError

    handle("customer.created", handler=fail)
    with pytest.raises(CommandError, match="Events whose handlers failed: 1"):
        repair()
    assert here() == at_stripe(told_shop)


def test_events_that_cannot_be_read_are_an_error_that_names_them(
    told_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ten of them."""
    monkeypatch.setattr(gaps, "NAMED", 1)
    monkeypatch.setattr("comp_billing.webhooks.MAX_TYPE_LENGTH", len("price.created"))
    with pytest.raises(CommandError, match=r"^Events not ingested: \d \(evt_\w+ …\); see"):
        repair()
    assert here() < at_stripe(told_shop)


@pytest.mark.parametrize("kind", ["refuse", "401"])
def test_stripe_that_does_not_answer_is_an_error(told_shop: Shop, kind: str) -> None:
    """What was ingested stays."""
    told_shop.account.world.faults.add(kind, path="/v1/events", skip=1, times=99)
    with pytest.raises(CommandError, match=r"^The repair ended: .* run the command again"):
        repair()
    assert len(here()) == 3


def test_another_repair_is_left_to_its_work(told_shop: Shop) -> None:
    """It says what to do."""
    with held("event", using="default"), pytest.raises(CommandError, match="Another process"):
        repair()
    assert here() == set()


def test_an_interruption_is_told_from_a_failure(
    told_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the status that shells know."""

    def interrupt(**options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gaps, "repair", interrupt)
    with pytest.raises(CommandError, match="Interrupted") as raised:
        repair()
    assert raised.value.returncode == 130


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"from_stripe": True, "failed": True, "ids": ["evt_1"]}, "does not go with ids, failed"),
        ({"from_stripe": True, "enqueue": True}, "does not go with enqueue"),
        ({"undelivered": True}, "--undelivered goes with --from-stripe"),
    ],
)
def test_options_that_make_no_sense_together(options: dict[str, Any], words: str) -> None:
    """Are refused."""
    with pytest.raises(CommandError, match=words):
        process(*options.pop("ids", ()), **options)


def test_a_site_without_a_key_cannot_ask(settings: Any) -> None:
    """It says which setting is missing."""
    settings.COMP_BILLING = {}
    with pytest.raises(CommandError, match="SECRET_KEY"):
        repair()
