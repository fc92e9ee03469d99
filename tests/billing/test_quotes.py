"""What a run will cost: its lines, who pays, what is free; on pages, as JSON and in Python."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from comp_billing.metering import StripeMeter
from comp_billing.models import CreditBalance
from comp_core.metering import Quote
from comp_core.models import Run
from comp_users.models import Profile, Project
from tests.billing.builders import Site, authorized_run, capped, customer_of, ended
from tests.testapp.models import DoublingRun


def quoted(project: Project, payer: Profile | None, *, owner: Profile | None = None) -> Quote:
    """The quote of a run of ten seconds at most, six usually, at a cent a second."""
    run = Run(project=project, server_cost=project.server_cost, timeout_seconds=10, currency="usd")
    if payer is not None:
        run.payer, run.owner = payer, owner or payer
    return StripeMeter().quote(run)


def shop(site: Site) -> Project:
    project = site.shop()
    project.exp_task_time = 6
    project.save()
    return project


def with_credit(payer: Profile, cents: int) -> Profile:
    CreditBalance.objects.create(
        customer=customer_of(payer), available=cents, currency="usd", as_of=1
    )
    return payer


def lines(quote: Quote) -> list[tuple[str, str | None]]:
    return [
        (line.text, str(line.amount) if line.amount is not None else None) for line in quote.lines
    ]


def test_quote_of_a_plain_run(site: Site) -> None:
    """The usual run and the worst case; the payer pays all of it."""
    quote = quoted(shop(site), site.subscriber())

    assert (quote.expected, quote.worst_case, quote.to_pay, quote.free, lines(quote)) == (
        Decimal("0.06"),
        Decimal("0.1"),
        Decimal("0.06"),
        "",
        [("A usual run", "0.060000")],
    )


def test_credit_is_taken_off(site: Site) -> None:
    """What is left of it once everything used so far has been paid from it."""
    project, payer = shop(site), with_credit(site.subscriber(), 4)
    ended(authorized_run(project, payer), seconds="1")

    quote = quoted(project, payer)

    assert (quote.to_pay, quote.free) == (Decimal("0.03"), "")
    assert lines(quote)[1] == ("Paid from your credit, of which $0.03 are left", "-0.030000")


def test_credit_that_covers_it(site: Site) -> None:
    """Said in words as well."""
    quote = quoted(shop(site), with_credit(site.subscriber(), 500))

    assert (quote.to_pay, quote.free) == (Decimal(0), "Your credit covers it.")


def test_sponsored_run_is_free_for_its_owner(site: Site) -> None:
    """The sponsor's figures are the sponsor's business: no credit or cap of theirs is named."""
    project, sponsor, owner = shop(site), site.subscriber("sue"), site.subscriber("ada")
    capped(with_credit(sponsor, 500), "1")

    quote = quoted(project, sponsor, owner=owner)

    assert (quote.to_pay, quote.free) == (Decimal(0), "The sponsor of this project pays.")
    assert len(quote.lines) == 2


def test_what_is_left_of_the_cap_is_said(site: Site) -> None:
    """And that the run would be refused if it might pass it."""
    quote = quoted(shop(site), capped(site.subscriber(), "0.08"))

    assert (lines(quote)[1], quote.refusal) == (
        ("Of your spending cap of $0.08, $0.08 are left.", None),
        "The run could pass your spending cap, and would be refused.",
    )


@pytest.mark.parametrize(
    ("fields", "key", "why"),
    [
        ({"server_cost": Decimal(0)}, "sk_test_1", "This project is free."),
        ({}, "", "This site does not bill: nobody pays."),
        ({"is_public": False}, "sk_test_1", "Runs of a project that is not public are not billed."),
    ],
)
def test_free_runs_say_why(site: Site, fields: dict[str, Any], key: str, why: str) -> None:
    """Nothing is to be paid, and the lines add up to that."""
    site.configure(SECRET_KEY=key)
    quote = quoted(site.public_project(**fields), None)

    total = sum((line.amount or Decimal(0) for line in quote.lines), Decimal(0))
    assert (quote.free, quote.to_pay, total) == (why, Decimal(0), Decimal(0))


def test_quote_takes_three_statements_at_most(site: Site) -> None:
    """And makes no call."""
    project, payer = shop(site), capped(with_credit(site.subscriber(), 5), "1")
    calls = site.standin.calls.total()

    with CaptureQueriesContext(connection) as context:
        quoted(project, payer)

    assert (len(context), site.standin.calls.total() - calls) == (3, 0)


def test_quote_for_programs(site: Site) -> None:
    """The same as JSON; decimals as text."""
    payer = site.subscriber()
    slug = DoublingRun.Comp.slug
    Project.objects.create(
        slug=slug, name="Doubling", is_public=True, server_cost=Decimal(36), exp_task_time=6
    )
    client = Client()
    client.force_login(payer.user)

    answer = client.get(reverse("comp_core:quote", args=[slug])).json()

    assert {**answer, "worst_case": "", "worst_seconds": ""} == {
        "currency": "usd",
        "expected": "0.060000",
        "worst_case": "",
        "to_pay": "0.060000",
        "server_cost_per_hour": "36.000000",
        "expected_seconds": "6",
        "worst_seconds": "",
        "free": "",
        "refusal": "",
        "lines": [{"text": "A usual run", "amount": "0.060000"}],
    }


def test_page_shows_the_breakdown(site: Site) -> None:
    """Where there is more than one line."""
    payer = with_credit(site.subscriber(), 500)
    Project.objects.create(
        slug=DoublingRun.Comp.slug, name="Doubling", is_public=True, server_cost=Decimal(36)
    )
    client = Client()
    client.force_login(payer.user)

    page = client.get(reverse("comp_core:model", args=[DoublingRun.Comp.slug])).content.decode()

    assert ("Paid from your credit" in page, "You pay" in page) == (True, True)
