"""What follows when Stripe tells something: the handlers of events.

Every event is mirrored before its handlers run, so a handler is only needed for what follows from
the news: subscriptions and invoices, for example, are as true as their rows without one.
"""

from comp_billing.handlers.registry import (
    Handler,
    Registration,
    handlers_of,
    name_of,
    on,
    registrations,
    unregister,
)

__all__ = [
    "Handler",
    "Registration",
    "handlers_of",
    "name_of",
    "on",
    "registrations",
    "unregister",
]
