"""What a run costs, and how that is told to Stripe in whole units: the pricing policies.

``quantity x unit price`` is the run's cost exactly, so receipts and usage add up to the same sum;
Stripe rounds once, to minor units, on the invoice's line.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.utils.module_loading import import_string

from comp_billing import money
from comp_billing.conf import conf
from comp_core.metering import COST_STEP, SECONDS_PER_HOUR, cost_of
from comp_core.models import Run


class BasePricing:
    """A policy. Name a subclass in ``COMP_BILLING["PRICING"]`` before the catalogue is set up."""

    #: Short word for the meter's unit. Part of the meter's name at Stripe, so that two policies
    #: never count on one meter.
    unit_name: str

    def cost(self, *, seconds: Decimal, server_cost: Decimal | None, currency: str) -> Decimal:
        """Currency units for a run time; ``server_cost`` in currency units per hour."""
        raise NotImplementedError

    def unit_amount_decimal(self, currency: str) -> Decimal:
        """The price of one meter unit, in minor units of the currency (Stripe's field)."""
        raise NotImplementedError

    def unit(self, currency: str) -> Decimal:
        """The price of one meter unit, in currency units."""
        return money.from_minor(self.unit_amount_decimal(currency), currency)

    def quantity(self, run: Run) -> int:
        """Meter units of a succeeded run: its cost divided by the unit, which leaves no rest."""
        if run.run_cost is None:
            return 0
        return int((run.run_cost / self.unit(run.currency)).to_integral_value(ROUND_HALF_EVEN))


class MicroUnitPricing(BasePricing):
    """Exact to the millionth of the currency unit, whatever the currency and the rate.

    The unit price never changes, so a new server cost needs nothing at Stripe.
    """

    unit_name = "micro"

    def cost(self, *, seconds: Decimal, server_cost: Decimal | None, currency: str) -> Decimal:
        return cost_of(seconds=seconds, server_cost=server_cost)

    def unit_amount_decimal(self, currency: str) -> Decimal:
        return money.to_minor(COST_STEP, currency)


class PennyPricing(BasePricing):
    """COMP's original rule: whole minor units ("pennies"), half-even, at least one.

    A penny buys 36 / server_cost seconds in US dollars; a run of 2.5 pennies costs 2.
    """

    unit_name = "penny"

    def cost(self, *, seconds: Decimal, server_cost: Decimal | None, currency: str) -> Decimal:
        if not server_cost:
            return Decimal(0).quantize(COST_STEP)
        penny = self.unit(currency)
        pennies = (seconds * server_cost / (SECONDS_PER_HOUR * penny)).quantize(
            Decimal(1), ROUND_HALF_EVEN
        )
        return (max(pennies, Decimal(1)) * penny).quantize(COST_STEP)

    def unit_amount_decimal(self, currency: str) -> Decimal:
        return Decimal(1)


def get_pricing() -> BasePricing:
    """The policy that ``COMP_BILLING["PRICING"]`` names; read live."""
    policy: Any = import_string(conf.PRICING)
    return policy()  # type: ignore[no-any-return]  # the system check holds it to BasePricing


def decimal_text(amount: Decimal) -> str:
    """Plain digits for Stripe: the SDK itself would write small numbers as 1E-9."""
    return format(amount.normalize(), "f")
