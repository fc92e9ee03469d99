"""The options of ``comp_reconcile``, and what it costs."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from comp_billing import mirror
from comp_billing.books import Reconciler, Row
from comp_billing.models import Customer
from tests.billing.books import Ledger, books_as_json, ledger, reconciled
from tests.billing.builders import customer_of

__all__ = ["ledger"]


def shown(*options: str) -> list[tuple[str, str]]:
    """Customer and project of each row, and the month in which its period begins."""
    _status, rows = books_as_json("--offline", *options)
    names = dict(Customer.objects.values_list("pk", "user__username"))
    return [(names[row["customer"]], f"{row['project']} {row['start'][:7]}") for row in rows]


def filled(ledger: Ledger) -> None:
    """Two customers, two projects, two months."""
    one = ledger.site.shop("One")
    two = ledger.site.shop("Two")
    ada, bob = ledger.site.subscriber("ada"), ledger.site.subscriber("bob")
    ledger.use(one, ada)
    ledger.turn()
    ledger.use(one, ada)
    ledger.use(two, bob)
    ledger.settle()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["ada project-1 2026-01", "ada project-1 2026-02", "bob project-2 2026-02"]),
        (["--customer", "bob"], ["bob project-2 2026-02"]),
        (["--customer", "ADA@example.org", "--month", "2026-01"], ["ada project-1 2026-01"]),
        (["--project", "project-2"], ["bob project-2 2026-02"]),
        (
            ["--month", "2026-02"],
            ["ada project-1 2026-01", "ada project-1 2026-02", "bob project-2 2026-02"],
        ),
        (["--month", "2026-03"], ["ada project-1 2026-02", "bob project-2 2026-02"]),
        (["--month", "2025-12"], []),
        (["--since", "2026-02-10T09:30:07"], ["ada project-1 2026-02", "bob project-2 2026-02"]),
        (["--until", "2026-02-10T09:30:07"], ["ada project-1 2026-01"]),
        (["--since", "2026-01-15", "--until", "2026-01-16"], ["ada project-1 2026-01"]),
    ],
)
def test_chooses(ledger: Ledger, options: list[str], expected: list[str]) -> None:
    """Customers, projects and periods; a period is compared whole, whatever part was named."""
    filled(ledger)

    found = sorted(" ".join(row) for row in shown(*options))

    assert found == sorted(expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--customer", "eve"], "There is no customer 'eve'."),
        (["--project", "no"], "There is no project 'no'."),
        (["--month", "2026-01", "--until", "2026-02-01"], "--month and --until exclude"),
        (["--since", "2026-02-01", "--until", "2026-02-01"], "--since is not before --until."),
    ],
)
def test_says_what_it_cannot_do(ledger: Ledger, options: list[str], words: str) -> None:
    """A choice of nothing is an error, not an empty table, and no difference either."""
    with pytest.raises(CommandError, match=words) as raised:
        call_command("comp_reconcile", *options)

    assert raised.value.returncode == 2


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--month", "January", "'January' is no month: write 2026-11."),
        ("--since", "soon", "'soon' is no date: write 2026-11-01."),
    ],
)
def test_says_how_it_is_written(option: str, value: str, words: str) -> None:
    """What cannot be read is named, with an example."""
    with pytest.raises(CommandError, match=words):
        call_command("comp_reconcile", option, value)


def test_asks_stripe_once_for_each_project_and_period(ledger: Ledger) -> None:
    """One call for each row, and for each idle item; offline none."""
    filled(ledger)
    ledger.site.standin.calls.clear()
    reconciled("--offline")
    before = sum(ledger.site.standin.calls.values())

    reconciled("--customer", "ada")

    # Two projects, of which she is subscribed to both, and two periods.
    assert (before, sum(ledger.site.standin.calls.values())) == (0, 4)


def test_without_a_key(ledger: Ledger) -> None:
    """Says so, compares what is here, and finds nothing wrong with a free site."""
    ledger.site.configure(SECRET_KEY="")
    out, err = StringIO(), StringIO()

    call_command("comp_reconcile", stdout=out, stderr=err)

    assert (out.getvalue(), err.getvalue()[:14]) == (
        "Nothing has been used or billed.\n",
        "No Stripe key ",
    )


def test_stripe_is_down(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compared is printed, and the exit status is another than for a difference."""
    filled(ledger)
    monkeypatch.setattr("comp_billing.sync.pacing.time.sleep", lambda seconds: None)
    ledger.site.standin.faults.add("500_before", path="*/event_summaries", times=100)

    status, text = reconciled()

    assert (status, text) == (2, "Nothing has been used or billed.\n")


def test_tells_of_its_progress(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the other stream than the table, so that JSON stays JSON."""
    filled(ledger)
    command = "comp_billing.management.commands.comp_reconcile.TOLD_EVERY"
    monkeypatch.setattr(command, 1)
    err = StringIO()

    call_command("comp_reconcile", "--offline", stdout=StringIO(), stderr=err)

    assert err.getvalue().splitlines() == [
        "1 customers compared, 0 calls to Stripe",
        "2 customers compared, 0 calls to Stripe",
    ]


def statements_of(customer: Customer) -> tuple[int, list[Row]]:
    """How many statements the books of a customer take, and the books."""
    with CaptureQueriesContext(connection) as sent:
        rows = Reconciler().books_of(customer.pk, customer.user_id)
    return len(sent), rows


def billed_for(customer: Customer, projects: int) -> None:
    """An invoice with a line for each of so many meters, and a subscription to all of them."""
    numbers = range(projects)
    items = [{"id": f"si_{number}", "price": f"price_{number}"} for number in numbers]
    lines = [
        {
            "id": f"il_{number}",
            "pricing": {"price_details": {"price": f"price_{number}"}},
            "period": {"start": 1_700_000_000, "end": 1_702_000_000},
            "quantity": 0,
            "amount": 1,
        }
        for number in numbers
    ]
    prices = [
        {"id": f"price_{number}", "object": "price", "recurring": {"meter": f"mtr_{number}"}}
        for number in numbers
    ]
    subscription = {
        "id": "sub_1",
        "object": "subscription",
        "customer": customer.pk,
        "status": "active",
        "items": {"data": items, "has_more": False},
    }
    invoice = {
        "id": "in_1",
        "object": "invoice",
        "customer": customer.pk,
        "created": 1_702_000_000,
        "status": "paid",
        "lines": {"data": lines, "has_more": False},
    }
    objects = [*prices, subscription, invoice]
    mirror.upsert(objects, as_of=1_702_000_000, rank=2, api_version="")


@pytest.mark.parametrize("projects", [1, 50])
def test_projects_cost_no_more_statements(ledger: Ledger, projects: int) -> None:
    """The catalogue, the items, the invoices, the records, and the runs without one."""
    ledger.site.shop()
    customer = customer_of(ledger.site.subscriber())
    billed_for(customer, projects)

    statements, rows = statements_of(customer)

    assert (statements, len(rows)) == (5, projects)


@pytest.mark.parametrize("months", [1, 50])
def test_months_cost_no_more_statements(ledger: Ledger, months: int) -> None:
    """The same five."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.pass_time(months=months)

    statements, rows = statements_of(customer_of(payer))

    # Months in which nothing was used are left out.
    assert (statements, len(rows)) == (5, 1)
