"""Per-second pricing: the rate stands at Stripe, and a run costs its begun seconds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp_billing.pricing import PerSecondPricing, decimal_text
from comp_core.models import Run
from comp_users.models import Profile
from tests.billing.builders import Site, used

SECONDS = st.decimals(min_value=0, max_value=10**6, places=6)
RATES = st.decimals(min_value="0.000001", max_value=100, places=6)
CURRENCIES = st.sampled_from(["usd", "jpy", "kwd"])
PRICING = "comp_billing.pricing.PerSecondPricing"


def timed_run(seconds: Decimal, rate: Decimal | None, currency: str = "usd") -> Run:
    """A succeeded run (unsaved) as finish prices it."""
    cost = PerSecondPricing().cost(seconds=seconds, server_cost=rate, currency=currency)
    return Run(run_time=seconds, server_cost=rate, run_cost=cost, currency=currency)


@pytest.mark.parametrize(
    ("rate", "currency", "price"),
    [
        ("0.05", "usd", "0.001388888889"),
        ("0.10", "usd", "0.002777777778"),
        ("36", "usd", "1"),
        ("36", "jpy", "0.01"),
        ("0.36", "kwd", "0.1"),
    ],
)
def test_the_price_of_a_second_is_the_rate(rate: str, currency: str, price: str) -> None:
    """In minor units, with as many decimal places as Stripe takes."""
    unit = PerSecondPricing().unit_amount_decimal(currency, server_cost=Decimal(rate))

    assert decimal_text(unit) == price


@pytest.mark.parametrize(
    ("seconds", "begun"), [("0", 1), ("0.2", 1), ("1", 1), ("1.000001", 2), ("3600", 3600)]
)
def test_begun_seconds_are_billed_and_at_least_one(seconds: str, begun: int) -> None:
    """At a cent a second."""
    run = timed_run(Decimal(seconds), Decimal(36))

    assert (PerSecondPricing().quantity(run), run.run_cost) == (begun, Decimal(begun) / 100)


@pytest.mark.parametrize("rate", [None, Decimal(0)])
def test_without_a_rate_a_run_is_free(rate: Decimal | None) -> None:
    """And has nothing to report."""
    run = timed_run(Decimal(5), rate)

    assert (run.run_cost, PerSecondPricing().quantity(run)) == (0, 0)


@given(seconds=SECONDS, rate=RATES, currency=CURRENCIES)
def test_the_receipt_is_quantity_times_price_to_the_millionth(
    seconds: Decimal, rate: Decimal, currency: str
) -> None:
    """A cost is kept to the millionth of the currency unit; nothing else comes between."""
    run = timed_run(seconds, rate, currency)

    billed = PerSecondPricing().quantity(run) * PerSecondPricing().unit(currency, server_cost=rate)

    assert abs(billed - (run.run_cost or Decimal(0))) <= Decimal("0.0000005")


def test_the_plan_of_a_project_has_its_rate(site: Site) -> None:
    """Another project's plan has another price; the meters count seconds."""
    site.configure(PRICING=PRICING)
    dear = site.shop("Dear")
    cheap = site.public_project("Cheap", server_cost="0.36")
    site.work()

    prices = {price["lookup_key"]: price["unit_amount_decimal"] for price in site.objects("price")}
    assert prices == {
        f"comp_p{dear.pk}_second_usd_1": "1",
        f"comp_p{cheap.pk}_second_usd_0.01": "0.01",
    }


def test_usage_is_told_in_seconds(site: Site) -> None:
    """A run of two and a half seconds is three at Stripe."""
    site.configure(PRICING=PRICING)
    project = site.shop()
    payer: Profile = site.subscriber()

    record = used(project, payer, seconds="2.5")

    assert (record.quantity, record.run.run_cost) == (3, Decimal("0.03"))
