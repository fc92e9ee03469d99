"""Which period a moment belongs to, and what Stripe is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from comp_billing.books.entries import Span
from comp_billing.books.lines import Line
from comp_billing.books.periods import MINUTE, Calendar, Kind, Period, calendar
from comp_billing.books.printed import exact_amount
from comp_billing.books.summaries import Totals, Window

SECONDS = st.integers(0, 2000)
SPANS = st.lists(st.tuples(SECONDS, st.integers(1, 500)), max_size=6)


def line(start: int, end: int) -> Line:
    """A line of a paid invoice."""
    return Line(
        line_id=f"il_{start}",
        invoice_id="in_1",
        status="paid",
        is_settled=True,
        meter_id="mtr_1",
        start=start,
        end=end,
        quantity=Decimal(0),
        amount=0,
        currency="usd",
        unit=Decimal("0.000001"),
    )


def found(made: Calendar, *seconds: int, step: int = 1) -> list[tuple[str, int | None, int | None]]:
    """Kind, start and end of the period of each moment."""
    periods = [made.find(second, step=step) for second in seconds]
    return [(period.kind.value, period.start, period.end) for period in periods]


def test_a_period_is_from_its_first_second_to_before_its_end() -> None:
    """Before, between and after the known ones there are gaps."""
    made = calendar([line(100, 200)], [Period(Kind.OPEN, 300, 400)])

    assert found(made, 99, 100, 199, 200, 299, 300, 399, 400) == [
        ("gap", None, 100),
        ("invoiced", 100, 200),
        ("invoiced", 100, 200),
        ("gap", 200, 300),
        ("gap", 200, 300),
        ("open", 300, 400),
        ("open", 300, 400),
        ("gap", 400, None),
    ]


def test_a_price_changed_within_a_period_has_two_lines() -> None:
    """What the item says of the period under way adds nothing to them."""
    made = calendar([line(100, 150), line(150, 200)], [Period(Kind.ENDED, 100, 200)])

    assert found(made, 120, 170, 200) == [
        ("invoiced", 100, 150),
        ("invoiced", 150, 200),
        ("gap", 200, None),
    ]


def test_tiers_of_one_period_are_one() -> None:
    """Stripe bills each tier on a line of its own, for the same time."""
    made = calendar([line(100, 200), line(100, 200)], [])

    assert [len(period.lines) for period in made.periods] == [2]


def test_an_overlap_belongs_to_the_earlier() -> None:
    """A second line of the same time keeps what is left, which may be nothing."""
    made = calendar([line(100, 200), line(150, 180), line(190, 250)], [])

    assert found(made, 160, 185, 195, 210) == [
        ("invoiced", 100, 200),
        ("invoiced", 100, 200),
        ("invoiced", 100, 200),
        ("invoiced", 190, 250),
    ]


@given(spans=SPANS, others=SPANS, seconds=st.lists(SECONDS, min_size=1))
def test_every_moment_has_one_period(
    spans: list[tuple[int, int]], others: list[tuple[int, int]], seconds: list[int]
) -> None:
    """Which contains it, by seconds as by minutes; and the windows never overlap."""
    lines = [line(start, start + length) for start, length in spans]
    under_way = [Period(Kind.OPEN, start, start + length) for start, length in others]
    made = calendar(lines, under_way)
    periods = [(second, made.find(second)) for second in seconds]
    windows = sorted(window for period in made.periods if (window := period.window(10_000)))

    assert all((one.start or 0) <= at < (one.end or 10_000) for at, one in periods)
    assert all(
        made.find(start, step=MINUTE).window(10_000) == (start, end) for start, end in windows
    )
    assert all(before[1] <= after[0] for before, after in pairwise(windows))


@pytest.mark.parametrize(
    ("now", "window"), [(1000, (60, 180)), (150, (60, 120)), (119, None), (0, None)]
)
def test_a_window_is_of_whole_minutes_that_are_over(now: int, window: Window | None) -> None:
    """Each side rounded down."""
    (period,) = calendar([line(61, 239)], []).periods

    assert period.window(now) == window


@pytest.mark.parametrize(
    ("span", "meets"),
    [
        (Span(), True),
        (Span(since=datetime.fromtimestamp(200, UTC)), False),
        (Span(since=datetime.fromtimestamp(199, UTC)), True),
        (Span(until=datetime.fromtimestamp(100, UTC)), False),
        (Span(until=datetime.fromtimestamp(101, UTC)), True),
    ],
)
def test_a_span_meets_the_periods_it_shares_a_moment_with(span: Span, meets: bool) -> None:
    """From 100 to before 200."""
    assert span.meets(100, 200) is meets


def test_a_month_is_of_the_time_zone_in_force() -> None:
    """Summer time begins within it."""
    with timezone.override("Europe/Berlin"):
        month = Span.of_month("2026-03")

    assert [
        moment and moment.astimezone(UTC).isoformat() for moment in (month.since, month.until)
    ] == [
        "2026-02-28T23:00:00+00:00",
        "2026-03-31T22:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234.5", "usd", "1,234.50 USD"),
        ("0.000001", "usd", "0.000001 USD"),
        ("1500", "jpy", "1,500 JPY"),
        ("0.25", "jpy", "0.25 JPY"),
        ("2.5", "kwd", "2.500 KWD"),
        ("0", "", "0"),
    ],
)
def test_amounts_are_exact_and_have_their_currencys_places(
    amount: str, currency: str, text: str
) -> None:
    """Never rounded, and never in powers of ten."""
    assert exact_amount(Decimal(amount), currency) == text


class Counted(Totals):
    """Stripe's totals, of events by second."""

    def total(self, window: Window) -> int:
        return sum(value for at, value in EVENTS.items() if window[0] <= at < window[1])


EVENTS = {30: 5, 6000: 7, 100_000: 9}


def test_a_difference_is_narrowed_to_its_minutes() -> None:
    """Two of three minutes differ from what is expected."""
    totals = Counted("cus_1", "mtr_1")
    window = (0, 60 * 2000)

    def expected(part: Window) -> tuple[int, int]:
        own = sum(value for at, value in {30: 5, 6000: 8}.items() if part[0] <= at < part[1])
        return own, own

    assert totals.narrowed(window, 21, expected) == [(6000, 6060), (99_960, 100_020)]
