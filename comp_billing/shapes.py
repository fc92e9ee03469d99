"""Readers of Stripe objects as received: the one place that knows where fields have moved.

Every reader answers None (or a default) for what is missing, so that an object of another API
version is read as far as it goes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any


def ref(value: Any) -> str | None:
    """The id of a related object, given as an id or expanded."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def moment(value: Any) -> datetime | None:
    """An aware UTC datetime from Unix seconds."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, OSError, ValueError):
        return None


def decimal(value: Any) -> Decimal | None:
    """A finite Decimal from Stripe's decimal text."""
    if not isinstance(value, str | int):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def invoice_subscription(invoice: dict[str, Any]) -> str | None:
    """The subscription of an invoice: under ``parent`` since 2025-03-31, at the top before."""
    parent = invoice.get("parent") or {}
    details = parent.get("subscription_details") or {}
    return ref(details.get("subscription")) or ref(invoice.get("subscription"))
