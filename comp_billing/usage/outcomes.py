"""What becomes of usage: the transitions out of the outbox, each one guarded UPDATE."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils import timezone

from comp_billing.backoff import pause_seconds
from comp_billing.exceptions import (
    StripeError,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
)
from comp_billing.models import Correction, CorrectionKind, UsageRecord, UsageState
from comp_billing.usage.limits import CLOCKS_DIFFER_BY, UNSETTLED
from comp_core.crashpoints import crashpoint

logger = logging.getLogger(__name__)

NO_ANSWER = "No answer of Stripe's for so long that it may have forgotten the identifier."
TOO_OLD = "Stripe takes usage of the past 35 days only."


def settle(record: UsageRecord, state: UsageState, **values: Any) -> bool:
    """Move a record out of the outbox, unless it has left the state it was read in."""
    crashpoint("usage_settle:begin")
    values = {"next_attempt_at": None, "modified": timezone.now(), **values}
    mine = UsageRecord.objects.filter(
        pk=record.pk, state__in=UNSETTLED, generation=record.generation
    )
    settled = bool(mine.update(state=state, **values))
    crashpoint("usage_settle:committed")
    return settled


def accept(record: UsageRecord, *, request_id: str = "") -> bool:
    """Stripe has taken it, now or before."""
    return settle(
        record,
        UsageState.ACCEPTED,
        accepted_at=timezone.now(),
        request_id=request_id,
        error_code="",
        error_message="",
    )


def refuse(record: UsageRecord, error: StripeRefused, *, was_in_doubt: bool) -> bool:
    """Stripe does not take it; that it has it already is the answer to a repeated call."""
    if error.code == "duplicate_meter_event":
        return accept(record)
    # An earlier call, whose answer was lost, may have been accepted all the same.
    state = UsageState.AMBIGUOUS if was_in_doubt else UsageState.REJECTED
    logger.error("Stripe refused usage record %s: %s", record.pk, error.code)
    return settle(record, state, error_code=error.code[:100], error_message=str(error))


def put_aside(record: UsageRecord) -> bool:
    """In doubt for too long to be sent again."""
    return settle(record, UsageState.AMBIGUOUS, error_code="no_answer", error_message=NO_ANSWER)


def expire(record: UsageRecord) -> bool:
    """Too old to be sent at all."""
    return settle(record, UsageState.EXPIRED, error_code="too_old", error_message=TOO_OLD)


def postpone(record: UsageRecord, error: StripeError, *, was_in_doubt: bool) -> None:
    """To be tried again later; the record stays in doubt unless Stripe has surely not taken it."""
    pause = timedelta(seconds=pause_seconds(record.attempts, error=error))
    values: dict[str, Any] = {
        "next_attempt_at": timezone.now() + pause,
        "error_message": str(error),
    }
    surely_not_taken = isinstance(error, StripeRateLimited | StripeMisconfigured)
    if surely_not_taken and not was_in_doubt:
        # As good as never sent, so the next try may stamp it afresh.
        values |= {"state": UsageState.PENDING, "first_sent_at": None, "timestamp": None}
    crashpoint("usage_postpone:begin")
    UsageRecord.objects.filter(
        pk=record.pk, state=UsageState.SENDING, attempts=record.attempts
    ).update(modified=timezone.now(), **values)
    crashpoint("usage_postpone:committed")


def reject(identifier: str, *, code: str, message: str, until: datetime | None = None) -> bool:
    """Mark a record that Stripe had taken and then did not count; whether there was one.

    ``identifier`` as Stripe tells it; one of an earlier generation is about nothing any more.
    ``until``: the end of the time in which Stripe took what it tells of. It may tell so late that
    the usage was sent anew meanwhile, because Stripe's totals did not have it.
    """
    text, _, number = identifier.partition(".")
    try:
        key, generation = uuid.UUID(text), int(number or 1)
    except ValueError:
        return False
    taken = (UsageState.ACCEPTED, UsageState.SENDING, UsageState.AMBIGUOUS)
    meant = UsageRecord.objects.filter(pk=key, generation=generation, state__in=taken)
    if until is not None:
        again = Correction.objects.filter(record=OuterRef("pk"), kind=CorrectionKind.RESEND)
        meant = meant.exclude(Exists(again), first_sent_at__gt=until + CLOCKS_DIFFER_BY)
    logger.error("Stripe did not count usage record %s: %s", key, code)
    return bool(
        meant.update(
            state=UsageState.REJECTED,
            error_code=code[:100],
            error_message=message[:2000],
            next_attempt_at=None,
            # Who tells us of it tells the operators as well.
            alarmed_at=timezone.now(),
            modified=timezone.now(),
        )
    )
