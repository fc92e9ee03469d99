"""The mirror of Stripe, the outbox and the events in the admin: to look at, not to edit.

``StripeObjectAdmin`` serves a host's own kinds of Stripe objects too.
"""

from comp_billing.admin import events, limits, outbox, proxies, syncs
from comp_billing.admin.base import StripeObjectAdmin
from comp_billing.admin.columns import amount, related

__all__ = [
    "StripeObjectAdmin",
    "amount",
    "events",
    "limits",
    "outbox",
    "proxies",
    "related",
    "syncs",
]
