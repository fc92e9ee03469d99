"""Make what Stripe sent storable: what JSON allows and a database does not."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# PostgreSQL stores neither NUL nor lone surrogates; SQLite would, and then could not be moved.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\ufffd"
# What may be one of these in JSON's text (pairs of surrogates are fine, but suspect).
ESCAPED = re.compile(r"\\u0000|\\u[dD][89a-fA-F]")
# What was parsed holds no circle, so none is looked for.
_text_of = json.JSONEncoder(check_circular=False).encode


def clean(value: Any) -> Any:
    """JSON in which unstorable characters are replaced and numbers that are none are None.

    The value itself when nothing is wrong with it: that is told faster by its text.
    """
    return storable(value)[0]


def storable(value: Any) -> tuple[Any, str]:
    """The same, and its text: what is written to a JSON column."""
    text = _text_of(value)
    if is_suspect(text):
        value = _cleaned(value)
        text = _text_of(value)
    return value, text


def is_suspect(text: str) -> bool:
    """Whether JSON's text may hold what cannot be stored."""
    if "\\u" in text and ESCAPED.search(text):
        return True
    return "NaN" in text or "Infinity" in text


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
