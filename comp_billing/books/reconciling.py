"""The books of one customer: four sources side by side, period by period.

Reads our own rows in four queries, however many projects and periods there are; Stripe's totals,
when they are asked for, in one call for each project and period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from comp_billing import clock, shapes
from comp_billing.books import comparing
from comp_billing.books.catalogue import Catalogue, read_catalogue
from comp_billing.books.entries import Entry, Span, entries_of, unrecorded_of
from comp_billing.books.lines import Line, lines_of
from comp_billing.books.periods import MINUTE, Calendar, Kind, Period, calendar
from comp_billing.books.rows import Row, Tally
from comp_billing.books.summaries import Totals, Unasked, Window
from comp_billing.models import LIVE_STATUSES, SubscriptionItem

Tick = Callable[[], None]


@dataclass
class Reconciler:
    """Compares customer after customer. ``project``: a slug, to compare that project only.

    ``tick``: called before each call to Stripe; None: Stripe is not asked.
    """

    span: Span = field(default_factory=Span)
    project: str = ""
    tick: Tick | None = None
    catalogue: Catalogue = field(default_factory=read_catalogue)

    def books_of(self, customer_id: str, user_id: int | None) -> list[Row]:
        """The rows of one customer, by project and period; empty ones left out.

        ``user_id``: whose customer it is; None when that is no longer known. Raises a StripeError.
        """
        books = _Books(self, customer_id, user_id)
        books.read()
        return books.compared()

    @property
    def meters(self) -> set[str] | None:
        """The meters to compare; None: all."""
        if not self.project:
            return None
        found = self.catalogue.meters.values()
        return {metered.meter_id for metered in found if metered.slug == self.project}


class _Books:
    """What is known of one customer."""

    def __init__(self, reconciler: Reconciler, customer_id: str, user_id: int | None) -> None:
        self.reconciler, self.customer_id, self.user_id = reconciler, customer_id, user_id
        self.catalogue, self.meters = reconciler.catalogue, reconciler.meters
        self.now, self.moment = clock.now(), timezone.now()
        self.calendars: dict[str, Calendar] = {}
        self.rows: dict[tuple[str, Period], Row] = {}

    # -- reading

    def read(self) -> None:
        """Four queries."""
        self._read_periods()
        wide = self.reconciler.span.around(
            [
                (row.period.start, row.period.end)
                for row in self.rows.values()
                if row.period.start is not None and row.period.end is not None
            ]
        )
        for entry in entries_of(self.customer_id, wide, meters=self.meters):
            self._add(entry)
        for run in unrecorded_of(self.customer_id, wide, meters=self.meters):
            row = self._row(run.meter_id or "", run.second)
            if row is not None:
                row.add_unrecorded(run)
                row.differences.append(comparing.of_unrecorded(run))

    def _read_periods(self) -> None:
        plans: dict[str, str] = {}
        others: dict[str, list[Period]] = {}
        for item in _items(self.customer_id):
            plans[item["pk"]] = item["plan_id"] or ""
            price = self.catalogue.prices.get(item["plan_id"] or "")
            if price is not None:
                others.setdefault(price.meter_id, []).extend(_periods(item, self.now))
        lines: dict[str, list[Line]] = {}
        since = self.reconciler.span.since
        for line in lines_of(self.customer_id, self.catalogue, plans, since=since):
            lines.setdefault(line.meter_id, []).append(line)
        for meter_id in lines.keys() | others.keys():
            made = calendar(lines.get(meter_id, ()), others.get(meter_id, ()))
            self.calendars[meter_id] = made
            for period in made.periods:
                if self._is_chosen(meter_id, period):
                    self.rows[meter_id, period] = self._new_row(meter_id, period)

    def _is_chosen(self, meter_id: str, period: Period) -> bool:
        is_meters = self.meters is None or meter_id in self.meters
        return is_meters and self.reconciler.span.meets(period.start or 0, period.end or 0)

    def _new_row(self, meter_id: str, period: Period) -> Row:
        row = Row(self.customer_id, self.catalogue.meter(meter_id), period)
        row.currency = next((line.currency for line in period.lines), "")
        return row

    def _row(self, meter_id: str, second: int, *, step: int = 1) -> Row | None:
        """The row of a moment; None when it is not one of those to be compared."""
        if meter_id not in self.calendars:
            self.calendars[meter_id] = calendar((), ())
        period = self.calendars[meter_id].find(second, step=step)
        row = self.rows.get((meter_id, period))
        if row is None and period.kind is Kind.GAP:
            # Of what is between periods as much as was asked for.
            if not self.reconciler.span.covers(datetime.fromtimestamp(second, UTC)):
                return None
            row = self.rows[meter_id, period] = self._new_row(meter_id, period)
        return row

    def _add(self, entry: Entry) -> None:
        row = self._row(entry.meter_id, entry.second)
        if row is not None:
            unit = entry.unit(self.catalogue)
            row.add(entry, unit, self.moment)
            row.differences += comparing.of_entry(entry, unit, self.user_id)
        window = self._row(entry.meter_id, entry.second, step=MINUTE)
        if window is not None:
            window.counted.add(entry, self.moment)

    # -- comparing

    def compared(self) -> list[Row]:
        """The rows that have something to show, each with what waits and what differs."""
        for row in self.rows.values():
            comparing.of_lines(row, self.now)
            if self.reconciler.tick is not None:
                self._ask(row, self.reconciler.tick)
            if row.to_send:
                row.waiting.append(_("not sent yet"))
        found = [row for row in self.rows.values() if not row.is_empty]
        return sorted(found, key=lambda row: (row.metered.slug, row.metered.meter_id, _start(row)))

    def _ask(self, row: Row, tick: Tick) -> None:
        window = self._window(row)
        if window is None:
            return
        totals = Totals(self.customer_id, row.metered.meter_id, tick)
        try:
            row.summary = totals.total(window)
            if not comparing.of_summary(row):
                self._tell(row, totals, window)
        except Unasked:
            row.waiting.append(_("Stripe no longer has the customer, or the meter"))

    def _window(self, row: Row) -> Window | None:
        """What to ask for; of a gap as much as has been used."""
        window = row.period.window(int(self.now.timestamp()))
        if window is not None or row.period.kind is not Kind.GAP or row.first is None:
            return window
        own, end, last = row.period.own, row.period.end, row.last or row.first
        start = row.first if own is None else own
        stop = last + MINUTE if end is None else end
        return start - start % MINUTE, stop - stop % MINUTE

    def _tell(self, row: Row, totals: Totals, window: Window) -> None:
        """Which records a difference is about: those of the minutes that it stems from."""
        entries = self._entries_in(row.metered.meter_id, window)

        def expected(part: Window) -> tuple[int, int]:
            tally = Tally()
            for entry in entries:
                if part[0] <= entry.second < part[1]:
                    tally.add(entry, self.moment)
            return tally.firm, tally.accepted + tally.doubtful

        parts = totals.narrowed(window, row.summary or 0, expected)
        ids = [
            str(entry.record_id)
            for entry in entries
            if any(start <= entry.second < end for start, end in parts)
        ]
        row.differences.append(comparing.summary_difference(row, _where(parts or [window]), ids))

    def _entries_in(self, meter_id: str, window: Window) -> list[Entry]:
        start, end = (datetime.fromtimestamp(second, UTC) for second in window)
        found = entries_of(self.customer_id, Span(start, end), meters={meter_id})
        return sorted(found, key=lambda entry: (entry.at, entry.record_id))


def _items(customer_id: str) -> Iterable[Any]:
    """Every item that the customer has or had. One query."""
    items = SubscriptionItem.all_objects.filter(subscription__customer=customer_id)
    return items.values(
        "pk",
        "plan_id",
        "deleted",
        "subscription__status",
        "subscription__deleted",
        "subscription__data__trial_start",
        "subscription__data__trial_end",
        begins=F("current_period_start"),
        ends=F("current_period_end"),
    )


def _periods(item: dict[str, Any], now: datetime) -> Iterator[Period]:
    """The periods that an item itself tells of: its trial, and the one under way."""
    trial = [shapes.moment(item[f"subscription__data__trial_{side}"]) for side in ("start", "end")]
    began, ended = (moment and int(moment.timestamp()) for moment in trial)
    if began and ended:
        yield Period(Kind.TRIAL, began, ended)
    is_gone = item["deleted"] or item["subscription__deleted"]
    if is_gone or item["subscription__status"] not in LIVE_STATUSES:
        return
    start, end = item["begins"], item["ends"]
    if start is None or end is None:
        return
    first = max(int(start.timestamp()), ended or 0)
    if first < int(end.timestamp()):
        kind = Kind.OPEN if now < end else Kind.ENDED
        yield Period(kind, first, int(end.timestamp()))


def _start(row: Row) -> float:
    return row.start.timestamp() if row.start else 0.0


def _where(parts: list[Window]) -> str:
    """The minutes of a difference in words, adjacent ones together."""
    ends: list[list[int]] = []
    for start, end in parts:
        if ends and ends[-1][1] == start:
            ends[-1][1] = end
        else:
            ends.append([start, end])
    shown = [
        " – ".join(f"{datetime.fromtimestamp(one, UTC):%Y-%m-%d %H:%M}" for one in pair)
        for pair in ends[:3]
    ]
    return ", ".join(shown) + (" …" if len(ends) > 3 else "")
