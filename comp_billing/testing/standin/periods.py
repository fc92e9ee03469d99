"""Billing periods: the moments at which a subscription's cycle turns."""

import calendar
from datetime import UTC, datetime, timedelta

SPANS = {"day": timedelta(days=1), "week": timedelta(weeks=1)}
MONTHS = {"month": 1, "year": 12}


def moment(timestamp: int) -> datetime:
    """The aware datetime (UTC) of a Unix timestamp."""
    return datetime.fromtimestamp(timestamp, UTC)


def add_months(start: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last day."""
    index = start.year * 12 + start.month - 1 + months
    year, month = divmod(index, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def later(anchor: int, interval: str, count: int, times: int) -> int:
    """The anchor moved by that many intervals, counted from the anchor (31st stays the 31st)."""
    start = moment(anchor)
    if interval in SPANS:
        return int((start + SPANS[interval] * count * times).timestamp())
    return int(add_months(start, MONTHS[interval] * count * times).timestamp())


def period_end(anchor: int, interval: str, count: int, after: int) -> int:
    """The first turn of the cycle later than `after`."""
    times = 0
    while later(anchor, interval, count, times) > after:
        times -= 1
    while later(anchor, interval, count, times) <= after:
        times += 1
    return later(anchor, interval, count, times)
