"""What was used: a customer's usage records with their runs, and runs that should have one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from comp_billing.books.catalogue import Catalogue
from comp_billing.models import Correction, CorrectionKind, Reservation, UsageRecord, UsageState
from comp_billing.pricing import get_pricing
from comp_billing.usage.limits import OLDEST_USAGE
from comp_core.models import Run
from comp_core.status import RunStatus

CHUNK = 2000
# What Stripe may have counted: its answer, or the effect of a correction, is not known.
IN_DOUBT = (UsageState.SENDING, UsageState.AMBIGUOUS, UsageState.CANCELLED)
# Told to Stripe: usage of before is told under the time of sending, which is later by so much at
# most.
STAMPED_WITHIN = OLDEST_USAGE + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One usage record and its run. The order of the fields is that of COLUMNS."""

    record_id: UUID
    run_id: UUID
    meter_id: str
    state: str
    quantity: int
    used_at: datetime
    timestamp: datetime | None
    accepted_at: datetime | None
    modified: datetime
    item_customer_id: str | None
    run_status: str
    run_time: Decimal | None
    run_cost: Decimal | None
    server_cost: Decimal | None
    currency: str
    payer_user_id: int
    is_taken_back: bool
    is_credited: bool

    @property
    def at(self) -> datetime:
        """The time of use as told to Stripe; as it is known here while nothing was told."""
        return self.timestamp or self.used_at

    @property
    def second(self) -> int:
        """The same in Unix seconds, which is all that Stripe is told."""
        return int(self.at.timestamp())

    @property
    def cost(self) -> Decimal:
        return self.run_cost or Decimal(0)

    @property
    def may_be_counted(self) -> bool:
        """Whether Stripe's totals may have it or not have it, and both would be explained."""
        if self.state == UsageState.ACCEPTED:
            # The worker is about to take it back, or has just done so.
            return self.is_taken_back
        if self.state == UsageState.WAIVED:
            return self.is_credited
        return self.state in IN_DOUBT

    def unit(self, catalogue: Catalogue) -> Decimal | None:
        """The price of a unit at which the quantity is the run's cost; None: it is not."""
        found = catalogue.price_of(self.meter_id, self.quantity, self.cost, self.currency)
        if found is not None:
            return found.unit
        # Of a policy that rounds in a way of its own: it says itself whether this is right.
        pricing = get_pricing()
        run = Run(
            run_time=self.run_time,
            run_cost=self.run_cost,
            server_cost=self.server_cost,
            currency=self.currency,
        )
        is_right = pricing.quantity(run) == self.quantity
        return pricing.unit(self.currency) if is_right else None


COLUMNS = (
    *("pk", "run_id", "meter_id", "state", "quantity", "used_at", "timestamp", "accepted_at"),
    *("modified", "subscription_item__subscription__customer_id", "run__status", "run__run_time"),
    *("run__run_cost", "run__server_cost", "run__currency", "run__payer__user_id"),
    *("is_taken_back", "is_credited"),
)


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A succeeded run that was permitted as billable, and of which there is no usage record."""

    run_id: UUID
    meter_id: str | None
    finished_at: datetime
    cost: Decimal
    currency: str
    is_settled: bool

    @property
    def second(self) -> int:
        return int(self.finished_at.timestamp())


@dataclass(frozen=True)
class Span:
    """From ``since`` to before ``until``; None: without end."""

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of_month(cls, text: str) -> Span:
        """A calendar month, ``2026-11``, in the time zone in force. Raises ValueError."""
        start = datetime.strptime(text, "%Y-%m").replace(tzinfo=timezone.get_current_timezone())
        year, month = divmod(start.year * 12 + start.month, 12)
        return cls(start, start.replace(year=year, month=month + 1))

    def covers(self, moment: datetime) -> bool:
        return (self.since is None or self.since <= moment) and (
            self.until is None or moment < self.until
        )

    def meets(self, start: int, end: int) -> bool:
        """Whether a period (Unix seconds) has a moment within it."""
        first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        is_late = self.until is not None and first >= self.until
        return not is_late and (self.since is None or last > self.since)

    def around(self, periods: list[tuple[int, int]]) -> Span:
        """As far as these periods reach, and at least as far as this."""
        starts = [datetime.fromtimestamp(start, UTC) for start, _end in periods]
        ends = [datetime.fromtimestamp(end, UTC) for _start, end in periods]
        return Span(
            since=self.since and min([self.since, *starts]),
            until=self.until and max([self.until, *ends]),
        )

    def within(self, field: str, *, slack: timedelta = timedelta(0)) -> Q:
        """That a column lies in it, or before it by no more than the slack."""
        found = Q()
        if self.since is not None:
            found &= Q(**{f"{field}__gte": self.since - slack})
        if self.until is not None:
            found &= Q(**{f"{field}__lt": self.until})
        return found


def entries_of(customer_id: str, span: Span, *, meters: set[str] | None = None) -> Iterator[Entry]:
    """The customer's records whose time of use, as told to Stripe, lies in the span. One query."""
    corrected = Correction.objects.filter(record=OuterRef("pk"), refused_at__isnull=True)
    # By the index of customer and time; what is told to Stripe is never earlier.
    records = UsageRecord.objects.filter(
        span.within("used_at", slack=STAMPED_WITHIN), stripe_customer_id=customer_id
    )
    if meters is not None:
        records = records.filter(meter__in=meters)
    rows = records.order_by().annotate(
        is_taken_back=Exists(corrected.filter(kind=CorrectionKind.CANCEL)),
        is_credited=Exists(corrected.filter(kind=CorrectionKind.CREDIT)),
    )
    for row in rows.values_list(*COLUMNS).iterator(chunk_size=CHUNK):
        entry = Entry(*row)
        if span.covers(entry.at):
            yield entry


def unrecorded_of(
    customer_id: str, span: Span, *, meters: set[str] | None = None
) -> Iterator[Unrecorded]:
    """Succeeded runs that hold or have settled money, and have no usage record. One query."""
    held = Reservation.objects.filter(
        span.within("run__finished_at"),
        subscription_item__subscription__customer=customer_id,
        run__status=RunStatus.SUCCEEDED,
        run__usage_record__isnull=True,
    )
    if meters is not None:
        held = held.filter(subscription_item__plan__meter__in=meters)
    rows = held.order_by("run__finished_at").values_list(
        "run_id",
        "subscription_item__plan__meter_id",
        "run__finished_at",
        "run__run_cost",
        "run__currency",
        "settled_amount",
    )
    for run_id, meter_id, finished_at, cost, currency, settled in rows.iterator(chunk_size=CHUNK):
        assert finished_at is not None  # noqa: S101  # by a constraint of the run's
        yield Unrecorded(
            run_id, meter_id, finished_at, cost or Decimal(0), currency, settled is not None
        )
