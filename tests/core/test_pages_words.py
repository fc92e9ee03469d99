"""Money, durations and authors' texts as pages show them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from comp_core.templatetags.comp_runs import exact_seconds, markdown, money, seconds

SPACE = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0", "0"),
        ("0.000000", "0"),
        ("36", "36"),
        ("0.5", "0.50"),
        ("0.020100", "0.0201"),
        ("0.000001", "0.000001"),
        ("1E+3", "1,000"),
        ("1234567.89", "1,234,567.89"),
    ],
)
def test_amounts_keep_all_their_digits(amount: str, expected: str) -> None:
    """What is shown is what is billed."""
    assert money(Decimal(amount), "usd") == f"{expected}{SPACE}USD"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (2, f"2{SPACE}s"),
        ("0.0006", f"0.001{SPACE}s"),
        ("1.9996", f"2.000{SPACE}s"),
        ("59.9", f"59.900{SPACE}s"),
        (60, "1 minute"),
        (3725, "1 hour 2 minutes 5 seconds"),
    ],
)
def test_durations_are_rounded_for_reading(value: object, expected: str) -> None:
    """To the millisecond below a minute."""
    assert seconds(value) == expected


@pytest.mark.parametrize(("value", "expected"), [("1.500000", "1.5"), ("60.000000", "60")])
def test_receipts_show_durations_in_full(value: str, expected: str) -> None:
    """So that the cost can be worked out again."""
    assert exact_seconds(Decimal(value)) == f"{expected}{SPACE}s"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        '<img src=x onerror="alert(1)">',
        "<style>body{display:none}</style>",
    ],
)
def test_authors_texts_cannot_harm(text: str) -> None:
    """Markdown stays, whatever else there is becomes text."""
    html = markdown(f"*fine* {text}")
    found = [mark for mark in ("<script", "<img", "<style", 'href="javascript') if mark in html]
    assert ("<em>fine</em>" in html, found) == (True, [])
