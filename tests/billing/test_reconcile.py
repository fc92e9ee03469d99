"""``comp_reconcile``: what agrees, what waits, and each kind of difference."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from comp_billing import usage
from comp_billing.models import Correction, Reservation, UsageRecord
from comp_core.models import Run
from tests.billing.books import Ledger, books_as_json, changed, codes, ledger, waits
from tests.billing.builders import authorized_run, ended, used

__all__ = ["ledger"]


def count_at_stripe(ledger: Ledger, record: UsageRecord, value: int) -> None:
    """Stripe's ledger says something else of one record."""
    sql = "UPDATE usage SET value = ? WHERE identifier = ?"
    ledger.site.standin.store.run(sql, value, str(record.pk))


def test_a_month_that_agrees(ledger: Ledger) -> None:
    """Four sources say the same, and the line is rounded once."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer, seconds="2.5")
    ledger.use(project, payer, seconds="3.000001")
    ledger.turn()

    status, (row,) = books_as_json()

    names = ("runs", "cost", "value", "units", "counted", "invoiced", "invoiced_amount_minor")
    assert (status, [row[name] for name in names], row["residue_minor"], row["waiting"]) == (
        0,
        [2, "0.055", "0.055", {"accepted": 55000}, 55000, "55000", 6],
        "0.5",
        [],
    )


def test_what_has_yet_to_happen_is_no_difference(ledger: Ledger) -> None:
    """Usage not sent, not counted, and not invoiced yet, is shown as waiting."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.site.standin.settings["summary_lag_seconds"] = 600
    ledger.use(project, payer)
    used(project, payer)
    ledger.pass_time(seconds=60)

    assert waits() == (0, [["not invoiced yet", "25000 units not counted yet", "not sent yet"]])


def test_the_time_told_to_stripe_decides_the_period(ledger: Ledger) -> None:
    """Usage that is sent after its period belongs to the next."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    used(project, payer)
    ledger.turn()
    usage.report_due()
    ledger.settle()

    status, rows = books_as_json()

    assert (status, [(row["start"], row["units"]) for row in rows]) == (
        0,
        [("2026-02-10T09:30:07+00:00", {"accepted": 25000})],
    )


def test_usage_told_late_is_found_by_the_time_told(ledger: Ledger) -> None:
    """Although it was used long before what is asked for."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    used(project, payer)
    ledger.turn()
    usage.report_due()

    _status, rows = books_as_json("--offline", "--since", "2026-02-11")

    assert [row["units"] for row in rows] == [{"accepted": 25000}]


# -- runs and records


def test_a_run_that_failed_has_no_record_and_needs_none(ledger: Ledger) -> None:
    """What was held for it has been given back."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ended(authorized_run(project, payer), status="failed")

    assert books_as_json() == (0, [])


def test_a_billable_run_without_a_record(ledger: Ledger) -> None:
    """Its money was settled, and nothing will be billed."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = used(project, payer)
    record.delete()

    assert codes() == (1, [("unrecorded", [str(record.run_id)])])


def test_a_run_that_was_never_settled(ledger: Ledger) -> None:
    """Succeeded without the meter being told."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = used(project, payer)
    record.delete()
    Reservation.objects.update(settled_amount=None, settled_at=None)

    status, (row,) = books_as_json()

    (found,) = row["differences"]
    assert (status, found["text"]) == (
        1,
        "A run that cost 0.025000 USD was never settled: it has no usage record.",
    )


def test_runs_from_before_billing_are_no_difference(ledger: Ledger) -> None:
    """They were permitted without a reservation: nothing is billed retroactively."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.site.configure(SECRET_KEY="")
    ended(Run.objects.create(owner=payer, payer=payer, project=project, server_cost=1))
    ledger.site.configure(SECRET_KEY="sk_test_standin")

    assert books_as_json() == (0, [])


@pytest.mark.parametrize("off", [1, -1, 24_999])
def test_a_quantity_that_is_not_its_cost(ledger: Ledger, off: int) -> None:
    """Off by one unit is wrong already."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = used(project, payer)
    changed(record, quantity=record.quantity + off)

    assert codes() == (1, [("quantity", [str(record.pk)])])


def test_a_record_of_a_run_that_failed(ledger: Ledger) -> None:
    """Only success costs."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = used(project, payer)
    Run.objects.update(status="failed", run_cost=None)

    assert codes() == (1, [("run_not_billable", [str(record.pk)])])


