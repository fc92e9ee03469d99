"""Spending caps: what is held and spent within a period, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

from django.db import transaction

from comp_billing.metering import StripeMeter
from comp_billing.models import (
    CapWarning,
    CreditBalance,
    Customer,
    Reservation,
    SubscriptionItem,
)
from comp_core.exceptions import RunRefused
from comp_core.models import Run
from comp_users.models import Profile, Project
from tests.billing.builders import (
    Site,
    at_once,
    authorized_run,
    capped,
    ended,
    queued_run,
    refusal,
    several_writers,
)


def test_run_that_reaches_the_cap_exactly_is_permitted(site: Site) -> None:
    """The cap may be used up to the last millionth."""
    project, payer = site.shop(), capped(site.subscriber(), "0.10")

    authorized_run(project, payer, timeout_seconds=10)

    assert Reservation.objects.count() == 1


def test_run_over_the_cap_is_refused_with_amounts_and_ways_out(site: Site) -> None:
    """The refusal names what the run could cost, the cap, what is spent and what is held."""
    project, payer = site.shop(), capped(site.subscriber(), "0.20")
    ended(authorized_run(project, payer), seconds="5")
    authorized_run(project, payer, timeout_seconds=6)
    SubscriptionItem.objects.update(current_period_end=datetime(2030, 2, 1, tzinfo=UTC))

    said = refusal(queued_run(project, payer, timeout_seconds=10))

    assert said == (
        "This run could cost up to $0.10 and might pass your spending cap of $0.20: $0.05 are spent"
        " and $0.06 are held for runs under way. Raise the cap, or wait until running models have"
        " finished or the next period starts on Feb. 1, 2030."
    )


def test_what_was_given_back_can_be_spent(site: Site) -> None:
    """A failed run frees what it held."""
    project, payer = site.shop(), capped(site.subscriber(), "0.10")
    ended(authorized_run(project, payer), status="failed")

    authorized_run(project, payer)

    assert Reservation.objects.filter(settled_amount=None).count() == 1


def test_new_period_starts_from_nothing(site: Site) -> None:
    """What was spent before the subscription's period does not count against its cap."""
    project, payer = site.shop(), capped(site.subscriber(), "0.10")
    ended(authorized_run(project, payer), seconds="10")
    run = Run.objects.get()
    SubscriptionItem.objects.update(current_period_start=run.finished_at)
    Reservation.objects.update(settled_at=datetime(2020, 1, 1, tzinfo=UTC))

    authorized_run(project, payer)

    assert Reservation.objects.filter(settled_amount=None).count() == 1


def test_sponsors_figures_are_not_told_to_others(site: Site) -> None:
    """A user whose run a sponsor would pay hears of the limit, not of the sums."""
    project, owner = site.shop(), site.user("ada").profile
    sponsor = capped(site.subscriber("sponsor"), "0.01")

    said = refusal(queued_run(project, sponsor, owner=owner))

    assert said == "The sponsor of this project has reached the spending cap for this month."


def test_refused_run_holds_nothing(site: Site) -> None:
    """A refusal leaves no reservation."""
    project, payer = site.shop(), capped(site.subscriber(), "0.01")

    refusal(queued_run(project, payer))

    assert Reservation.objects.count() == 0


@several_writers
def test_cap_holds_against_submits_at_the_same_moment(site: Site) -> None:
    """Of ten submits at once, only as many are permitted as the cap allows."""
    project, payer = site.shop(), capped(site.subscriber(), "0.30")

    def submit() -> None:
        with suppress(RunRefused), transaction.atomic():
            StripeMeter().authorize(queued_run(project, payer, timeout_seconds=10))

    at_once(submit, times=10)

    assert Reservation.objects.count() == 3


def without_card(site: Site, allowance: int | Decimal | None) -> tuple[Project, Profile]:
    """A shop, and a customer who has no means of payment."""
    site.configure(ALLOWANCE_WITHOUT_CARD=allowance)
    return site.shop(), site.subscriber()


def test_some_may_be_used_without_a_card(site: Site) -> None:
    """Up to the allowance, what is under way at its worst included; then a card is asked for."""
    project, payer = without_card(site, Decimal("0.15"))
    authorized_run(project, payer)

    said = refusal(queued_run(project, payer))

    assert said == (
        "This run could cost up to $0.10, and $0.05 are left that may be used without a payment"
        " card. Add a card under Card, then submit again."
    )


def test_nothing_may_be_used_without_a_card(site: Site) -> None:
    """With an allowance of zero a card comes first."""
    project, payer = without_card(site, 0)

    assert "$0.00 are left" in refusal(queued_run(project, payer))


def test_card_lifts_the_allowance(site: Site) -> None:
    """Whatever has been used."""
    project, payer = without_card(site, 0)
    Customer.objects.update(default_payment_method="pm_1")

    authorized_run(project, payer)

    assert Reservation.objects.count() == 1


def test_credit_is_a_means_of_payment(site: Site) -> None:
    """As far as it goes."""
    project, payer = without_card(site, 0)
    customer = Customer.objects.get()
    CreditBalance.objects.create(customer=customer, available=15, currency="usd", as_of=1)
    authorized_run(project, payer)

    assert "$0.05 are left" in refusal(queued_run(project, payer))


def test_marks_of_the_cap_are_noted_with_the_spending(site: Site) -> None:
    """In the transaction that settles the run; each once."""
    project, payer = site.shop(), capped(site.subscriber(), "0.10")

    ended(authorized_run(project, payer), seconds="6")
    ended(authorized_run(project, payer, timeout_seconds=3), seconds="2.5")

    found = CapWarning.objects.order_by("percent").values_list("percent", "spent")
    assert list(found) == [(50, Decimal("0.06")), (80, Decimal("0.085"))]
