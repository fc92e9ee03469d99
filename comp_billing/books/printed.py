"""The books as text and as JSON."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from comp_billing import money
from comp_billing.books.rows import Difference, Row
from comp_core.metering import COST_STEP

HEADS = (
    *("customer", "project", "from", "to", "runs", "cost", "units", "accepted", "to send"),
    *("to decide", "not billed", "counted", "invoiced", "line", "residue"),
)
# Columns of words, on the left; the others are numbers.
WORDS = 4
NONE = "-"


def table(rows: list[Row]) -> list[str]:
    """Lines of aligned columns, each with what waits or differs on the lines below it."""
    texts = [list(HEADS), *(cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [_aligned(texts[0], widths)]
    for row, shown in zip(rows, texts[1:], strict=True):
        lines.append(_aligned(shown, widths))
        lines += [f"    waits: {words}" for words in row.waiting]
        lines += [line for found in row.differences for line in described(found)]
    return lines


def described(found: Difference) -> list[str]:
    """One difference in two or three lines: what, which, what next."""
    ids = [f"        {', '.join(found.ids)}"] if found.ids else []
    return [f"    DIFFERS ({found.code}): {found.text}", *ids, f"        {found.advice}"]


def _aligned(texts: list[str], widths: list[int]) -> str:
    pairs = zip(texts, widths, strict=True)
    return "  ".join(
        cell.ljust(width) if place < WORDS else cell.rjust(width)
        for place, (cell, width) in enumerate(pairs)
    ).rstrip()


def cells(row: Row) -> list[str]:
    """One row's texts, in the order of HEADS; a dash for what is not known or not there."""
    return [
        row.customer_id,
        row.metered.slug or row.metered.meter_id,
        _moment(row.start),
        _moment(row.end),
        f"{row.runs:,}",
        exact_amount(row.cost, row.currency),
        f"{row.quantity():,}",
        f"{row.used.accepted:,}",
        f"{row.to_send:,}",
        f"{row.needs_a_person:,}",
        f"{row.not_billed:,}",
        NONE if row.summary is None else f"{row.summary:,}",
        NONE if row.invoiced is None else f"{_plain(row.invoiced):,}",
        money.format_amount(row.invoiced_amount, row.currency) or NONE,
        NONE if row.invoiced is None else format(row.residue.normalize(), "f"),
    ]


def exact_amount(amount: Decimal, currency: str) -> str:
    """Currency units to the last millionth, and at least to the minor unit: ``0.125 USD``."""
    places = money.exponent(currency) if currency else 0
    digits = amount.quantize(COST_STEP).normalize()
    exponent = digits.as_tuple().exponent
    shown = max(places, -exponent if isinstance(exponent, int) else 0)
    return f"{digits:,.{shown}f} {currency.upper()}".rstrip()


def _plain(number: Decimal) -> int | Decimal:
    return int(number) if number == int(number) else number.normalize()


def _moment(moment: datetime | None) -> str:
    return NONE if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def as_json(row: Row) -> dict[str, Any]:
    """One row, its amounts as decimal text and its moments in ISO 8601, UTC."""
    return {
        "customer": row.customer_id,
        "project": row.metered.slug,
        "meter": row.metered.meter_id,
        "kind": row.period.kind.value,
        "start": row.start and row.start.isoformat(),
        "end": row.end and row.end.isoformat(),
        "currency": row.currency,
        "runs": row.runs,
        "cost": _text(row.cost),
        "value": _text(row.value),
        "units": dict(sorted(row.quantities.items())),
        "records": dict(sorted(row.records.items())),
        "counted": row.summary,
        "invoiced": None if row.invoiced is None else _text(row.invoiced),
        "invoiced_amount_minor": row.invoiced_amount,
        "residue_minor": _text(row.residue),
        "invoices": sorted({line.invoice_id for line in row.period.lines}),
        "waiting": row.waiting,
        "differences": [
            {"code": one.code, "text": one.text, "advice": one.advice, "ids": list(one.ids)}
            for one in row.differences
        ],
    }


def _text(number: Decimal) -> str:
    return format(number.normalize(), "f")
