"""How long to wait before a call to Stripe is tried again."""

from __future__ import annotations

import random

from comp_billing.exceptions import StripeError, StripeMisconfigured, StripeRateLimited

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 3600.0
# A wrong key is an operator's to correct: no more than one try a minute.
MISCONFIGURED_SECONDS = 60.0

_random = random.SystemRandom()


def pause_seconds(attempts: int, *, error: StripeError | None = None) -> float:
    """Doubling with each attempt up to an hour, with jitter; never sooner than Stripe asks for.

    The jitter keeps many waiting rows, and many workers, from coming back in step.
    """
    pause = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempts, 20))
    pause *= _random.uniform(0.5, 1.0)
    if isinstance(error, StripeRateLimited) and error.retry_after:
        return max(pause, error.retry_after * _random.uniform(1.0, 1.25))
    if isinstance(error, StripeMisconfigured):
        return max(pause, MISCONFIGURED_SECONDS)
    return pause
