"""Which period a moment belongs to: the lines of invoices, the periods under way, and the gaps.

Usage is a property of customer and meter, so these are the periods of a meter, whichever items bill
it one after the other. A moment belongs to one period only: what a second line bills of the same
time was not used twice.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from comp_billing.books.lines import Line

MINUTE = 60


class Kind(enum.Enum):
    """What is known of a period."""

    # There are lines for it.
    INVOICED = "invoiced"
    # Of a live item, under way.
    OPEN = "open"
    # Of a live item, over; no invoice has been mirrored yet.
    ENDED = "ended"
    # Of a trial, whose usage Stripe does not bill.
    TRIAL = "trial"
    # Between, before or after all periods that are known.
    GAP = "gap"


@dataclass(eq=False)
class Period:
    """Unix seconds, from ``start`` to before ``end``; None: without end.

    ``own``: from where on moments belong to it and not to an earlier period.
    """

    kind: Kind
    start: int | None
    end: int | None
    lines: tuple[Line, ...] = ()
    own: int | None = None

    def window(self, now: int) -> tuple[int, int] | None:
        """What of it Stripe can be asked for: whole minutes, none of them in the future.

        Each side is rounded down, so that the windows of adjacent periods meet.
        """
        if self.own is None or self.end is None:
            return None
        start, end = _minute(self.own), min(_minute(self.end), _minute(now))
        return (start, end) if start < end else None


def _minute(second: int) -> int:
    return second - second % MINUTE


@dataclass
class Calendar:
    """The periods of one customer's meter. Those with lines come first where others overlap."""

    periods: list[Period] = field(default_factory=list)
    _taken: list[int] = field(default_factory=list)
    _gaps: dict[int, Period] = field(default_factory=dict)
    _starts: dict[int, list[int]] = field(default_factory=dict)

    def find(self, second: int, *, step: int = 1) -> Period:
        """The period of a moment. With a step of a minute: in whose window it is counted."""
        starts = self._starts[step]
        place = bisect_right(starts, second) - 1
        if place >= 0:
            end = self.periods[place].end
            if end is None or second < end - end % step:
                return self.periods[place]
        return self._gap(place)

    def _gap(self, place: int) -> Period:
        """After the period at that place, before the next."""
        if place not in self._gaps:
            after = self.periods[place + 1].own if place + 1 < len(self.periods) else None
            before = self._taken[place] if place >= 0 else None
            self._gaps[place] = Period(Kind.GAP, before, after, own=before)
        return self._gaps[place]

    def settle(self) -> None:
        """Fix which moments belong to which period; once, when all are known."""
        self.periods.sort(key=lambda period: (period.start or 0, period.end or 0))
        taken = 0
        for period in self.periods:
            # At or after its end when earlier ones leave nothing of it: then no moment finds it,
            # and its lines are looked at all the same.
            period.own = max(period.start or 0, taken)
            taken = max(period.end or 0, taken)
            self._taken.append(taken)
        for step in (1, MINUTE):
            owns = [period.own or 0 for period in self.periods]
            self._starts[step] = [own - own % step for own in owns]


def calendar(lines: Iterable[Line], others: Iterable[Period]) -> Calendar:
    """Of the lines of one meter, and of the periods that its items say are under way."""
    by_span: dict[tuple[int, int], list[Line]] = {}
    for line in lines:
        by_span.setdefault((line.start, line.end), []).append(line)
    invoiced = [
        Period(Kind.INVOICED, start, end, tuple(found)) for (start, end), found in by_span.items()
    ]
    made = Calendar(list(invoiced))
    for period in others:
        left = _without(period, invoiced)
        if left is not None:
            made.periods.append(left)
    made.settle()
    return made


def _without(period: Period, invoiced: list[Period]) -> Period | None:
    """What of a period under way no line has billed yet: lines bill the time before it."""
    start, end = period.start or 0, period.end or 0
    for one in invoiced:
        if (one.start or 0) < end and (one.end or 0) > start:
            start = max(start, one.end or 0)
    return Period(period.kind, start, end) if start < end else None
