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
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH else None


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


def line_product(line: dict[str, Any]) -> str | None:
    """The product of an invoice line: under ``pricing`` since 2025-03-31, in its price before."""
    details = mapping(mapping(line.get("pricing")).get("price_details"))
    return ref(details.get("product")) or ref(mapping(line.get("price")).get("product"))


def line_item(line: dict[str, Any]) -> str | None:
    """The subscription item of an invoice line: under ``parent`` since 2025-03-31."""
    details = mapping(mapping(line.get("parent")).get("subscription_item_details"))
    return ref(details.get("subscription_item")) or ref(line.get("subscription_item"))


def link(value: Any) -> str:
    """A web address; empty for a link of any other kind, which could run code."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else ""
