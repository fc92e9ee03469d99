"""What Stripe promises about meter events, and what we make of it."""

from __future__ import annotations

from datetime import timedelta

from comp_billing.models import UsageState

# Stripe remembers identifiers for at least 24 hours.
IDENTIFIER_WINDOW = timedelta(hours=23)
# Stripe takes usage of the past 35 days.
OLDEST_USAGE = timedelta(days=35)
# Usage that has waited this long is soon lost: the operators are told.
NEARLY_LOST = timedelta(days=30)
# Stripe cancels a meter event within 24 hours of its arrival.
CANCEL_WINDOW = timedelta(hours=23)
# Stripe counts usage some time after it has taken it, and does not say when; its totals of a
# moment are believed once nothing has been sent for that moment for so long.
COUNTED_AFTER = timedelta(hours=1)
# How much earlier than we sent it usage may have arrived, by Stripe's clock: less than what passes
# before usage is told once more.
CLOCKS_DIFFER_BY = timedelta(minutes=30)
# On its way: neither settled nor put aside.
UNSETTLED = (UsageState.PENDING, UsageState.SENDING)
# Not billed unless a person, or Stripe's totals, decide about it.
OPEN = (UsageState.REJECTED, UsageState.AMBIGUOUS, UsageState.EXPIRED)
