"""One row of the books: a customer's use of a project in a period, as four sources tell of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from comp_billing.books.catalogue import Metered
from comp_billing.books.entries import Entry, Unrecorded
from comp_billing.books.periods import Kind, Period
from comp_billing.models import UsageState
from comp_billing.usage.limits import COUNTED_AFTER, OPEN, UNSETTLED


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What no state that is visible here explains: what differs, where, and what to do next."""

    code: str
    text: str
    advice: str
    #: Of usage records, runs, or Stripe's objects, as the text says.
    ids: tuple[str, ...] = ()


@dataclass
class Tally:
    """Sums of usage records, in the meter's units."""

    #: Accepted by Stripe, so long ago that it has counted them.
    firm: int = 0
    #: Accepted just now: Stripe counts some time later.
    fresh: int = 0
    #: Of which it is not known whether Stripe counts them, and whose state says so.
    doubtful: int = 0

    @property
    def accepted(self) -> int:
        return self.firm + self.fresh

    def add(self, entry: Entry, moment: datetime) -> None:
        if entry.state == UsageState.ACCEPTED and not entry.is_taken_back:
            if entry.accepted_at is None or moment - entry.accepted_at >= COUNTED_AFTER:
                self.firm += entry.quantity
            else:
                self.fresh += entry.quantity
        elif entry.may_be_counted and not _surely_cancelled(entry, moment):
            self.doubtful += entry.quantity


def _surely_cancelled(entry: Entry, moment: datetime) -> bool:
    """Taken back so long ago that Stripe's totals are without it."""
    return entry.state == UsageState.CANCELLED and moment - entry.modified >= COUNTED_AFTER


@dataclass
class Row:
    """Amounts of ``cost`` and ``value`` in currency units, ``invoiced_amount`` in minor units."""

    customer_id: str
    metered: Metered
    period: Period
    currency: str = ""
    runs: int = 0
    #: The sum of the runs' costs, and of quantity x unit of their usage records.
    cost: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    records: Counter[str] = field(default_factory=Counter)
    quantities: Counter[str] = field(default_factory=Counter)
    #: By the time of use, as lines bill it; and by the minute, as Stripe's totals have it.
    used: Tally = field(default_factory=Tally)
    counted: Tally = field(default_factory=Tally)
    #: Units that a line may bill beyond those accepted: unclear, or just taken back.
    spare: int = 0
    first: int | None = None
    last: int | None = None
    #: Stripe's total; None: it was not asked for.
    summary: int | None = None
    waiting: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    # -- what was used

    def add(self, entry: Entry, unit: Decimal | None, moment: datetime) -> None:
        """A record whose time of use lies in the period."""
        self.currency = self.currency or entry.currency
        self.runs += 1
        self.cost += entry.cost
        self.value += entry.quantity * unit if unit else 0
        self.records[entry.state] += 1
        self.quantities[entry.state] += entry.quantity
        self.used.add(entry, moment)
        if entry.may_be_counted and not _surely_cancelled(entry, moment):
            self.spare += entry.quantity
        self._reach(entry.second)

    def add_unrecorded(self, run: Unrecorded) -> None:
        """A run of the period that has no record."""
        self.currency = self.currency or run.currency
        self.runs += 1
        self.cost += run.cost
        self._reach(run.second)

    def _reach(self, second: int) -> None:
        self.first = second if self.first is None else min(self.first, second)
        self.last = second if self.last is None else max(self.last, second)

    def quantity(self, *states: str) -> int:
        """Units in some states; in all, when none is named."""
        return sum(self.quantities[state] for state in states or self.quantities)

    @property
    def to_send(self) -> int:
        return self.quantity(*UNSETTLED)

    @property
    def needs_a_person(self) -> int:
        """Units of records that are refused, unclear or expired."""
        return self.quantity(*OPEN)

    @property
    def not_billed(self) -> int:
        return self.quantity(UsageState.CANCELLED, UsageState.WAIVED)

    # -- what was billed

    @property
    def invoiced(self) -> Decimal | None:
        """Units on the lines that bill the period; None: there is no such line."""
        lines = [line.quantity for line in self.period.lines if line.bills]
        return sum(lines, Decimal(0)) if lines else None

    @property
    def invoiced_amount(self) -> int | None:
        lines = [line.amount for line in self.period.lines if line.bills]
        return sum(lines) if lines else None

    @property
    def residue(self) -> Decimal:
        """Minor units that rounding the lines has added, or below zero taken away."""
        return sum((line.residue for line in self.period.lines if line.bills), Decimal(0))

    # -- when

    @property
    def start(self) -> datetime | None:
        return _moment(self.first if self.period.own is None else self.period.start)

    @property
    def end(self) -> datetime | None:
        return _moment(self.period.end)

    def is_overdue(self, now: datetime, patience: timedelta) -> bool:
        """Whether its invoice should have been here for some time."""
        if self.period.kind is Kind.OPEN:
            return False
        over = self.period.end if self.period.end is not None else self.last
        return over is not None and now - datetime.fromtimestamp(over, UTC) > patience

    @property
    def is_empty(self) -> bool:
        """Nothing to show: nothing was used, counted or invoiced."""
        has_lines = any(line.quantity or line.amount for line in self.period.lines)
        return not (self.runs or self.summary or has_lines or self.differences)


def _moment(second: int | None) -> datetime | None:
    return None if second is None else datetime.fromtimestamp(second, UTC)
