"""Ids of Stripe's shape: a prefix that tells the kind, then random letters and digits."""

import secrets
import string

PREFIXES = {
    "customer": "cus_",
    "product": "prod_",
    "price": "price_",
    "plan": "price_",
    "billing.meter": "mtr_test_",
    "billing.meter_event_summary": "mtrusg_test_",
    "billing.credit_grant": "credgr_test_",
    "billing.credit_balance_transaction": "cbtxn_test_",
    "customer_balance_transaction": "cbtxn_",
    "subscription": "sub_",
    "subscription_item": "si_",
    "invoice": "in_",
    "line_item": "il_",
    "invoiceitem": "ii_",
    "invoice_payment": "inpay_",
    "payment_intent": "pi_",
    "setup_intent": "seti_",
    "payment_method": "pm_",
    "charge": "ch_",
    "refund": "re_",
    "dispute": "du_",
    "event": "evt_",
    "v2.core.event": "evt_test_",
    "v2.core.event_destination": "ed_test_",
    "webhook_endpoint": "we_",
    "checkout.session": "cs_test_",
    "billing_portal.session": "bps_",
    "billing_portal.configuration": "bpc_",
    "request": "req_",
    "secret": "whsec_",
}
LENGTHS = {"customer": 14, "product": 14, "request": 14, "subscription_item": 14, "secret": 32}
ALPHABET = string.ascii_letters + string.digits


def letters(length: int) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_id(kind: str) -> str:
    """A fresh id of the kind, e.g. `cus_` and 14 letters."""
    return PREFIXES[kind] + letters(LENGTHS.get(kind, 24))


def kind_of(object_id: str) -> str | None:
    """The kind that an id's prefix tells; the longest prefix wins; None if it tells none."""
    fits = [
        (len(prefix), kind) for kind, prefix in PREFIXES.items() if object_id.startswith(prefix)
    ]
    return max(fits)[1] if fits else None
