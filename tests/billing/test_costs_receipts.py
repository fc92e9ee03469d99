"""Receipts: which line of which invoice bills a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from comp_billing import costs, usage
from comp_billing.metering import StripeMeter
from comp_billing.models import Invoice
from comp_core.models import Run
from tests.billing.books import Ledger, changed, ledger
from tests.billing.builders import used

__all__ = ["ledger"]


def line_of(run: Run) -> costs.BilledLine | None:
    """The line on the run's receipt."""
    receipt = costs.receipt_of(run)
    assert receipt is not None
    return receipt.line


def test_a_receipt_once_billed(ledger: Ledger, django_assert_max_num_queries: Any) -> None:
    """Seconds x rate = cost, the state, the invoice, and the line with all that it bills."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    run = ledger.use(project, payer, seconds="2.5").run
    ledger.use(project, payer, seconds="4")
    ledger.turn()

    with django_assert_max_num_queries(4):
        found = costs.receipt_of(run)

    assert found is not None
    assert found.line is not None
    assert found.record is not None
    receipt, line = found.receipt, found.line
    assert (receipt.seconds, receipt.server_cost, receipt.cost, found.record.state) == (
        Decimal("2.5"),
        Decimal(36),
        receipt.seconds * Decimal(36) / 3600,
        "accepted",
    )
    assert (line.invoice.stripe_id, line.quantity, line.amount, line.amount_text) == (
        Invoice.objects.get().pk,
        Decimal(65000),
        Decimal("0.07"),
        "$0.07",
    )


def test_the_invoice_is_found_among_many(ledger: Ledger) -> None:
    """However many the customer has had before and since, of other subscriptions too."""
    project, payer = ledger.site.shop("One"), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    record = ledger.use(project, payer)
    ledger.pass_time(months=1)
    ledger.pass_time(months=5)

    line = line_of(record.run)

    assert line is not None
    assert (line.quantity, line.start <= record.used_at < line.end) == (Decimal(25000), True)


def test_usage_sent_late_is_on_the_line_of_the_time_told(ledger: Ledger) -> None:
    """Its period was over when it was sent: the next bills it."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = used(project, payer)
    ledger.turn()
    usage.report_due()
    before = line_of(record.run)
    ledger.turn()

    line = line_of(record.run)

    assert line is not None
    assert (before, line.start > record.used_at, line.quantity) == (None, True, Decimal(25000))


def test_the_successor_of_an_item_bills_it(ledger: Ledger) -> None:
    """Usage is the customer's and the meter's, whichever item has the line."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    ledger.turn()
    invoice = Invoice.objects.get()
    details = invoice.data["lines"]["data"][0]["parent"]["subscription_item_details"]
    details["subscription_item"] = "si_successor"
    invoice.save()

    line = line_of(record.run)

    assert line is not None
    assert line.invoice.stripe_id == invoice.pk


@pytest.mark.parametrize("state", ["rejected", "expired", "cancelled", "waived", "ambiguous"])
def test_what_is_not_billed_is_on_no_line(ledger: Ledger, state: str) -> None:
    """Only what Stripe has accepted is said to be on an invoice."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    ledger.turn()

    assert line_of(changed(record, state=state).run) is None


def test_a_void_invoice_bills_nothing(ledger: Ledger) -> None:
    """Its lines are still there."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    ledger.turn()
    Invoice.objects.update(status="void")

    assert line_of(record.run) is None


def test_the_run_page_names_invoice_and_line(ledger: Ledger) -> None:
    """Once billed; the line bills other runs as well, which is said."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    run = ledger.use(project, payer).run
    ledger.use(project, payer, seconds="4")
    ledger.turn()

    receipt = StripeMeter().receipt(run)

    assert receipt is not None
    invoice = Invoice.objects.get()
    assert (receipt.invoice, receipt.invoice_url, receipt.line) == (
        invoice.number,
        invoice.data["hosted_invoice_url"],
        "65,000 units for $0.07, together with your other runs of that period",
    )


def test_a_sponsors_invoice_is_the_sponsors(ledger: Ledger) -> None:
    """The owner of a sponsored run is not shown it."""
    project, sponsor = ledger.site.shop(), ledger.site.subscriber()
    run = ledger.use(project, sponsor).run
    Run.objects.filter(pk=run.pk).update(owner=ledger.site.subscriber("bob"))
    ledger.turn()

    receipt = StripeMeter().receipt(Run.objects.get(pk=run.pk))

    assert receipt is not None
    assert (receipt.invoice, receipt.invoice_url, receipt.line) == ("", "", "")
