"""The proof about money: receipts, usage, Stripe's meter and the invoice's line are one sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comp_billing import money, usage
from comp_billing.metering import StripeMeter
from comp_billing.models import Invoice, Reservation, SubscriptionItem, UsageRecord
from comp_billing.pricing import BasePricing, MicroUnitPricing, PennyPricing
from comp_core.metering import COST_STEP, SECONDS_PER_HOUR
from comp_core.models import Run
from comp_users.models import Profile, Project
from tests.billing.books import Ledger, books_as_json, ledger
from tests.billing.builders import authorized_run, ended

__all__ = ["ledger"]

CURRENCIES = ["usd", "jpy", "kwd"]
SECONDS = st.decimals("0.000001", "86400", places=6)
RATES = st.decimals("0.000001", "9999", places=6)
RUNS = st.lists(st.tuples(SECONDS, RATES), min_size=1, max_size=50)


@dataclass(frozen=True)
class Sums:
    """A month as each source adds it up, in currency units; the line's in minor units."""

    receipts: Decimal
    records: Decimal
    meter: Decimal
    line: int


def run_of(policy: BasePricing, seconds: Decimal, rate: Decimal, currency: str) -> Run:
    """A succeeded run, not saved, at what the policy says it costs."""
    cost = policy.cost(seconds=seconds, server_cost=rate, currency=currency)
    return Run(run_time=seconds, run_cost=cost, server_cost=rate, currency=currency)


def holds(policy: BasePricing, *, examples: int = 200) -> Callable[[], None]:
    """The property: receipts add up to the units of usage, whatever was run and however often."""

    @settings(max_examples=examples, deadline=None)
    @given(runs=RUNS, currency=st.sampled_from(CURRENCIES))
    def holds_of(runs: list[tuple[Decimal, Decimal]], currency: str) -> None:
        made = [run_of(policy, seconds, rate, currency) for seconds, rate in runs]
        receipts = sum(run.run_cost or 0 for run in made)
        units = sum(policy.quantity(run) for run in made)
        assert receipts == units * policy.unit(currency)

    return holds_of


@pytest.mark.parametrize("policy", [MicroUnitPricing(), PennyPricing()])
def test_receipts_are_units_exactly(policy: BasePricing) -> None:
    """No run time, rate or currency leaves a rest."""
    holds(policy)()


class FloatPricing(MicroUnitPricing):
    """A mutant: the predecessor's arithmetic."""

    def cost(self, *, seconds: Decimal, server_cost: Decimal | None, currency: str) -> Decimal:
        return Decimal(float(seconds) * float(server_cost or 0) / 3600)


class TruncatedPricing(MicroUnitPricing):
    """A mutant: the cost is right, and floats make the units of it."""

    def quantity(self, run: Run) -> int:
        return int(float(run.run_cost or 0) * 1_000_000)


class CentPricing(MicroUnitPricing):
    """A mutant: the units are rounded once more than the cost."""

    def quantity(self, run: Run) -> int:
        return round(super().quantity(run), -4)


@pytest.mark.parametrize("mutant", [FloatPricing(), TruncatedPricing(), CentPricing()])
def test_floats_are_caught(mutant: BasePricing) -> None:
    """The property is one that float arithmetic does not have; it may be right a hundred times."""
    with pytest.raises(AssertionError):
        holds(mutant, examples=10_000)()


# -- through the whole of the library, to the invoice


def charge(seconds: Decimal, project: Project, payer: Profile, **terms: Any) -> Decimal:
    """A run from its permission to its accepted usage; what its receipt says."""
    run = ended(authorized_run(project, payer, **terms), seconds=str(seconds))
    usage.report_due()
    receipt = StripeMeter().receipt(run)
    assert receipt is not None
    return receipt.cost


def month_of(project: Project, ledger: Ledger, receipts: Decimal, currency: str) -> Sums:
    """The last month as four sources have it, once it is invoiced."""
    ledger.turn()
    status, rows = books_as_json("--project", project.slug)
    assert status == 0
    row = [row for row in rows if row["invoiced"] is not None][-1]
    unit = MicroUnitPricing().unit(currency)
    return Sums(
        receipts=receipts,
        records=Decimal(row["value"]),
        meter=int(row["counted"]) * unit,
        line=row["invoiced_amount_minor"],
    )


