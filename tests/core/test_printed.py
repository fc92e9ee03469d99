"""What models print is shown as text that can neither hide nor mislead."""

from __future__ import annotations

import pytest

from comp_core.printed import plain


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("\x1b(Bcharacters", "characters"),
        ("\x1b]0;never ended\nnext line", "0;never ended\nnext line"),
        ("bell\x07 and \x08back", "bell\u2407 and \u2408back"),
        ("\x7f\x85", "\u2421<U+0085>"),
        ("left \u202egnirts\u2066", "left <U+202E>gnirts<U+2066>"),
        (" 10 %\r 50 %\r100 %\ndone", "100 %\ndone"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("family 👩\u200d👧, עברית", "family 👩\u200d👧, עברית"),
    ],
)
def test_control_characters_are_dropped_or_visible(printed: str, shown: str) -> None:
    """Escape sequences go, what is left of control characters is drawn, text stays."""
    assert plain(printed) == shown
