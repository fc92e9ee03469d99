"""What was invoiced: the metered lines of a customer's invoices, as they are mirrored here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from comp_billing import money, shapes
from comp_billing.books.catalogue import Catalogue, Price
from comp_billing.models import Invoice

# Its lines change until then.
DRAFT = "draft"
# Its lines are there, and bill nothing.
VOID = "void"
# Stripe rounds a line once, to the minor unit; which way at the half it does not promise.
ROUNDING = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line. Start and end in Unix seconds; ``amount`` in minor units of the currency.

    ``is_settled``: whether the mirror has all of an invoice that no longer changes.
    """

    line_id: str
    invoice_id: str
    status: str
    is_settled: bool
    meter_id: str
    start: int
    end: int
    quantity: Decimal
    amount: int
    currency: str
    unit: Decimal | None

    @property
    def bills(self) -> bool:
        return self.status != VOID

    @property
    def residue(self) -> Decimal:
        """Minor units that rounding has added, or below zero taken away; none when unknown."""
        if self.unit is None:
            return Decimal(0)
        exact = max(self.quantity, Decimal(0)) * money.to_minor(self.unit, self.currency)
        return self.amount - exact

    @property
    def is_rounded_once(self) -> bool:
        return abs(self.residue) <= ROUNDING


def lines_of(
    customer_id: str, catalogue: Catalogue, items: dict[str, str], *, since: datetime | None
) -> Iterator[Line]:
    """The metered lines of invoices made since a moment. One query.

    ``items``: the plan of each subscription item, for lines that name no price we know.
    """
    invoices = Invoice.objects.filter(customer=customer_id).order_by("created", "pk")
    if since is not None:
        invoices = invoices.filter(created__gte=since)
    rows = invoices.values_list("pk", "status", "currency", "fetch_at", "data__lines")
    for invoice_id, status, currency, fetch_at, listed in rows.iterator():
        settled = status != DRAFT and fetch_at is None and shapes.is_whole(listed)
        for line in shapes.listed(listed):
            price = _price_of(line, catalogue, items)
            made = price and _line(line, price)
            if made:
                yield Line(
                    **made,
                    invoice_id=invoice_id,
                    status=status,
                    is_settled=settled,
                    currency=shapes.text(line.get("currency")) or currency,
                )


def _price_of(line: dict[str, Any], catalogue: Catalogue, items: dict[str, str]) -> Price | None:
    """The metered price that a line bills at; None for licences, and for what was added by hand."""
    named = catalogue.prices.get(shapes.line_price(line) or "")
    return named or catalogue.prices.get(items.get(shapes.line_item(line) or "", ""))


def _line(line: dict[str, Any], price: Price) -> dict[str, Any] | None:
    start, end = shapes.line_period(line)
    if start is None or end is None:
        return None
    return {
        "line_id": shapes.text(line.get("id")),
        "meter_id": price.meter_id,
        "start": int(start.timestamp()),
        "end": int(end.timestamp()),
        "quantity": shapes.line_quantity(line) or Decimal(0),
        "amount": shapes.integer(line.get("amount")) or 0,
        "unit": price.unit,
    }
