"""Subscriptions, invoices and payments in other versions' shapes; see ``former_shapes``."""

from __future__ import annotations

from tests.billing.former_shapes import (
    ACACIA,
    BASIL,
    DAHLIA,
    FERN,
    OLDEST,
    Ids,
    Json,
    Shape,
    charge,
    charge_to_come,
    charge_without_invoice,
    customer,
    customer_to_come,
    customer_with_settings,
    meter,
    meter_to_come,
    price,
    price_to_come,
    price_with_meter,
    product,
    product_to_come,
    product_with_default,
)


def subscription(ids: Ids) -> Json:
    """One plan and one period for all, at the top."""
    return {
        "id": ids["subscription"],
        "object": "subscription",
        "billing": "charge_automatically",
        "current_period_end": 200,
        "current_period_start": 100,
        "customer": ids["customer"],
        "items": {
            "object": "list",
            "data": [
                {
                    "id": ids["subscription_item"],
                    "object": "subscription_item",
                    "plan": {"id": ids["price"], "object": "plan", "amount": 99},
                }
            ],
            "has_more": False,
        },
        "plan": {"id": ids["price"], "object": "plan", "amount": 99},
        "quantity": 1,
        "status": "unpaid",
        "tax_percent": 7.5,
    }


def subscription_with_prices(ids: Ids) -> Json:
    """Items with prices, the period still at the top."""
    whole = subscription(ids)
    (item,) = whole["items"]["data"]
    return {
        **{name: whole[name] for name in ("id", "object", "customer", "status")},
        "collection_method": "charge_automatically",
        "current_period_end": 200,
        "current_period_start": 100,
        "discount": {"id": "di_false", "object": "discount"},
        "items": {**whole["items"], "data": [{**item, "price": {"id": ids["price"]}}]},
    }


def subscription_with_item_periods(ids: Ids) -> Json:
    """Of which an item has gone: a complete list that does not name it."""
    return {
        "id": ids["subscription"],
        "object": "subscription",
        "customer": ids["customer"],
        "discounts": ["di_false"],
        "items": {
            "object": "list",
            "data": [
                {
                    "id": "si_false",
                    "object": "subscription_item",
                    "current_period_end": 200,
                    "current_period_start": 100,
                    "price": {"id": ids["price"]},
                }
            ],
            "has_more": False,
        },
        "status": "canceled",
    }


def subscription_to_come(ids: Ids) -> Json:
    return {
        "id": ids["subscription"],
        "object": "subscription",
        "customer": {"payer": {"id": ids["customer"]}},
        "items": [{"id": ids["subscription_item"], "pricing": {"price": ids["price"]}}],
        "status": {"type": "canceled", "canceled": {"at": 5}},
    }


def invoice(ids: Ids) -> Json:
    """It named its subscription, charge and payment intent, and whether it was paid."""
    return {
        "id": ids["invoice"],
        "object": "invoice",
        "amount_due": 1,
        "amount_paid": 0,
        "charge": ids["charge"],
        "currency": "eur",
        "customer": ids["customer"],
        "lines": {
            "object": "list",
            "data": [
                {
                    "id": "il_false",
                    "object": "line_item",
                    "amount": 1,
                    "plan": {"id": ids["price"]},
                    "price": {"id": ids["price"], "product": ids["product"]},
                    "quantity": 1,
                    "subscription_item": ids["subscription_item"],
                }
            ],
            "has_more": False,
        },
        "paid": False,
        "payment_intent": "pi_false",
        "status": "void",
        "subscription": ids["subscription"],
        "tax": 1,
        "total": 1,
        "total_tax_amounts": [{"amount": 1}],
    }


def invoice_with_details(ids: Ids) -> Json:
    """With ``subscription_details`` beside the subscription, and amounts excluding tax."""
    return {**invoice(ids), "subscription_details": {"metadata": {}}, "total_excluding_tax": 1}


def invoice_with_parent(ids: Ids) -> Json:
    """The subscription under its parent, and payments that are not its."""
    return {
        "id": ids["invoice"],
        "object": "invoice",
        "amount_due": 1,
        "amount_paid": 0,
        "currency": "eur",
        "customer": ids["customer"],
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": "sub_false"},
        },
        "payments": {
            "object": "list",
            "data": [{"id": "inpay_false", "object": "invoice_payment", "status": "canceled"}],
            "has_more": False,
        },
        "status": "void",
        "total": 1,
        "total_taxes": [{"amount": 1, "type": "tax_rate_details"}],
    }


def invoice_to_come(ids: Ids) -> Json:
    return {
        "id": ids["invoice"],
        "object": "invoice",
        "customer": {"payer": {"id": ids["customer"]}},
        "line_items": {"url": "/v2/invoices/lines"},
        "lines": None,
        "parent": [{"subscription": ids["subscription"]}],
        "payments": "inpay_false",
        "status": ["void"],
        "totals": {"total": {"value": "1", "currency": "eur"}},
        "total": {"value": "1"},
    }


def invoice_payment(ids: Ids) -> Json:
    return {
        "id": ids["invoice_payment"],
        "object": "invoice_payment",
        "amount_paid": 1,
        "invoice": ids["invoice"],
        "is_default": False,
        "payment": {"type": "charge", "charge": ids["charge"]},
        "status": "canceled",
    }


def invoice_payment_to_come(ids: Ids) -> Json:
    return {
        "id": ids["invoice_payment"],
        "object": "invoice_payment",
        "amount_paid": {"value": 1},
        "invoice": {"of": ids["invoice"]},
        "payment": [{"payment_record": "pr_false"}],
        "status": None,
    }


#: What an object looked like, or will, in each version that has it.
SHAPES: dict[str, dict[str, Shape]] = {
    OLDEST: {
        "product": product,
        "price": price,
        "customer": customer,
        "charge": charge,
        "subscription": subscription,
        "invoice": invoice,
    },
    ACACIA: {
        "product": product_with_default,
        "price": price_with_meter,
        "billing.meter": meter,
        "customer": customer_with_settings,
        "charge": charge,
        "subscription": subscription_with_prices,
        "invoice": invoice_with_details,
    },
    BASIL: {
        "product": product_with_default,
        "price": price_with_meter,
        "billing.meter": meter,
        "customer": customer_with_settings,
        "charge": charge_without_invoice,
        "subscription": subscription_with_item_periods,
        "invoice": invoice_with_parent,
        "invoice_payment": invoice_payment,
    },
    FERN: {
        "product": product_to_come,
        "price": price_to_come,
        "billing.meter": meter_to_come,
        "customer": customer_to_come,
        "charge": charge_to_come,
        "subscription": subscription_to_come,
        "invoice": invoice_to_come,
        "invoice_payment": invoice_payment_to_come,
    },
}
# Between these two nothing moved that is mirrored here.
SHAPES[DAHLIA] = SHAPES[BASIL]
EVENT_TYPES = {
    "product": "product.updated",
    "price": "price.updated",
    "billing.meter": "billing.meter.updated",
    "customer": "customer.updated",
    "charge": "charge.updated",
    "subscription": "customer.subscription.updated",
    "invoice": "invoice.updated",
    "invoice_payment": "invoice_payment.paid",
}
