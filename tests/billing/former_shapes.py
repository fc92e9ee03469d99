"""Objects in the shapes of other API versions, written by hand: only their ids are right.

What they say is false on purpose, so that it shows where any of it is believed. ``ids`` names the
objects of an account by kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Ids = dict[str, str]
Shape = Callable[[Ids], Json]

OLDEST, ACACIA = "2020-08-27", "2024-09-30.acacia"
BASIL, DAHLIA, FERN = "2025-03-31.basil", "2026-08-26.dahlia", "2027-03-31.fern"


def product(ids: Ids) -> Json:
    """With what goods had; ``features`` were renamed in 2024."""
    return {
        "id": ids["product"],
        "object": "product",
        "active": False,
        "attributes": [],
        "caption": None,
        "features": [{"name": "false"}],
        "name": "False",
        "type": "service",
        "skus": {"object": "list", "data": []},
    }


def product_with_default(ids: Ids) -> Json:
    return {
        "id": ids["product"],
        "object": "product",
        "active": False,
        "default_price": ids["price"],
        "marketing_features": [],
        "name": "False",
    }


def product_to_come(ids: Ids) -> Json:
    return {
        "id": ids["product"],
        "object": "product",
        "active": {"from": 1, "until": None},
        "details": {"name": {"text": "False"}},
        "name": ["False"],
    }


def price(ids: Ids) -> Json:
    """Metered without a meter: usage was added up by the price."""
    return {
        "id": ids["price"],
        "object": "price",
        "active": False,
        "currency": "eur",
        "product": ids["product"],
        "recurring": {
            "aggregate_usage": "last_ever",
            "interval": "year",
            "interval_count": 3,
            "usage_type": "licensed",
        },
        "unit_amount": 99,
    }


def price_with_meter(ids: Ids) -> Json:
    return {
        "id": ids["price"],
        "object": "price",
        "active": False,
        "currency": "eur",
        "product": {"id": ids["product"], "object": "product"},
        "recurring": {"interval": "year", "meter": ids["billing.meter"], "usage_type": "metered"},
        "unit_amount_decimal": "99.5",
    }


def price_to_come(ids: Ids) -> Json:
    return {
        "id": ids["price"],
        "object": "price",
        "currency": {"code": "eur"},
        "product": {"reference": {"id": ids["product"]}},
        "recurring": [{"every": {"year": 1}}],
        "unit_amount_decimal": {"value": "99", "scale": 2},
    }


def meter(ids: Ids) -> Json:
    return {
        "id": ids["billing.meter"],
        "object": "billing.meter",
        "event_name": "false",
        "status": "inactive",
    }


def meter_to_come(ids: Ids) -> Json:
    return {
        "id": ids["billing.meter"],
        "object": "billing.meter",
        "event_name": ["false", "falser"],
        "status": {"type": "inactive", "since": 1},
    }


def customer(ids: Ids) -> Json:
    """With sources and one discount."""
    return {
        "id": ids["customer"],
        "object": "customer",
        "account_balance": 700,
        "default_source": "card_false",
        "discount": {"coupon": {"id": "half"}},
        "email": "false@example.org",
        "sources": {"object": "list", "data": [{"id": "card_false"}], "has_more": True},
        "tax_info": None,
    }


def customer_with_settings(ids: Ids) -> Json:
    return {
        "id": ids["customer"],
        "object": "customer",
        "balance": 700,
        "email": "false@example.org",
        "invoice_settings": {"default_payment_method": "pm_false"},
    }


def customer_to_come(ids: Ids) -> Json:
    return {
        "id": ids["customer"],
        "object": "customer",
        "balance": {"usd": 700},
        "email": {"address": "false@example.org", "verified": True},
        "invoice_settings": [{"default_payment_method": {"id": 5}}],
    }


def charge(ids: Ids) -> Json:
    """It named its invoice, its source and its dispute."""
    return {
        "id": ids["charge"],
        "object": "charge",
        "amount": 1,
        "currency": "eur",
        "customer": ids["customer"],
        "dispute": "dp_false",
        "invoice": ids["invoice"],
        "refunds": {"object": "list", "data": [], "has_more": False},
        "source": {"id": "card_false", "object": "card"},
        "status": "failed",
    }


def charge_without_invoice(ids: Ids) -> Json:
    return {
        "id": ids["charge"],
        "object": "charge",
        "amount": 1,
        "currency": "eur",
        "customer": ids["customer"],
        "disputed": True,
        "payment_intent": {"id": "pi_false", "object": "payment_intent"},
        "status": "failed",
    }


def charge_to_come(ids: Ids) -> Json:
    return {
        "id": ids["charge"],
        "object": "charge",
        "amount": {"value": 1, "currency": "eur"},
        "customer": [ids["customer"]],
        "payment_intent": ["pi_false"],
        "status": {"type": "failed", "failed": {"code": "declined"}},
    }
