"""What is sold, to whom, and by whom."""

from __future__ import annotations

from typing import Any

from benchmarks.bodies.ids import ACCOUNT, EPOCH, Json, key


def account() -> Json:
    return {
        "id": ACCOUNT,
        "object": "account",
        "business_profile": {"mcc": None, "name": "Benchmarks", "url": None},
        "charges_enabled": True,
        "country": "US",
        "created": EPOCH,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "benchmarks@example.com",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"branding": {"icon": None, "logo": None, "primary_color": None}},
        "type": "standard",
    }


def product(number: int) -> Json:
    return {
        "id": key("prod", number),
        "object": "product",
        "active": True,
        "attributes": [],
        "created": EPOCH,
        "default_price": None,
        "description": f"Model number {number}",
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": f"Model {number}",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": "second",
        "updated": EPOCH,
        "url": None,
    }


def price(number: int) -> Json:
    return {
        "id": key("price", number),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": EPOCH,
        "currency": "usd",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": key("prod", number),
        "recurring": {
            "interval": "month",
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": 1500,
        "unit_amount_decimal": "1500",
    }


def plan(number: int) -> Json:
    """A price in its older form, which subscriptions still repeat."""
    return {
        "id": key("price", number),
        "object": "plan",
        "active": True,
        "amount": 1500,
        "amount_decimal": "1500",
        "billing_scheme": "per_unit",
        "created": EPOCH,
        "currency": "usd",
        "interval": "month",
        "interval_count": 1,
        "livemode": False,
        "metadata": {},
        "meter": None,
        "nickname": None,
        "product": key("prod", number),
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def customer(number: int, **changed: Any) -> Json:
    return {
        "id": key("cus", number),
        "object": "customer",
        "address": {
            "city": "Springfield",
            "country": "US",
            "line1": f"{number} Main Street",
            "line2": None,
            "postal_code": "97477",
            "state": "OR",
        },
        "balance": 0,
        "created": EPOCH,
        "currency": "usd",
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": f"person{number}@example.com",
        "invoice_prefix": f"B{number:07d}",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {"department": "hydrology"},
        "name": f"Person {number}",
        "next_invoice_sequence": 2,
        "phone": None,
        "preferred_locales": ["en"],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
        **changed,
    }


def reader(number: int) -> Json:
    """An object that neither side keeps."""
    return {
        "id": key("tmr", number),
        "object": "terminal.reader",
        "action": {
            "failure_code": None,
            "failure_message": None,
            "process_payment_intent": {"payment_intent": key("pi", number)},
            "status": "succeeded",
            "type": "process_payment_intent",
        },
        "device_sw_version": "2.37.2.0",
        "device_type": "bbpos_wisepos_e",
        "ip_address": "192.0.2.17",
        "label": f"Reader {number}",
        "last_seen_at": EPOCH * 1000,
        "livemode": False,
        "location": None,
        "metadata": {},
        "serial_number": f"{number:09d}",
        "status": "online",
    }
