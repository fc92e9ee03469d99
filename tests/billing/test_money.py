"""Amounts in currencies with no, two and three decimal places."""

from __future__ import annotations

from decimal import Decimal

import pytest

from comp_billing import money


@pytest.mark.parametrize(
    ("minor", "currency", "units", "text"),
    [
        (123450, "usd", "1234.50", "$1,234.50"),
        (-1, "usd", "-0.01", "-$0.01"),
        (500, "jpy", "500", "¥500"),
        (12340, "kwd", "12.340", "12.340 KWD"),
        (500, "isk", "5.00", "5.00 ISK"),
        (500, "ugx", "5.00", "5.00 UGX"),
        (99, "chf", "0.99", "0.99 CHF"),
    ],
)
def test_minor_units_become_text(minor: int, currency: str, units: str, text: str) -> None:
    """As Stripe counts them."""
    assert (money.from_minor(minor, currency), money.format_amount(minor, currency)) == (
        Decimal(units),
        text,
    )


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("0.000001", "usd", "0.0001"), ("7", "jpy", "7"), ("0.000001", "kwd", "0.001")],
)
def test_currency_units_become_minor_units_exactly(amount: str, currency: str, minor: str) -> None:
    """Fractions of a minor unit are kept: prices have them."""
    assert money.to_minor(Decimal(amount), currency) == Decimal(minor)


def test_an_unknown_amount_is_no_text() -> None:
    """An invoice of another API version may lack it."""
    assert money.format_amount(None, "usd") == ""


@pytest.mark.parametrize(("code", "known"), [("usd", True), ("USD", False), ("xyz", False)])
def test_currencies_are_those_that_stripe_charges_in(code: str, known: bool) -> None:
    """Lower-case codes only, as the setting and Stripe have them."""
    assert money.is_currency(code) is known
