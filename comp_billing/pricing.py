"""What a run costs, and how that is told to Stripe in whole units: the pricing policies.

``quantity x unit price`` is the run's cost exactly, so receipts and usage add up to the same sum;
Stripe rounds once, to minor units, on the invoice's line. (Of per-second pricing, whose unit price
has more decimals than a cost is kept with, it is the cost to the millionth.)
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Any

from django.utils.module_loading import import_string

from comp_billing import money
from comp_billing.conf import conf
from comp_core.metering import COST_STEP, SECONDS_PER_HOUR, cost_of
from comp_core.models import Run

# Stripe takes prices with up to twelve decimal places of the minor unit.
FINEST_PRICE = Decimal("1E-12")


class BasePricing:
    """A policy. Name a subclass in ``COMP_BILLING["PRICING"]`` before the catalogue is set up."""

    #: Short word for the meter's unit. Part of the meter's name at Stripe, so that two policies
    #: never count on one meter.
    unit_name: str
    #: Whether the price of a unit is the project's rate: a changed rate then needs another plan.
    follows_rate: bool = False

    def cost(self, *, seconds: Decimal, server_cost: Decimal | None, currency: str) -> Decimal:
        """Currency units for a run time; ``server_cost`` in currency units per hour."""
        raise NotImplementedError

    def unit_amount_decimal(self, currency: str, *, server_cost: Decimal | None = None) -> Decimal:
        """The price of one meter unit at a project's rate, in minor units of the currency
        (Stripe's field), with at most twelve decimal places."""
        raise NotImplementedError

    def unit(self, currency: str, *, server_cost: Decimal | None = None) -> Decimal:
        """The price of one meter unit at a project's rate, in currency units."""
        return money.from_minor(
            self.unit_amount_decimal(currency, server_cost=server_cost), currency
        )

    def quantity(self, run: Run) -> int:
        """Meter units of a succeeded run, on a plan of the run's own rate."""
        return units_of(run.run_cost, self.unit(run.currency, server_cost=run.server_cost))


class MicroUnitPricing(BasePricing):
    """Exact to the millionth of the currency unit, whatever the currency and the rate.

    The unit price never changes, so a new server cost needs nothing at Stripe.
    """

    unit_name = "micro"

    def cost(self, *, seconds: Decimal, server_cost: Decimal | None, currency: str) -> Decimal:
        return cost_of(seconds=seconds, server_cost=server_cost)

    def unit_amount_decimal(self, currency: str, *, server_cost: Decimal | None = None) -> Decimal:
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

    def unit_amount_decimal(self, currency: str, *, server_cost: Decimal | None = None) -> Decimal:
        return Decimal(1)


class PerSecondPricing(BasePricing):
    """Whole seconds, begun ones included and at least one, at the project's rate.

    The rate is to be seen at Stripe as the price of a second. A changed rate makes another plan on
    the same meter, to which the items move over; runs already made keep their price.
    """

    unit_name = "second"
    follows_rate = True

    def cost(self, *, seconds: Decimal, server_cost: Decimal | None, currency: str) -> Decimal:
        if not server_cost:
            return Decimal(0).quantize(COST_STEP)
        price = self.unit(currency, server_cost=server_cost)
        return (_begun(seconds) * price).quantize(COST_STEP, ROUND_HALF_EVEN)

    def unit_amount_decimal(self, currency: str, *, server_cost: Decimal | None = None) -> Decimal:
        hour = money.to_minor(server_cost or Decimal(0), currency)
        return (hour / SECONDS_PER_HOUR).quantize(FINEST_PRICE, ROUND_HALF_EVEN)

    def quantity(self, run: Run) -> int:
        return _begun(run.run_time) if run.run_time is not None and run.server_cost else 0


def _begun(seconds: Decimal) -> int:
    return max(1, int(seconds.to_integral_value(ROUND_CEILING)))


def units_of(cost: Decimal | None, unit: Decimal) -> int:
    """A cost in whole units, half-even: of the policies with a constant unit nothing is left over.
    What costs nothing, or by a unit that does, has none."""
    return int((cost / unit).to_integral_value(ROUND_HALF_EVEN)) if cost and unit else 0


def get_pricing() -> BasePricing:
    """The policy that ``COMP_BILLING["PRICING"]`` names; read live."""
    policy: Any = import_string(conf.PRICING)
    return policy()  # type: ignore[no-any-return]  # the system check holds it to BasePricing


def decimal_text(amount: Decimal) -> str:
    """Plain digits for Stripe: the SDK itself would write small numbers as 1E-9."""
    return format(amount.normalize(), "f")
