"""comp_sync_stripe: what it says, and how it ends."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from comp_billing import mirror
from comp_billing.management.commands import comp_sync_stripe
from comp_billing.models import Product, Sync
from comp_billing.sync import bulk
from tests.billing.lists import before_page, calls, lists, products, sync
from tests.billing.standin_rig import Account

__all__ = ["lists"]
pytestmark = pytest.mark.django_db(transaction=True)

AGAIN = "What was read stays: run the command again, and it goes on from there."


class Terminal(StringIO):
    """A place to write to that a person looks at."""

    def isatty(self) -> bool:
        return True


def timeless(said: str) -> list[str]:
    """The lines, with x for seconds and rates."""
    return [
        re.sub(r"\d+\.\d$|[\d,]+(?= a second)", "x", line.rstrip()) for line in said.splitlines()
    ]


def failure(*kinds: str, **options: Any) -> tuple[str, list[str]]:
    """The error that the command ends with, and what it said before."""
    out = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("comp_sync_stripe", *kinds, stdout=out, **options)
    return str(raised.value), timeless(out.getvalue())


def test_a_summary_closes(lists: Account) -> None:
    """What was listed, written and missing of each kind, what it cost, and what was fetched."""
    gone, *_ = products(lists, 4)
    lists.v1.customers.create({})
    sync()
    lists.v1.products.delete(gone)
    lists.world.advance(seconds=60)
    assert timeless(sync("product", "customer")) == [
        "kind      listed  written  missing  calls  seconds",
        "product        3        0        1      1      x",
        "customer       1        0        0      1      x",
        "Fetched one by one: 1.",
    ]


def test_what_is_left_to_the_worker_is_said(
    lists: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command itself fetches a bounded number."""
    monkeypatch.setattr(comp_sync_stripe, "FETCHED_AT_MOST", 4)
    monkeypatch.setattr(comp_sync_stripe, "FETCHED_TOGETHER", 2)
    mirror.fetch_later(Product, [f"prod_{number}" for number in range(7)])
    said = sync("product").splitlines()[-1]
    assert said == "Fetched one by one: 4. The worker will fetch 3 more."


def test_every_page_is_told_at_a_higher_verbosity(lists: Account) -> None:
    """For a log; a line now and then otherwise."""
    products(lists, 4)
    bulk.read(Product, pages=1)
    assert timeless(sync("product", verbosity=2))[:2] == [
        "product (gone on with): 4 read, 4 written, x a second",
        "kind     listed  written  missing  calls  seconds",
    ]


def test_a_long_list_says_now_and_then_how_far_it_is(
    lists: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody watches."""
    monkeypatch.setattr(comp_sync_stripe, "PROGRESS_PAGES", 2)
    products(lists, 8)
    assert timeless(sync("product"))[0] == "product: 6 read, 6 written, x a second"


def test_silence_is_kept_when_asked_for(lists: Account) -> None:
    """As a job that is run every night."""
    products(lists, 4)
    assert sync(verbosity=0) == ""


def test_a_terminal_has_one_line_that_moves(lists: Account) -> None:
    """It is written over, and stays when the list has ended."""
    products(lists, 4)
    out = Terminal()
    call_command("comp_sync_stripe", "product", stdout=out)
    first, *rest = timeless(out.getvalue().replace("\r", "\n"))
    assert (first, rest[:3]) == (
        "",
        [
            "product: 3 read, 3 written, x a second",
            "product: 4 read, 4 written, x a second",
            "kind     listed  written  missing  calls  seconds",
        ],
    )


def test_a_wrong_key_is_said_plainly(lists: Account) -> None:
    """What was read before is told, and stays."""
    lists.world.faults.add("401", path="/v1/prices", times=99)
    error, said = failure()
    assert error == (
        "Reading price objects ended: Stripe does not accept the key (401): correct"
        f' COMP_BILLING["SECRET_KEY"]. {AGAIN}'
    )
    assert [line.split()[0] for line in said] == ["kind", "product", "billing.meter"]


def test_that_stripe_is_away_is_said_plainly(lists: Account) -> None:
    """After some patience; the next run goes on."""
    products(lists, 8)
    lists.world.faults.add("refuse", times=6, skip=2)
    calls(lists)
    error, _ = failure("product")
    tried = calls(lists)
    sync("product")
    assert error.startswith("Reading product objects ended: ")
    assert (error.endswith(AGAIN), tried, Product.objects.count()) == (True, 8, 8)


def test_an_interruption_says_how_to_go_on(lists: Account) -> None:
    """Ctrl-C, with the exit status that shells expect."""
    products(lists, 8)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with before_page(2, interrupt), pytest.raises(CommandError) as raised:
        sync("product")
    row = Sync.objects.get()
    assert (str(raised.value), raised.value.returncode) == (f"Interrupted. {AGAIN}", 130)
    assert (row.listed, row.lease_token, row.error) == (3, None, "")


def test_without_a_key_nothing_is_tried(settings: Any) -> None:
    """It says which setting is missing."""
    settings.COMP_BILLING = {}
    assert failure() == ('No Stripe key: set COMP_BILLING["SECRET_KEY"] first.', [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["customers"], "Stripe has no list of customers: use product, billing.meter, price, "),
        (["--since", "yesterday"], "argument --since: 'yesterday' is no date: write 2026-11-01."),
        (["--since", "2026-11-01", "--incremental"], "argument --incremental: not allowed with"),
    ],
)
def test_what_it_cannot_do_is_said_plainly(arguments: list[str], message: str) -> None:
    """Before anything is asked of Stripe."""
    with pytest.raises(CommandError) as raised:
        call_command("comp_sync_stripe", *arguments)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-01", 1793491200),
        ("2026-11-01T01:00", 1793494800),
        ("2026-11-01T01:00+01:00", 1793491200),
    ],
)
def test_a_date_is_utc_unless_it_says_otherwise(text: str, seconds: int) -> None:
    """Whatever the site's time zone."""
    assert comp_sync_stripe.unix_seconds(text) == seconds
