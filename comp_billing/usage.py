"""The reporter: usage records on their way to Stripe, exactly once each.

Within a customer and a meter records go one after the other, as Stripe asks. That a call is about
to be made is committed before it is made. While its outcome is unknown it is repeated under the
same identifier, as long as Stripe surely remembers identifiers; afterwards the record is put aside
as unclear, for a person to compare with Stripe's totals. It is never sent again blindly.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, Min, OuterRef, Q
from django.utils import timezone

from comp_billing import clock, shapes, stripe_api
from comp_billing.backoff import pause_seconds
from comp_billing.exceptions import (
    StripeError,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
)
from comp_billing.models import LIVE_STATUSES, SubscriptionItem, UsageRecord, UsageState
from comp_billing.sync import accounts

logger = logging.getLogger(__name__)

# Stripe remembers identifiers for at least 24 hours.
IDENTIFIER_WINDOW = timedelta(hours=23)
# Stripe takes usage of the past 35 days.
OLDEST_USAGE = timedelta(days=35)
# How long a record that is being sent is left alone by other workers.
LEASE = timedelta(seconds=120)
ROUND_SECONDS = 10.0
BATCH = 500
UNSETTLED = (UsageState.PENDING, UsageState.SENDING)


def report_due() -> int:
    """Report what is due, oldest first, for some seconds; answers how many were settled.

    Any number of workers may do so at once. Ends early when Stripe is down, busy or closed to us,
    or the key is another account's.
    """
    if not stripe_api.is_configured():
        return 0
    settled = 0
    ends = time.monotonic() + ROUND_SECONDS
    try:
        now, pairs = clock.now(), _pairs_due()
        if pairs:
            accounts.check(tries=1)
        for pair in pairs:
            for record in _queue_of(pair):
                if time.monotonic() > ends:
                    return settled
                if not _report(record, now):
                    break
                settled += 1
    except StripeError as exc:
        logger.warning("Usage waits: %s", exc)
    return settled


def _is_due() -> Q:
    return Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=timezone.now())


def _pairs_due() -> list[dict[str, str]]:
    """The pairs of customer and meter that have something due, the longest waiting first."""
    due = UsageRecord.objects.filter(_is_due(), state__in=UNSETTLED)
    pairs = due.values("stripe_customer_id", "meter_id").annotate(first=Min("created"))
    return [
        {"stripe_customer_id": pair["stripe_customer_id"], "meter_id": pair["meter_id"]}
        for pair in pairs.order_by("first")[:BATCH]
    ]


def _queue_of(pair: dict[str, str]) -> list[UsageRecord]:
    records = UsageRecord.objects.filter(state__in=UNSETTLED, **pair)
    joined = records.select_related("subscription_item__subscription")
    return list(joined.order_by("created", "pk")[:BATCH])


def _report(record: UsageRecord, now: datetime) -> bool:
    """Take one record a step further; whether it is settled now. ``now`` is of Stripe's clock."""
    aside = _put_aside(record, now)
    if aside is not None:
        return aside
    if not _claim(record, now):
        return False
    was_in_doubt = record.state == UsageState.SENDING
    record.refresh_from_db(fields=["timestamp", "attempts", "first_sent_at"])
    try:
        answer = _send(record)
    except StripeRefused as exc:
        _refused(record, exc, was_in_doubt=was_in_doubt)
    except StripeError as exc:
        _postpone(record, exc, was_in_doubt=was_in_doubt)
        raise
    else:
        _accept(record, request_id=answer.request_id)
    return True


def _put_aside(record: UsageRecord, now: datetime) -> bool | None:
    """Settle a record that must not be sent any more; None when it may be."""
    doubt = record.state == UsageState.SENDING and record.first_sent_at is not None
    if doubt and now - (record.first_sent_at or now) >= IDENTIFIER_WINDOW:
        why = "No answer of Stripe's for so long that it may have forgotten the identifier."
        return _settle(record, UsageState.AMBIGUOUS, error_code="no_answer", error_message=why)
    if not doubt and timezone.now() - record.used_at > OLDEST_USAGE:
        why = "Stripe takes usage of the past 35 days only."
        return _settle(record, UsageState.EXPIRED, error_code="too_old", error_message=why)
    return None


