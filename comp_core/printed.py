"""What models print and raise, made fit to be looked at: it may have been written to mislead."""

from __future__ import annotations

import re

# Colours, cursor moves, window titles. One that does not end loses its two first characters only,
# so that nothing can hide what follows it.
ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"
    r"|\x1b[PX^_][^\x1b\n]*\x1b\\"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]"
)
# A line that is written over again and again, as progress bars are: the last state of it is kept.
OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")
# Marks that change the order in which the characters after them are shown.
REORDERING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
VISIBLE = {
    **PICTURES,
    0x7F: "\N{SYMBOL FOR DELETE}",
    **{code: f"<U+{code:04X}>" for code in [*range(0x80, 0xA0), *REORDERING]},
}


def plain(text: str) -> str:
    """Text without terminal escapes, its other control characters visible; tabs and line breaks
    stay. It is not HTML: escape it."""
    text = ESCAPES.sub("", text).replace("\r\n", "\n")
    return OVERWRITTEN.sub("", text).translate(VISIBLE)
