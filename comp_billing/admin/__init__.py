"""The mirror of Stripe, the outbox and the events in the admin: to look at, not to edit."""

from comp_billing.admin import outbox, proxies

__all__ = ["outbox", "proxies"]