def test_a_record_billed_to_somebody_else(ledger: Ledger) -> None:
    """The payer of the run is another."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = used(project, payer)
    Run.objects.update(payer=ledger.site.subscriber("bob"))

    assert codes() == (1, [("payer", [str(record.pk)])])


# -- states that explain


@pytest.mark.parametrize("state", ["ambiguous", "sending", "cancelled"])
@pytest.mark.parametrize("counted", [0, 25_000])
def test_what_may_be_counted_explains_both(ledger: Ledger, state: str, counted: int) -> None:
    """Stripe may have it, or not: the state says that nobody knows."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    count_at_stripe(ledger, record, counted)
    ledger.turn()
    changed(record, state=state, modified=timezone.now())

    assert codes() == (0, [])


@pytest.mark.parametrize("state", ["rejected", "expired", "waived", "empty"])
def test_what_is_not_billed_is_not_counted(ledger: Ledger, state: str) -> None:
    """These states say that Stripe does not have it, and so it is."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    count_at_stripe(ledger, record, 0)
    ledger.turn()
    changed(record, state=state)

    assert codes() == (0, [])


@pytest.mark.parametrize("state", ["rejected", "expired", "waived", "pending"])
def test_what_was_counted_although_it_is_not_billed(ledger: Ledger, state: str) -> None:
    """The state says that Stripe does not have it, and Stripe does."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    ledger.turn()
    changed(record, state=state)

    status, found = codes()

    assert (status, [code for code, _ids in found]) == (1, ["line_excess", "unknown_usage"])


def test_a_credit_explains_what_was_waived_and_counted(ledger: Ledger) -> None:
    """The customer has the money back."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    ledger.turn()
    changed(record, state="waived")
    Correction.objects.create(record=record, kind="credit", reason="counted", amount=1)

    assert codes() == (0, [])


@pytest.mark.parametrize("counted", [0, 25_000])
def test_what_is_being_taken_back_explains_both(ledger: Ledger, counted: int) -> None:
    """The operator has decided; the worker is about to tell Stripe, or has just done so."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    Correction.objects.create(record=record, kind="cancel", reason="wrong", amount=1)
    count_at_stripe(ledger, record, counted)
    ledger.turn()

    assert codes() == (0, [])


def test_what_was_taken_back_long_ago_is_not_counted(ledger: Ledger) -> None:
    """After a while Stripe's totals must be without it."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = changed(ledger.use(project, payer), state="cancelled")
    ledger.settle()
    changed(record, modified=timezone.now() - timedelta(hours=1))

    assert codes() == (1, [("unknown_usage", [str(record.pk)])])


# -- Stripe's totals


def test_accepted_usage_that_was_not_counted(ledger: Ledger) -> None:
    """The record is found among others, by asking for ever fewer minutes."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.pass_time(seconds=3600 * 24 * 11)
    lost = ledger.use(project, payer)
    ledger.pass_time(seconds=3600 * 24 * 3)
    ledger.use(project, payer)
    count_at_stripe(ledger, lost, 0)
    ledger.settle()

    assert codes() == (1, [("uncounted", [str(lost.pk)])])


def test_usage_that_something_else_has_reported(ledger: Ledger) -> None:
    """Stripe's total holds more than we know of; the minute is told."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    record = ledger.use(project, payer)
    count_at_stripe(ledger, record, record.quantity + 7)
    ledger.settle()

    status, (row,) = books_as_json()

    (found,) = row["differences"]
    assert (status, found["text"]) == (
        1,
        "Stripe has counted 25007 units, 25000 at most are ours:"
        " 2026-01-10 09:30 – 2026-01-10 09:31.",
    )


def test_usage_reported_where_we_have_none(ledger: Ledger) -> None:
    """A period of which we know nothing is asked for too."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    changed(ledger.use(project, payer), stripe_customer_id="cus_other")
    ledger.settle()

    assert codes() == (1, [("unknown_usage", [])])


def test_minutes_at_the_turn_are_counted_once(ledger: Ledger) -> None:
    """Usage on both sides of a turn within one minute: periods are seconds, totals minutes."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.pass_time(seconds=31 * 24 * 3600 - 3)
    ledger.use(project, payer)
    ledger.pass_time(seconds=6)
    ledger.use(project, payer)
    ledger.turn()

    status, rows = books_as_json()

    assert (status, [(row["units"], row["counted"], row["invoiced"]) for row in rows]) == (
        0,
        [({"accepted": 25000}, 0, "25000"), ({"accepted": 25000}, 50000, "25000")],
    )


def test_a_customer_that_stripe_has_deleted(ledger: Ledger) -> None:
    """Nobody can say what was counted; what is here is compared."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.use(project, payer)
    ledger.settle()
    store = ledger.site.standin.store
    (customer,) = store.where("customer")
    store.put({**customer, "deleted": True})

    assert waits() == (
        0,
        [["not invoiced yet", "Stripe no longer has the customer, or the meter"]],
    )
