"""Usage of which nobody knows whether Stripe has it: Stripe's totals tell, or a person decides.

A meter event cannot be read back. But Stripe tells what it has counted of a customer and a meter
within a minute, and of that minute we know what it must have counted without the unclear records,
and with them. Only when it is one of the two is anything decided.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from comp_billing import clock, stripe_api
from comp_billing.books.summaries import Totals, Unasked, Window
from comp_billing.exceptions import StripeError
from comp_billing.models import Correction, CorrectionKind, UsageRecord, UsageState
from comp_billing.sync import accounts
from comp_billing.usage.limits import COUNTED_AFTER
from comp_billing.usage.stamps import is_open
from comp_core.crashpoints import step

logger = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)
BATCH = 200
# A total that fits neither is looked at again after so long.
AGAIN = timedelta(hours=6)
UNDECIDED = "unclear_total"
PERIOD_OVER = "not_counted"
COUNTED = "Stripe's total of that minute includes it."
NOT_COUNTED = "Stripe's total of that minute does not include it."
TOO_LATE = (
    "Stripe has not counted it, and the period in which it was used has ended: reported now, it"
    " would be on no invoice. Waive it, or bill it by hand in Stripe's dashboard."
)


@dataclass(frozen=True, kw_only=True)
class Minute:
    """What one customer used of one meter within a minute, as Stripe was told."""

    customer: str
    meter: str
    start: datetime

    @property
    def window(self) -> Window:
        """As Stripe is asked for it."""
        return int(self.start.timestamp()), int((self.start + MINUTE).timestamp())

    @property
    def records(self) -> list[UsageRecord]:
        """Everything that was ever sent for that minute."""
        within = UsageRecord.objects.filter(
            stripe_customer_id=self.customer,
            meter=self.meter,
            timestamp__gte=self.start,
            timestamp__lt=self.start + MINUTE,
            first_sent_at__isnull=False,
        )
        return list(within.select_related("subscription_item__subscription"))


def settle_doubts() -> int:
    """For the maintenance loop: compare what is unclear with Stripe's totals; answers how many
    records were decided. One call for each minute in question, paced as other reading is."""
    if not stripe_api.is_configured():
        return 0
    decided = 0
    minutes = {_minute_of(record): None for record in _unclear()}
    try:
        if minutes:
            accounts.check(tries=1)
        for minute in minutes:
            decided += _look_into(minute)
    except StripeError as exc:
        logger.warning("What is unclear stays so for now: %s", exc)
    return decided


def _unclear() -> Iterable[UsageRecord]:
    """Those that may be decided by now, whoever waits longest first."""
    now = timezone.now()
    unclear = UsageRecord.objects.filter(state=UsageState.AMBIGUOUS, timestamp__isnull=False)
    due = unclear.exclude(next_attempt_at__gt=now).exclude(error_code=PERIOD_OVER)
    return due.order_by("used_at")[:BATCH]


def _minute_of(record: UsageRecord) -> Minute:
    assert record.timestamp is not None  # noqa: S101  # filtered
    return Minute(
        customer=record.stripe_customer_id,
        meter=str(record.meter_id),
        start=record.timestamp.replace(second=0, microsecond=0),
    )


def _look_into(minute: Minute) -> int:
    records = minute.records
    unclear = [one for one in records if one.state == UsageState.AMBIGUOUS]
    if not _is_quiet(records) or _is_being_taken_back(records):
        return _wait(unclear, COUNTED_AFTER)
    try:
        counted = Totals(minute.customer, minute.meter).total(minute.window)
    except Unasked:
        # The customer, or the meter, is gone: no total will ever tell.
        return _wait(unclear, AGAIN)
    known = sum(one.quantity for one in records if one.state == UsageState.ACCEPTED)
    doubtful = sum(one.quantity for one in unclear)
    if counted == known + doubtful:
        return sum(_mark_counted(one) for one in unclear)
    if counted == known:
        return sum(_send_again(one) for one in unclear)
    return _wait(unclear, AGAIN, error_code=UNDECIDED, error_message=_words(counted, known))


def is_missing(record: UsageRecord) -> bool:
    """Whether Stripe's total has all that is known to be accepted within the record's minute, but
    for the record itself. One call; raises a StripeError."""
    minute = _minute_of(record)
    records = minute.records
    if not _is_quiet(records):
        # Stripe may not have counted it yet.
        return False
    others = [one for one in records if one.pk != record.pk]
    known = sum(one.quantity for one in others if one.state == UsageState.ACCEPTED)
    try:
        return Totals(minute.customer, minute.meter).total(minute.window) == known
    except Unasked:
        return False


def _is_quiet(records: list[UsageRecord]) -> bool:
    """Whether all that was sent for the minute was sent so long ago that it is surely counted."""
    latest = timezone.now() - COUNTED_AFTER
    return all(one.modified <= latest for one in records) and not any(
        one.state == UsageState.SENDING for one in records
    )


def _is_being_taken_back(records: list[UsageRecord]) -> bool:
    """Whether Stripe's total may lack, already or soon, what is known to be accepted."""
    accepted = [one.pk for one in records if one.state == UsageState.ACCEPTED]
    under_way = Correction.objects.filter(kind=CorrectionKind.CANCEL, refused_at__isnull=True)
    return under_way.filter(record__in=accepted).exists()


def _wait(records: list[UsageRecord], pause: timedelta, **values: str) -> int:
    """Not touched otherwise: when it was modified tells when it was sent."""
    keys = [one.pk for one in records]
    UsageRecord.objects.filter(pk__in=keys, state=UsageState.AMBIGUOUS).update(
        next_attempt_at=timezone.now() + pause, **values
    )
    return 0


def _mark_counted(record: UsageRecord) -> bool:
    values = {"state": UsageState.ACCEPTED, "accepted_at": timezone.now(), "error_code": ""}
    return _decide(record, CorrectionKind.COUNTED, COUNTED, {**values, "error_message": ""})


def _send_again(record: UsageRecord) -> bool:
    """Under its identifier and with its stamp, as long as that stamp's period is not invoiced."""
    now = clock.now()
    if record.timestamp is None or not is_open(record.subscription_item, record.timestamp, now):
        values = {"error_code": PERIOD_OVER, "error_message": TOO_LATE, "alarmed_at": None}
        UsageRecord.objects.filter(pk=record.pk, state=UsageState.AMBIGUOUS).update(**values)
        return False
    again: dict[str, object] = {"state": UsageState.PENDING, "first_sent_at": None}
    return _decide(record, CorrectionKind.RESEND, NOT_COUNTED, {**again, "next_attempt_at": None})


def _decide(
    record: UsageRecord, kind: CorrectionKind, reason: str, values: dict[str, object]
) -> bool:
    """The transition and its audit line, both or neither."""
    with step("doubt"):
        unclear = UsageRecord.objects.filter(
            pk=record.pk, state=UsageState.AMBIGUOUS, attempts=record.attempts
        )
        if not unclear.update(modified=timezone.now(), **values):
            return False
        Correction.objects.create(record=record, kind=kind, reason=reason)
    return True


def _words(counted: int, known: int) -> str:
    return (
        f"Stripe has counted {counted} units of this customer in that minute, where {known} are"
        " known to be counted: the difference is not that of the unclear records."
    )
