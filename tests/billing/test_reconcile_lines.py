"""``comp_reconcile``: what invoice lines say of what was used."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from comp_billing import mirror
from comp_billing.models import Invoice, Subscription, UsageRecord
from tests.billing.books import (
    Ledger,
    books_as_json,
    changed,
    codes,
    edit_line,
    ledger,
    reconciled,
    waits,
)

__all__ = ["ledger"]


@pytest.mark.parametrize(
    ("quantity", "amount", "code"),
    [("24999", 2, "line_short"), ("25001", 3, "line_excess"), ("25000.5", 3, "line_excess")],
)
def test_a_line_of_another_quantity(ledger: Ledger, quantity: str, amount: int, code: str) -> None:
    """Off by one unit, or by less, either way."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    line = edit_line(quantity_decimal=quantity, amount=amount)

    assert codes("--offline") == (1, [(code, [line])])


def test_a_line_of_another_amount(ledger: Ledger) -> None:
    """More than one rounding to the minor unit explains."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    line = edit_line(amount=4)

    assert codes("--offline") == (1, [("line_amount", [line])])


def test_a_line_that_bills_what_was_taken_back(ledger: Ledger) -> None:
    """Stripe's invoice was faster, or the cancellation came to nothing: the customer pays."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    ledger.turn()
    changed(record, state="cancelled", modified=timezone.now() - timedelta(hours=1))

    assert [code for code, _ids in codes("--offline")[1]] == ["line_excess"]


@pytest.mark.parametrize("amount", [2, 3])
def test_either_half_is_right(ledger: Ledger, amount: int) -> None:
    """2.5 cents may be billed as 2 or as 3; the residue is shown."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    edit_line(amount=amount)

    status, (row,) = books_as_json("--offline")

    assert (status, Decimal(row["residue_minor"])) == (0, amount - Decimal("2.5"))


def test_time_that_is_billed_twice(ledger: Ledger) -> None:
    """Two items on one meter: what the second line bills was not used again."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    again = Invoice.objects.get().data
    (line,) = again["lines"]["data"]
    line["id"], line["period"]["start"] = "il_again", line["period"]["start"] - 60
    mirror.upsert([{**again, "id": "in_again"}], as_of=2_000_000_000, rank=2, api_version="")

    status, found = codes("--offline")

    assert (status, [code for code, _ids in found]) == (1, ["line_excess"])


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"status": "draft"}, "the invoice is still a draft"),
        ({"status": "void"}, "the invoice is void: this usage is not billed"),
        (
            {"fetch_at": "2026-02-01T00:00Z"},
            "the invoice is not here whole: the worker, or comp_sync_stripe invoice, fetches it",
        ),
    ],
)
def test_an_invoice_that_says_nothing_yet(
    ledger: Ledger, fields: dict[str, Any], word: str
) -> None:
    """A draft changes, a void one bills nothing, one in doubt is fetched first."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    edit_line(quantity_decimal="1", amount=0)
    Invoice.objects.update(**fields)

    assert waits("--offline") == (0, [[word]])


def test_usage_that_no_invoice_bills(ledger: Ledger) -> None:
    """The period is over for more than a day, and there is no line."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    Invoice.objects.all().delete()
    first = codes("--offline")
    ledger.frozen.tick(timedelta(days=1))
    ledger.site.standin.advance(seconds=24 * 3600)

    assert (first, codes("--offline")) == ((0, []), (1, [("not_invoiced", [])]))


@pytest.mark.parametrize("gone", [{"status": "canceled"}, {"deleted": True}])
def test_usage_of_a_subscription_that_has_ended(ledger: Ledger, gone: dict[str, Any]) -> None:
    """No period is under way any more; its last invoice is waited for, for a day."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    Subscription.objects.update(**gone)
    first = waits("--offline")
    ledger.site.standin.advance(seconds=24 * 3600 + 1)

    assert (first, codes("--offline")) == (
        (0, [["not invoiced yet"]]),
        (1, [("not_invoiced", [])]),
    )


def test_usage_of_a_trial(ledger: Ledger) -> None:
    """Stripe does not bill it; what follows the trial is a period of its own."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    subscription, now = Subscription.objects.get(), ledger.site.standin.now()
    subscription.data |= {"trial_start": now - 60, "trial_end": now + 60}
    subscription.save()
    ledger.frozen.tick(120)
    ledger.site.standin.advance(seconds=120)
    ledger.use(project, payer)

    assert waits("--offline") == (
        0,
        [["a trial: its usage is not billed"], ["not invoiced yet"]],
    )


def test_an_invoice_with_more_lines_than_were_received(ledger: Ledger) -> None:
    """Stripe embeds the first lines only: the others are fetched before anything is said."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    edit_line(quantity_decimal="1", amount=0)
    invoice = Invoice.objects.get()
    invoice.data["lines"]["has_more"] = True
    invoice.save()

    assert codes("--offline") == (0, [])


def test_prints_a_table(ledger: Ledger) -> None:
    """Aligned columns; what waits and what differs stands below its row, with what to do."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.turn()
    line = edit_line(quantity_decimal="24999", amount=2)
    invoice = Invoice.objects.get().pk

    status, text = reconciled("--offline")

    customer = UsageRecord.objects.get().stripe_customer_id
    head, row, *below = text.splitlines()
    assert (status, head.split()[:2], " ".join(row.split()), below) == (
        1,
        ["customer", "project"],
        f"{customer} project-1 2026-01-10 09:30 2026-02-10 09:30 1 0.025 USD"
        " 25,000 25,000 0 0 0 - 24,999 $0.02 -0.4999",
        [
            f"    DIFFERS (line_short): {invoice}: 24999 units billed of 25000 accepted.",
            f"        {line}",
            "        Bill the rest by hand, or let it be: the customer has paid too little.",
        ],
    )
