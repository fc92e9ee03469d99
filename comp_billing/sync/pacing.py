"""How fast Stripe is asked: a token bucket for each process, and patience when it is too fast."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from comp_billing import stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import StripeRateLimited, StripeUnavailable
from comp_billing.stripe_api import Answer

logger = logging.getLogger(__name__)

TRIES = 6
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


class TokenBucket:
    """Hands out so many permissions a second; those not used are saved up for one second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = 0.0
        self._filled_at = float("-inf")
        self._rests_until = float("-inf")
        #: How many were handed out.
        self.taken = 0

    def take(self, *, per_second: float) -> None:
        """Return when the caller may go on; the wait is as long as it takes to be its turn."""
        with self._lock:
            now = time.monotonic()
            capacity = max(1.0, per_second)
            # A frozen clock of a test may go back.
            grown = max(0.0, now - self._filled_at) * per_second
            self._tokens = min(capacity, self._tokens + grown)
            self._filled_at = now
            # Below zero: taken in advance, in the order of asking.
            self._tokens -= 1
            self.taken += 1
            wait = max(0.0, -self._tokens / per_second)
        if wait:
            time.sleep(wait)

    def rest(self, seconds: float) -> None:
        """Say that nothing is to be asked for so long, because Stripe said so; the caller looks.

        Never the same for two processes, which would come back at one moment.
        """
        with self._lock:
            longest = min(seconds, LONGEST_PAUSE_SECONDS)
            pause = random.uniform(longest, 1.25 * longest)  # noqa: S311 - no secret
            self._rests_until = time.monotonic() + pause

    def is_resting(self) -> bool:
        return time.monotonic() < self._rests_until


_bucket = TokenBucket()


def asked() -> int:
    """How many requests this process has made of Stripe here, repeated ones included."""
    return _bucket.taken


def ask(
    path: str,
    params: dict[str, Any] | None = None,
    *,
    tries: int = TRIES,
    tick: Callable[[], None] = lambda: None,
) -> Answer:
    """Read something of Stripe's, no faster than ``COMP_BILLING["SYNC_REQUESTS_PER_SECOND"]``.

    Waits and asks again when Stripe is too busy or away, a few times. ``tick`` is called before
    each request, at most a minute after the last. Raises a StripeError, and what ``tick`` raises.
    """
    for attempt in range(1, tries + 1):
        _bucket.take(per_second=conf.SYNC_REQUESTS_PER_SECOND)
        tick()
        try:
            # Not repeated by the SDK, whose requests would be neither paced nor counted.
            return stripe_api.call("get", path, params, retries=0)
        except (StripeRateLimited, StripeUnavailable) as exc:
            if attempt == tries:
                raise
            logger.info("Stripe is asked again for %s: %s", path.partition("?")[0], exc)
            time.sleep(_pause(attempt, exc))
    raise AssertionError("every round returns or raises")


def _pause(attempt: int, exc: StripeRateLimited | StripeUnavailable) -> float:
    """At least what Stripe asks for; else longer each time. Never the same for two processes."""
    least: float | None = getattr(exc, "retry_after", None)
    if least is None:
        least = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
    least = min(least, LONGEST_PAUSE_SECONDS)
    return random.uniform(least, 2 * least)  # noqa: S311 - no secret
