"""Which usage is to be sent next: in order within a customer and a meter, by turns among them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from comp_billing.models import UsageRecord, UsageState
from comp_billing.sync import accounts
from comp_billing.usage import moving
from comp_billing.usage.limits import UNSETTLED
from comp_billing.usage.stamps import stamp

BATCH = 500
# So many of one customer and meter at most in a batch: a long backlog delays nobody else's usage.
TURN = 50
# How long a record that is being sent is left alone by other workers.
LEASE = timedelta(seconds=120)

#: The records of one customer and meter, in the order in which they are to be sent.
Lane = list[UsageRecord]


def lanes_due() -> list[Lane]:
    """What is due, by customer and meter, whoever waits longest first. One query; each record
    brings the account mirrored here along (``accounts.account_of``)."""
    lanes: dict[tuple[str, str], Lane] = {}
    for record in _due():
        lanes.setdefault((record.stripe_customer_id, record.meter_id), []).append(record)
    return list(lanes.values())


def has_more(lanes: list[Lane]) -> bool:
    """Whether there may be more than these, which were read at once."""
    sizes = [len(lane) for lane in lanes]
    return sum(sizes) >= BATCH or max(sizes) >= TURN


def _due() -> QuerySet[UsageRecord]:
    """Nothing of a customer and meter of which an earlier record waits, or is on its way."""
    waits = UsageRecord.objects.filter(
        _same_lane(), state__in=UNSETTLED, next_attempt_at__gt=timezone.now()
    )
    place = Window(
        RowNumber(),
        partition_by=[F("stripe_customer_id"), F("meter_id")],
        order_by=[F("created").asc(), F("pk").asc()],
    )
    due = UsageRecord.objects.filter(
        _is_due(), ~Exists(waits), moving.is_still(), state__in=UNSETTLED
    )
    taking_turns = due.annotate(place=place).filter(place__lte=TURN)
    joined = taking_turns.select_related("subscription_item__subscription")
    return accounts.joined_to(joined).order_by("place", "created", "pk")[:BATCH]


def claim(record: UsageRecord, now: datetime) -> bool:
    """Take a record to be sent, unless it, or an earlier one of its lane, is on its way.

    One statement, committed before the call. The time of use is fixed here, before the first call,
    and kept by all that follow; and where prices change the units, too, which takes some more.
    ``now`` is of Stripe's clock.
    """
    with moving.locked(record.subscription_item_id):
        values = {
            "state": UsageState.SENDING,
            "quantity": moving.quantity_of(record),
            "attempts": record.attempts + 1,
            "next_attempt_at": timezone.now() + LEASE,
            "first_sent_at": record.first_sent_at or now,
            "timestamp": record.timestamp or stamp(record, now),
            "modified": timezone.now(),
        }
        if not _mine(record).update(**values):
            return False
    for name, value in values.items():
        setattr(record, name, value)
    return True


def _mine(record: UsageRecord) -> QuerySet[UsageRecord]:
    """As it was read: whoever has taken it since has counted an attempt."""
    return UsageRecord.objects.filter(
        _is_due(),
        ~Exists(_before()),
        moving.is_still(),
        pk=record.pk,
        state=record.state,
        attempts=record.attempts,
        generation=record.generation,
    )


def _is_due() -> Q:
    return Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=timezone.now())


def _same_lane() -> Q:
    return Q(stripe_customer_id=OuterRef("stripe_customer_id"), meter=OuterRef("meter"))


def _before() -> QuerySet[UsageRecord]:
    """What has to go before a record: Stripe takes one at a time of a customer and a meter."""
    earlier = Q(created__lt=OuterRef("created"))
    earlier |= Q(created=OuterRef("created"), pk__lt=OuterRef("pk"))
    on_its_way = Q(state=UsageState.SENDING, next_attempt_at__gt=timezone.now())
    lane = UsageRecord.objects.filter(_same_lane(), state__in=UNSETTLED)
    return lane.filter(earlier | on_its_way).exclude(pk=OuterRef("pk"))
