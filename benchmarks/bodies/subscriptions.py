"""A subscription of one item."""

from __future__ import annotations

from typing import Any

from benchmarks.bodies.catalog import plan, price
from benchmarks.bodies.ids import EPOCH, MONTH, PRICES, Json, key


def subscription_item(number: int) -> Json:
    return {
        "id": key("si", number),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": EPOCH,
        "current_period_end": EPOCH + MONTH,
        "current_period_start": EPOCH,
        "discounts": [],
        "metadata": {},
        "plan": plan(number % PRICES),
        "price": price(number % PRICES),
        "quantity": 1,
        "subscription": key("sub", number),
        "tax_rates": [],
    }


def subscription(number: int, **changed: Any) -> Json:
    """Of the customer of the same number."""
    return {
        "id": key("sub", number),
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": EPOCH,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": EPOCH,
        "currency": "usd",
        "customer": key("cus", number),
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": [subscription_item(number)],
            "has_more": False,
            "total_count": 1,
            "url": f"/v1/subscription_items?subscription={key('sub', number)}",
        },
        "latest_invoice": None,
        "livemode": False,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "on_subscription",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "plan": plan(number % PRICES),
        "quantity": 1,
        "schedule": None,
        "start_date": EPOCH,
        "status": "active",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": None,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None,
        **changed,
    }
