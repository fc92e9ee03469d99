"""A webhook's body, read as JSON that a database can hold."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from comp_billing.exceptions import BillingError
from comp_billing.mirror.clean import clean, is_suspect

# Stripe's objects are a handful of levels deep; beyond this, reading them would exhaust the stack.
MAX_DEPTH = 64
MAX_NUMBER_LENGTH = 40


class NotAnEvent(BillingError):
    """The body is signed but no event: not a JSON object with id, type and a date of creation."""


class _Odd(Exception):
    """JSON's text holds a number that Stripe would not write, and a database might not take."""


def read(body: bytes) -> tuple[dict[str, Any], str | None]:
    """The object in a body, and its text if that can be stored as it is; raises NotAnEvent."""
    try:
        text = body.decode("utf-8")
        payload, storable = _parsed(text)
    except (ValueError, RecursionError) as exc:
        raise NotAnEvent("The body is not JSON.") from exc
    # No deeper than it has opening brackets, which are counted sooner than it is walked.
    may_be_deep = text.count("{") + text.count("[") > MAX_DEPTH
    if not isinstance(payload, dict) or (may_be_deep and is_too_deep(payload)):
        raise NotAnEvent("The body is not an object, or nested too deep.")
    return (payload, text) if storable else (clean(payload), None)


def is_too_deep(value: Any) -> bool:
    """Whether parsed JSON is nested deeper than MAX_DEPTH."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            # As the parser makes them: of these types exactly.
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _parsed(text: str) -> tuple[Any, bool]:
    try:
        return _plain.decode(text), not is_suspect(text)
    except _Odd:
        return json.loads(text), False


def _plain_number(text: str) -> float:
    # Exponents: 1e999999 is no number here, and an error there.
    if len(text) > MAX_NUMBER_LENGTH or "e" in text or "E" in text:
        raise _Odd
    return float(text)


def _no_number(text: str) -> NoReturn:
    raise _Odd


_plain = json.JSONDecoder(parse_float=_plain_number, parse_constant=_no_number)
