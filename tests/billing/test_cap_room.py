"""A cap that has no room for a run, which spending alone hardly shows; runs that end at once."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction

from comp_billing.limits import cap_warnings, caps
from comp_billing.metering import StripeMeter
from comp_billing.models import CapWarning
from comp_users.models import Profile
from tests.billing.builders import (
    Site,
    at_once,
    authorized_run,
    capped,
    ended,
    queued_run,
    several_writers,
)


def marks() -> list[int]:
    """The marks that were written down, in the order of writing."""
    return list(CapWarning.objects.order_by("pk").values_list("percent", flat=True))


def refused(payer: Profile, expected: str) -> None:
    """A run of the payer's, expected to cost so much, was refused."""
    caps.note_refused(payer, Decimal(expected))


@pytest.mark.parametrize(("expected", "marks_told"), [("0.02", []), ("0.03", [0])])
def test_refused_run_that_does_not_fit_any_more_is_noted(
    site: Site, expected: str, marks_told: list[int]
) -> None:
    """Spending alone hardly ever comes to the cap: submits are refused before it."""
    project, payer = site.shop(), capped(site.subscriber(), "0.10")
    ended(authorized_run(project, payer, timeout_seconds=9), seconds="8")
    CapWarning.objects.all().delete()

    refused(payer, expected)

    assert marks() == marks_told


def test_run_that_no_cap_would_permit_says_nothing_of_it(site: Site) -> None:
    """The cap is not used up when it was never enough."""
    payer = capped(site.subscriber(), "0.10")

    refused(payer, "0.11")

    assert marks() == []


def test_what_is_held_may_be_given_back(site: Site) -> None:
    """A run that is refused while others are under way is no sign that the cap is used up."""
    project, payer = site.shop(), capped(site.subscriber(), "0.10")
    authorized_run(project, payer, timeout_seconds=10)

    refused(payer, "0.03")

    assert marks() == []


@pytest.mark.parametrize("cap", [None, Decimal(0)])
def test_refusal_without_a_cap_asks_nothing(
    site: Site, django_assert_num_queries: Any, cap: Decimal | None
) -> None:
    """Nor does one with a cap of nothing."""
    payer = site.user().profile
    payer.spending_cap = cap

    with django_assert_num_queries(0):
        refused(payer, "0.03")


def test_email_says_what_there_was_no_room_for(site: Site) -> None:
    """Others may still fit, and the marks that are still to come are told when they are passed."""
    project, payer = site.shop(), capped(site.subscriber(), "0.10")
    ended(authorized_run(project, payer, timeout_seconds=9), seconds="4")
    refused(payer, "0.07")
    cap_warnings.send_due()
    first = mail.outbox[-1]
    ended(authorized_run(project, payer, timeout_seconds=6), seconds="5")

    cap_warnings.send_due()

    assert (first.subject, first.body.rstrip().splitlines()[2:]) == (
        "Your spending cap has no room for a run",
        [
            "the runs that you pay for have cost $0.04 in this period. What is left of your"
            " spending cap of $0.10 was too little for a run, which was refused.",
            "",
            "A run that might pass the cap is refused. You can change the cap on the page Costs.",
        ],
    )
    assert mail.outbox[-1].subject == "You have spent 80 % of your spending cap"


def test_sponsor_hears_of_a_refused_run(site: Site) -> None:
    """The cap has no room left for a usual run of the project; its user is told of the limit."""
    project, sponsor = site.shop(), capped(site.subscriber("sponsor"), "0.10")
    project.exp_task_time = 4
    ended(authorized_run(project, sponsor, timeout_seconds=9), seconds="7")
    run = queued_run(project, sponsor, owner=site.user("ada").profile)
    before = set(CapWarning.objects.values_list("percent", flat=True))

    StripeMeter().refused(run)

    assert (before, CapWarning.objects.get(percent=0).payer) == ({50}, sponsor)


@several_writers
def test_runs_that_end_at_once_miss_no_mark(site: Site) -> None:
    """Neither sees the other's cost before its commit; after it the later one does."""
    project, payer = site.shop(), capped(site.subscriber(), "0.20")
    runs = [authorized_run(project, payer, timeout_seconds=9) for _ in range(2)]
    both = threading.Barrier(2, timeout=10)

    def end() -> None:
        run = waiting.pop()
        with transaction.atomic():
            ended(run, seconds="5")
            if connection.vendor == "postgresql":
                both.wait()

    waiting = list(runs)
    at_once(end, times=2)

    assert marks() == [50]
