"""What is metered, and at which prices: the part of the books that all customers share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from comp_billing import money
from comp_billing.models import Plan


@dataclass(frozen=True, slots=True)
class Price:
    """One metered plan. ``unit`` in currency units for each of the meter's units; None where the
    price depends on the quantity (tiers, packages)."""

    plan_id: str
    meter_id: str
    currency: str
    unit: Decimal | None

    def fits(self, quantity: int, cost: Decimal, currency: str) -> bool:
        """Whether a quantity is that cost at this price: exactly, or rounded to a whole unit."""
        if not self.unit or currency != self.currency:
            return False
        if self.unit * quantity == cost:
            return True
        return int((cost / self.unit).to_integral_value(ROUND_HALF_EVEN)) == quantity


@dataclass(frozen=True, slots=True)
class Metered:
    """One project's meter. The slug is empty for a meter of no project of ours."""

    meter_id: str
    slug: str
    name: str


@dataclass
class Catalogue:
    """All meters and their prices, the successive ones of one meter together."""

    meters: dict[str, Metered] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    by_meter: dict[str, list[Price]] = field(default_factory=dict)

    def add(self, metered: Metered, price: Price) -> None:
        """One price, and the meter that it is for."""
        self.meters[metered.meter_id] = metered
        self.prices[price.plan_id] = price
        self.by_meter.setdefault(price.meter_id, []).append(price)

    def meter(self, meter_id: str) -> Metered:
        """The meter; under its id when no plan of it is known."""
        return self.meters.get(meter_id) or Metered(meter_id, "", meter_id)

    def price_of(self, meter_id: str, quantity: int, cost: Decimal, currency: str) -> Price | None:
        """The price at which a quantity is that cost; the one that leaves no rest first."""
        fitting = self._fitting(meter_id, quantity, cost, currency)
        return min(
            fitting, key=lambda price: abs((price.unit or 0) * quantity - cost), default=None
        )

    def _fitting(
        self, meter_id: str, quantity: int, cost: Decimal, currency: str
    ) -> Iterable[Price]:
        prices = self.by_meter.get(meter_id, ())
        return (price for price in prices if price.fits(quantity, cost, currency))


def read_catalogue() -> Catalogue:
    """Of every metered plan that was ever mirrored, the archived and the deleted too. One query."""
    catalogue = Catalogue()
    rows = Plan.all_objects.filter(meter__isnull=False).values_list(
        "pk",
        "currency",
        "amount_decimal",
        "data__transform_quantity",
        "meter_id",
        "meter__project__slug",
        "meter__project__name",
    )
    for plan, currency, amount, package, meter, slug, name in rows.order_by("pk"):
        unit = None if amount is None or package else money.from_minor(amount, currency)
        catalogue.add(Metered(meter, slug or "", name or meter), Price(plan, meter, currency, unit))
    return catalogue
