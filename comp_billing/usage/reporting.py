"""The reporter: usage records on their way to Stripe, exactly once each.

Within a customer and a meter (a lane) records go one after the other, as Stripe asks; lanes go side
by side. That a call is about to be made is committed before it is made. While its outcome is
unknown it is repeated under the same identifier, as long as Stripe surely remembers identifiers;
afterwards the record is put aside as unclear, to be compared with Stripe's totals. It is never sent
again blindly.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from django.db import connection, connections
from django.utils import timezone

from comp_billing import clock, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import StripeError, StripeRefused
from comp_billing.models import UsageRecord, UsageState
from comp_billing.sync import accounts
from comp_billing.sync.pacing import TokenBucket
from comp_billing.usage import outcomes
from comp_billing.usage.limits import IDENTIFIER_WINDOW, OLDEST_USAGE
from comp_billing.usage.queue import LEASE, Lane, claim, has_more, lanes_due
from comp_core.crashpoints import crashpoint

logger = logging.getLogger(__name__)

ROUND_SECONDS = 10.0
EVENTS = "/v1/billing/meter_events"
_bucket = TokenBucket()


def report_due() -> int:
    """Report what is due, oldest first, for some seconds; answers how many were settled.

    Any number of workers may do so at once, each with ``REPORT_CONCURRENCY`` lanes side by side
    and no more than ``REPORTS_PER_SECOND`` calls. Ends early when Stripe is down, busy or closed to
    us, or the key is another account's.
    """
    if not stripe_api.is_configured():
        return 0
    ends, settled = time.monotonic() + ROUND_SECONDS, 0
    try:
        while lanes := lanes_due():
            accounts.check_against(accounts.account_of(lanes[0][0]), tries=1)
            done = _Round(lanes, ends=ends).carry_out()
            settled += done
            if not done or time.monotonic() > ends or not has_more(lanes):
                break
    except StripeError as exc:
        logger.warning("Usage waits: %s", exc)
    return settled


class _Round:
    """Some lanes, emptied by as many threads as the site allows."""

    def __init__(self, lanes: list[Lane], *, ends: float) -> None:
        self.lanes, self.ends = deque(lanes), ends
        self.error: StripeError | None = None
        self.settled = 0
        self._lock = threading.Lock()

    def carry_out(self) -> int:
        """How many records were settled. Raises the StripeError that ended it early."""
        number = min(conf.REPORT_CONCURRENCY, len(self.lanes))
        if number == 1 or not _has_room_for_threads():
            self._empty_lanes()
        else:
            self._report_first()
            with ThreadPoolExecutor(number, thread_name_prefix="comp-usage") as pool:
                # Asked for their results, so that what went wrong in one is raised here.
                list(pool.map(lambda _: self._in_thread(), range(number)))
        if self.error is not None:
            raise self.error
        return self.settled

    def _report_first(self) -> None:
        """One call tells whether Stripe can be reached, before several find out side by side."""
        first, *rest = self.lanes.popleft()
        if report(first):
            self.settled += 1
            self.lanes.appendleft(rest)

    def _in_thread(self) -> None:
        try:
            self._empty_lanes()
        finally:
            connections.close_all()

    def _empty_lanes(self) -> None:
        while (lane := self._next_lane()) is not None:
            try:
                self._empty(lane)
            except StripeError as exc:
                self.error = exc

    def _next_lane(self) -> Lane | None:
        with self._lock:
            return self.lanes.popleft() if self.lanes and not self._is_over() else None

    def _is_over(self) -> bool:
        return self.error is not None or time.monotonic() > self.ends

    def _empty(self, lane: Lane) -> None:
        for record in lane:
            if self._is_over() or not report(record):
                return
            with self._lock:
                self.settled += 1


def _has_room_for_threads() -> bool:
    """Threads have connections of their own, which see neither what a transaction (of a test) has
    not committed nor a database in memory."""
    in_memory = connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined]
    return not (connection.in_atomic_block or in_memory)


def report(record: UsageRecord) -> bool:
    """Take one record a step further; whether it is settled now.

    Two statements when all goes well: that it is about to be sent, and that it was accepted.
    """
    _bucket.take(per_second=conf.REPORTS_PER_SECOND)
    now = clock.now()
    in_doubt = record.state == UsageState.SENDING and record.first_sent_at is not None
    if in_doubt and now - (record.first_sent_at or now) >= IDENTIFIER_WINDOW:
        return outcomes.put_aside(record)
    if not in_doubt and timezone.now() - record.used_at > OLDEST_USAGE:
        return outcomes.expire(record)
    crashpoint("usage_claim:begin")
    if not claim(record, now):
        return False
    crashpoint("usage_claim:committed")
    if clock.now() - now > LEASE:
        # This process has slept; whether Stripe still knows the identifier is another question now.
        return False
    try:
        answer = _send(record)
    except StripeRefused as exc:
        outcomes.refuse(record, exc, was_in_doubt=in_doubt)
    except StripeError as exc:
        outcomes.postpone(record, exc, was_in_doubt=in_doubt)
        raise
    else:
        crashpoint("usage:answered")
        outcomes.accept(record, request_id=answer.request_id)
    return True


def _send(record: UsageRecord) -> stripe_api.Answer:
    assert record.timestamp is not None  # noqa: S101  # the claim has set it
    params = {
        "event_name": record.event_name,
        "identifier": record.stripe_identifier,
        "timestamp": int(record.timestamp.timestamp()),
        "payload": {
            "stripe_customer_id": record.stripe_customer_id,
            "value": str(record.quantity),
        },
    }
    # Repeating is ours alone: an answer that follows a lost one would be mistaken for the first.
    key = f"usage-{record.stripe_identifier}-{record.attempts}"
    return stripe_api.call("post", EVENTS, params, idempotency_key=key, retries=0)
