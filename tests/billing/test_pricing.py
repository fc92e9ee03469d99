"""What runs cost under the policies, and that quantity times unit is that cost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp_billing.pricing import (
    BasePricing,
    MicroUnitPricing,
    PennyPricing,
    decimal_text,
    get_pricing,
)
from comp_core.models import Run

CURRENCIES = st.sampled_from(["usd", "jpy", "kwd", "eur", "isk"])
SECONDS = st.decimals(min_value=0, max_value=10**7, places=6)
RATES = st.decimals(min_value=0, max_value=1000, places=6)


def priced_run(policy: BasePricing, seconds: str, rate: str, currency: str = "usd") -> Run:
    """A succeeded run (unsaved) as finish prices it."""
    cost = policy.cost(seconds=Decimal(seconds), server_cost=Decimal(rate), currency=currency)
    return Run(run_cost=cost, currency=currency)


@pytest.mark.parametrize(
    ("seconds", "pennies"),
    [(0, 1), (20, 1), (180, 1), (540, 2), (900, 2), (901, 3), (3600, 10)],
)
def test_penny_pricing_is_comps_original_rule(seconds: int, pennies: int) -> None:
    """At $0.10 an hour: 360 seconds to the penny, half-even, at least one."""
    run = priced_run(PennyPricing(), str(seconds), "0.10")

    assert (PennyPricing().quantity(run), run.run_cost) == (pennies, Decimal(pennies) / 100)


@pytest.mark.parametrize(
    ("currency", "unit"), [("usd", "0.0001"), ("jpy", "0.000001"), ("kwd", "0.001")]
)
def test_micro_unit_is_a_millionth_of_the_currency_unit(currency: str, unit: str) -> None:
    """Stripe's unit price is in minor units, of which a currency unit has 1, 100 or 1000."""
    assert decimal_text(MicroUnitPricing().unit_amount_decimal(currency)) == unit


@pytest.mark.parametrize(("currency", "unit"), [("usd", "0.01"), ("jpy", "1"), ("kwd", "0.001")])
def test_penny_is_the_minor_unit(currency: str, unit: str) -> None:
    """The penny of a currency without pennies is its smallest unit."""
    assert PennyPricing().unit(currency) == Decimal(unit)


@pytest.mark.parametrize("policy", [MicroUnitPricing(), PennyPricing()])
def test_no_rate_costs_nothing(policy: BasePricing) -> None:
    """Without a rate there is no minimum either."""
    run = Run(
        run_cost=policy.cost(seconds=Decimal(5), server_cost=None, currency="usd"), currency="usd"
    )

    assert (run.run_cost, policy.quantity(run)) == (0, 0)


def test_run_without_a_cost_has_no_quantity() -> None:
    """A run that did not succeed has nothing to report."""
    assert MicroUnitPricing().quantity(Run(currency="usd")) == 0


@pytest.mark.parametrize("policy", [MicroUnitPricing(), PennyPricing()])
@given(seconds=st.lists(SECONDS, max_size=20), rate=RATES, currency=CURRENCIES)
def test_receipts_are_quantities_times_unit(
    policy: BasePricing, seconds: list[Decimal], rate: Decimal, currency: str
) -> None:
    """The receipts of any runs add up to their quantities times the unit, exactly."""
    runs = [priced_run(policy, str(second), str(rate), currency) for second in seconds]

    billed = sum(policy.quantity(run) for run in runs) * policy.unit(currency)

    assert billed == sum((run.run_cost or Decimal(0) for run in runs), Decimal(0))


@given(seconds=SECONDS, rate=RATES)
def test_micro_units_are_within_half_a_millionth_of_the_exact_cost(
    seconds: Decimal, rate: Decimal
) -> None:
    """Rounding happens once, to the nearest millionth."""
    cost = MicroUnitPricing().cost(seconds=seconds, server_cost=rate, currency="usd")

    assert abs(cost - seconds * rate / 3600) <= Decimal("0.0000005")


@pytest.mark.parametrize(
    ("amount", "text"), [("1E-9", "0.000000001"), ("1", "1"), ("100", "100"), ("0.10", "0.1")]
)
def test_decimals_are_told_in_plain_digits(amount: str, text: str) -> None:
    """Stripe does not read scientific notation."""
    assert decimal_text(Decimal(amount)) == text


def test_policy_is_the_settings_one(settings: pytest.FixtureRequest) -> None:
    """The policy is read live from the settings."""
    settings.COMP_BILLING = {"PRICING": "comp_billing.pricing.PennyPricing"}  # type: ignore[attr-defined]  # pytest-django's settings

    assert isinstance(get_pricing(), PennyPricing)