def _claim(record: UsageRecord, now: datetime) -> bool:
    """Take a record to be sent, unless it, or an earlier one of its pair, is on its way.

    The time of use is fixed here, before the first call, and kept by all that follow.
    """
    earlier = UsageRecord.objects.filter(
        Q(created__lt=record.created)
        | Q(state=UsageState.SENDING, next_attempt_at__gt=timezone.now()),
        state__in=UNSETTLED,
        stripe_customer_id=OuterRef("stripe_customer_id"),
        meter=OuterRef("meter"),
    ).exclude(pk=record.pk)
    claimed = UsageRecord.objects.filter(
        _is_due(), ~Exists(earlier), pk=record.pk, state=record.state, attempts=record.attempts
    ).update(
        state=UsageState.SENDING,
        attempts=F("attempts") + 1,
        next_attempt_at=timezone.now() + LEASE,
        first_sent_at=record.first_sent_at or now,
        timestamp=record.timestamp or stamp(record, now),
        modified=timezone.now(),
    )
    return bool(claimed)


def stamp(record: UsageRecord, now: datetime) -> datetime:
    """The time of use as Stripe shall hear it: the real one while its period is surely open.

    Usage of a period that may be invoiced already would be lost, and so would usage from before
    the item was there, or of an item that has ended (its successor bills the meter); such usage is
    stamped with the time of sending.
    """
    item: SubscriptionItem = record.subscription_item
    subscription = item.subscription
    if item.deleted or subscription is None or subscription.status not in LIVE_STATUSES:
        return now
    start, end = item.current_period_start, item.current_period_end
    created = shapes.moment(item.data.get("created"))
    is_open = bool(start and end and start <= record.used_at <= now < end)
    if is_open and (created is None or created <= record.used_at):
        return record.used_at
    return now


def _send(record: UsageRecord) -> stripe_api.Answer:
    assert record.timestamp is not None  # noqa: S101  # the claim has set it
    params = {
        "event_name": record.event_name,
        "identifier": str(record.identifier),
        "timestamp": int(record.timestamp.timestamp()),
        "payload": {
            "stripe_customer_id": record.stripe_customer_id,
            "value": str(record.quantity),
        },
    }
    # Repeating is ours alone: an answer that follows a lost one would be mistaken for the first.
    key = f"usage-{record.identifier}-{record.attempts}"
    return stripe_api.call(
        "post", "/v1/billing/meter_events", params, idempotency_key=key, retries=0
    )


def _accept(record: UsageRecord, *, request_id: str = "") -> bool:
    return _settle(
        record,
        UsageState.ACCEPTED,
        accepted_at=timezone.now(),
        request_id=request_id,
        error_code="",
        error_message="",
    )


def _refused(record: UsageRecord, error: StripeRefused, *, was_in_doubt: bool) -> bool:
    if error.code == "duplicate_meter_event":
        return _accept(record)
    # An earlier call, whose answer was lost, may have been accepted all the same.
    state = UsageState.AMBIGUOUS if was_in_doubt else UsageState.REJECTED
    logger.error("Stripe refused usage record %s: %s", record.pk, error.code)
    return _settle(record, state, error_code=error.code[:100], error_message=str(error))


def _settle(record: UsageRecord, state: UsageState, **values: Any) -> bool:
    """Move a record out of the outbox, unless it has left the state it was read in."""
    return bool(
        UsageRecord.objects.filter(pk=record.pk, state__in=UNSETTLED).update(
            state=state, next_attempt_at=None, modified=timezone.now(), **values
        )
    )


def _postpone(record: UsageRecord, error: StripeError, *, was_in_doubt: bool) -> None:
    pause = timedelta(seconds=pause_seconds(record.attempts, error=error))
    values: dict[str, Any] = {
        "next_attempt_at": timezone.now() + pause,
        "error_message": str(error),
    }
    surely_not_taken = isinstance(error, StripeRateLimited | StripeMisconfigured)
    if surely_not_taken and not was_in_doubt:
        # As good as never sent, so the next try may stamp it afresh.
        values |= {"state": UsageState.PENDING, "first_sent_at": None, "timestamp": None}
    UsageRecord.objects.filter(pk=record.pk, state=UsageState.SENDING).update(
        modified=timezone.now(), **values
    )


def reject(identifier: str, *, code: str, message: str) -> bool:
    """Mark a record that Stripe had taken and then did not count; whether there was one."""
    try:
        key = uuid.UUID(identifier)
    except ValueError:
        return False
    taken = (UsageState.ACCEPTED, UsageState.SENDING, UsageState.AMBIGUOUS)
    logger.error("Stripe did not count usage record %s: %s", key, code)
    return bool(
        UsageRecord.objects.filter(pk=key, state__in=taken).update(
            state=UsageState.REJECTED,
            error_code=code[:100],
            error_message=message[:2000],
            next_attempt_at=None,
            modified=timezone.now(),
        )
    )