def rounded_once(amount: Decimal, currency: str) -> int:
    """Minor units as the stand-in bills them, at the end."""
    return int(money.to_minor(amount, currency).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize("currency", CURRENCIES)
def test_a_month_is_one_sum_from_receipt_to_line(ledger: Ledger, currency: str) -> None:
    """Month after month of any runs at any rates, through metering, reporter, meter and invoice."""
    ledger.site.configure(CURRENCY=currency)
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    ledger.give_card(payer)

    @settings(
        max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(runs=st.lists(st.tuples(SECONDS, RATES), min_size=1, max_size=5))
    def one_sum(runs: list[tuple[Decimal, Decimal]]) -> None:
        costs = [
            charge(seconds, project, payer, server_cost=rate, currency=currency)
            for seconds, rate in runs
        ]
        total = sum(costs, Decimal(0))
        expected = Sums(total, total, total, rounded_once(total, currency))
        assert month_of(project, ledger, total, currency) == expected

    one_sum()


def tiny_runs(ledger: Ledger, number: int) -> tuple[Project, Decimal]:
    """So many accepted runs of 0.4 s and more, written at once, by the meter's own arithmetic; what
    their receipts add up to."""
    project, payer = ledger.site.shop(), ledger.site.subscriber()
    item = SubscriptionItem.objects.select_related("plan__meter", "subscription").get()
    now, meter = timezone.now(), StripeMeter()
    terms = {"owner": payer, "payer": payer, "project": project, "server_cost": Decimal("0.1")}
    done = {"status": "succeeded", "finished_at": now}
    runs = [Run(**terms, **done, run_time=Decimal(400_000 + n).scaleb(-6)) for n in range(number)]
    for run in runs:
        run.run_cost = meter.cost(run, run.run_time or Decimal(0))
    Run.objects.bulk_create(runs, batch_size=2000)
    Reservation.objects.bulk_create(
        [
            Reservation(
                run=run,
                payer=payer,
                amount=run.run_cost or 0,
                settled_amount=run.run_cost,
                settled_at=run.finished_at,
                subscription_item=item,
            )
            for run in runs
        ],
        batch_size=2000,
    )
    records = [accepted(run, item, now) for run in runs]
    UsageRecord.objects.bulk_create(records, batch_size=2000)
    count(ledger, records)
    return project, sum((run.run_cost or Decimal(0) for run in runs), Decimal(0))


def accepted(run: Run, item: Any, now: Any) -> UsageRecord:
    """The run's usage record as the meter and the reporter leave it."""
    return UsageRecord(
        run=run,
        subscription_item=item,
        meter=item.plan.meter,
        event_name=item.plan.meter.event_name,
        stripe_customer_id=item.subscription.customer_id,
        quantity=MicroUnitPricing().quantity(run),
        used_at=now,
        timestamp=now,
        first_sent_at=now,
        accepted_at=now,
        state="accepted",
    )


def count(ledger: Ledger, records: list[UsageRecord]) -> None:
    """The stand-in's ledger as if it had been told of each."""
    store, at = ledger.site.standin.store, ledger.site.standin.now()
    sql = (
        "INSERT INTO usage (identifier, meter, customer, event_name, value, timestamp, received,"
        " state, body) VALUES (?, ?, ?, ?, ?, ?, ?, 'accepted', '')"
    )
    with store.transaction():
        for one in records:
            told = (one.meter_id, one.stripe_customer_id, one.event_name, one.quantity, at, at)
            store.run(sql, str(one.pk), *told)


# SQLite, which adds up in floating point, is the one that might go wrong.
MANY = pytest.param(
    100_000,
    marks=[
        pytest.mark.slow,
        pytest.mark.skipif(connection.vendor != "sqlite", reason="a thousand tell as much here"),
    ],
)


@pytest.mark.parametrize("number", [1000, MANY])
def test_tiny_runs_add_up(ledger: Ledger, number: int) -> None:
    """Nothing is lost or won by the number of runs: each is rounded to a millionth by itself, and
    their line once."""
    project, total = tiny_runs(ledger, number)

    sums = month_of(project, ledger, total, "usd")

    assert sums == Sums(total, total, total, rounded_once(total, "usd"))
    # Each run is within half a millionth of what it would cost without rounding.
    exact = sum(Decimal(400_000 + n).scaleb(-6) for n in range(number)) / 10 / SECONDS_PER_HOUR
    assert abs(total - exact) <= number * COST_STEP / 2
    assert Invoice.objects.count() == 1
