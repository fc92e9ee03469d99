"""Readers of Stripe objects as received: the one place that knows where fields have moved.

Every reader answers None (or an empty value) for what is missing or of another type, so that an
object of any API version is read as far as it goes and never raises.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

# Longest id that Stripe promises.
MAX_ID_LENGTH = 255
# Plan.amount_decimal: 18 digits before the point, 12 after it.
DECIMAL_LIMIT = Decimal(10) ** 18
DECIMAL_STEP = Decimal(1).scaleb(-12)


def mapping(value: Any) -> dict[str, Any]:
    """A nested object; empty when there is none."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(value: Any, *, default: bool = False) -> bool:
    return value if isinstance(value, bool) else default


def ref(value: Any) -> str | None:
    """The id of a related object, given as an id or expanded."""
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH:
        return None
    # Dots alone would lead out of the path in which the object is asked for.
    return value if value.strip(".") else None


def rfc3339(value: Any) -> datetime | None:
    """A moment as Stripe's newer API writes it; None when it is none."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def moment(value: Any) -> datetime | None:
    """An aware UTC datetime from Unix seconds."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, OSError, ValueError):
        return None


def decimal(value: Any) -> Decimal | None:
    """A finite Decimal from Stripe's decimal text, at most 18 digits before and 12 after."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        number = Decimal(value)
        if not number.is_finite() or abs(number) >= DECIMAL_LIMIT:
            return None
        return number.quantize(DECIMAL_STEP)
    except ArithmeticError:
        return None


def listed(value: Any) -> list[dict[str, Any]]:
    """The objects of an embedded list; empty when it is absent or was not expanded."""
    data = mapping(value).get("data")
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def is_whole(value: Any) -> bool:
    """Whether an embedded list is present and complete: only then absence means removal."""
    page = mapping(value)
    return isinstance(page.get("data"), list) and page.get("has_more") is False


def truncated_lists(data: dict[str, Any]) -> dict[str, str]:
    """{field: path of the whole list} for the lists embedded in an object that are cut off.

    The path is below ``/v1/`` and may have a query.
    """
    return {
        name: value["url"]
        for name, value in data.items()
        if isinstance(value, dict)
        and value.get("has_more") is True
        and text(value.get("url")).startswith("/v1/")
    }


def customer_of(data: dict[str, Any]) -> str | None:
    """The customer that an object belongs to; itself, for a customer."""
    if data.get("object") == "customer":
        return ref(data)
    return ref(data.get("customer"))


def invoice_of(data: dict[str, Any]) -> str | None:
    """The invoice that an object is, or is about (charges named theirs until 2025-03-31)."""
    if data.get("object") == "invoice":
        return ref(data)
    return ref(data.get("invoice"))


def invoice_subscription(invoice: dict[str, Any]) -> str | None:
    """The subscription of an invoice: under ``parent`` since 2025-03-31, at the top before."""
    details = mapping(mapping(invoice.get("parent")).get("subscription_details"))
    return ref(details.get("subscription")) or ref(invoice.get("subscription"))


def recurring(price: dict[str, Any]) -> dict[str, Any]:
    """How a price recurs; a former plan says it at the top level."""
    return mapping(price.get("recurring")) or price


def unit_amount(price: dict[str, Any]) -> Decimal | None:
    """Minor units per unit: ``unit_amount_decimal``; of a former plan, ``amount_decimal``."""
    for key in ("unit_amount_decimal", "unit_amount", "amount_decimal", "amount"):
        amount = decimal(price.get(key))
        if amount is not None:
            return amount
    return None


def item_price(item: dict[str, Any]) -> str | None:
    """The price of a subscription item; of an older one, its plan, which is the same object."""
    return ref(item.get("price")) or ref(item.get("plan"))


def item_period(
    item: dict[str, Any], *, subscription: dict[str, Any] | None = None
) -> tuple[datetime | None, datetime | None]:
    """Start and end of an item's current period: its own since 2025-03-31, its subscription's
    before."""
    for owner in (item, mapping(subscription)):
        start, end = (moment(owner.get(f"current_period_{side}")) for side in ("start", "end"))
        if start or end:
            return start, end
    return None, None


def subscription_period(
    subscription: dict[str, Any],
) -> tuple[datetime | None, datetime | None]:
    """The earliest start and the earliest end of the items' periods, which may differ."""
    periods = [
        item_period(item, subscription=subscription) for item in listed(subscription.get("items"))
    ] or [item_period(subscription)]
    starts, ends = zip(*periods, strict=True)
    return min(filter(None, starts), default=None), min(filter(None, ends), default=None)


def is_paid(invoice: dict[str, Any]) -> bool:
    """Whether an invoice is paid: a status; a flag beside it until 2025-03-31."""
    status = text(invoice.get("status"))
    return status == "paid" if status else flag(invoice.get("paid"))


def invoice_payments(invoice: dict[str, Any]) -> list[dict[str, Any]]:
    """The payments of an invoice, each with ``payment``: a list of them since 2025-03-31, absent
    unless expanded; before, the one that the invoice named."""
    found = listed(invoice.get("payments"))
    names = ("charge", "payment_intent")
    former = {name: key for name in names if (key := ref(invoice.get(name)))}
    return found or ([{"is_default": True, "payment": former}] if former else [])


def tax(invoice: dict[str, Any]) -> int | None:
    """Minor units of tax in an invoice's total: the sum of ``total_taxes`` since 2025-03-31, of
    ``total_tax_amounts`` or ``tax`` before. None when nothing is said."""
    for name in ("total_taxes", "total_tax_amounts"):
        entries = invoice.get(name)
        if isinstance(entries, list):
            return sum(integer(mapping(entry).get("amount")) or 0 for entry in entries)
    return integer(invoice.get("tax"))


def balance(customer: dict[str, Any]) -> int | None:
    """Minor units that a customer owes, below zero when it is Stripe that does; ``account_balance``
    until 2019-10-17."""
    for name in ("balance", "account_balance"):
        amount = integer(customer.get(name))
        if amount is not None:
            return amount
    return None


def line_period(line: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Start and end of what a line bills; not the period of its invoice."""
    period = mapping(line.get("period"))
    return moment(period.get("start")), moment(period.get("end"))


def line_quantity(line: dict[str, Any]) -> Decimal | None:
    """How much a line bills: ``quantity_decimal``; ``quantity`` is cut to a whole number."""
    exact = decimal(line.get("quantity_decimal"))
    return exact if exact is not None else decimal(integer(line.get("quantity")))


def line_product(line: dict[str, Any]) -> str | None:
    """The product of an invoice line: under ``pricing`` since 2025-03-31, in its price before."""
    details = mapping(mapping(line.get("pricing")).get("price_details"))
    return ref(details.get("product")) or ref(mapping(line.get("price")).get("product"))


def line_price(line: dict[str, Any]) -> str | None:
    """The price of an invoice line: under ``pricing`` since 2025-03-31; an object of its own, or a
    plan, before."""
    details = mapping(mapping(line.get("pricing")).get("price_details"))
    return ref(details.get("price")) or item_price(line)


def line_item(line: dict[str, Any]) -> str | None:
    """The subscription item of an invoice line: under ``parent`` since 2025-03-31."""
    details = mapping(mapping(line.get("parent")).get("subscription_item_details"))
    return ref(details.get("subscription_item")) or ref(line.get("subscription_item"))


def link(value: Any) -> str:
    """A web address; empty for a link of any other kind, which could run code."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else ""
