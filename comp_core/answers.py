"""Reads what a model's process says: untrusted, since the model can write there as well."""

from __future__ import annotations

import json
import math
from typing import Any

from comp_core.channel import SHORT_LENGTH

# The errors of the json module and of conversions, for whatever bytes.
NONSENSE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
ENTRY_KEYS = frozenset({"kind", "title", "file", "media_type", "filename"})
KINDS = frozenset({"table", "chart", "file"})


class GarbledError(ValueError):
    """What was written to the channel of the answers is none of ours."""


def read_message(line: bytes) -> dict[str, Any]:
    """One line of the child's; raises GarbledError for every other.

    ``type`` is "progress", "failed" or "done"; what else belongs to it is there and of its type.
    """
    try:
        message = json.loads(line)
        if READERS[message["type"]](message):
            return dict(message)
    except NONSENSE as error:
        raise GarbledError from error
    raise GarbledError


def _is_progress(message: dict[str, Any]) -> bool:
    return math.isfinite(_number(message["fraction"])) and _are_texts(message["message"])


def _is_failure(message: dict[str, Any]) -> bool:
    texts = (message["message"], message["traceback"])
    return _is_short(message["error_type"]) and _are_texts(*texts) and _is_peak(message)


def _is_success(message: dict[str, Any]) -> bool:
    if not (_is_short(message["version"]) and _is_peak(message)):
        return False
    if "errors" in message:
        return all(_are_texts(*words) for words in message["errors"].values())
    seconds = _number(message["seconds"])
    return math.isfinite(seconds) and all(_is_entry(entry) for entry in message["outputs"])


READERS = {"progress": _is_progress, "failed": _is_failure, "done": _is_success}


def _is_entry(entry: dict[str, Any]) -> bool:
    return (
        entry.keys() >= ENTRY_KEYS
        and _are_texts(*entry.values())
        and entry["kind"] in KINDS
        and entry["file"].isascii()
        and entry["file"].isdigit()
        and len(entry["file"]) < len("1000")
    )


def _is_peak(message: dict[str, Any]) -> bool:
    # What the column holds.
    return type(message["peak_memory_bytes"]) is int and 0 <= message["peak_memory_bytes"] < 2**63


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(value)
    return float(value)


def _is_short(value: Any) -> bool:
    return _are_texts(value) and len(value) <= SHORT_LENGTH


def _are_texts(*values: Any) -> bool:
    return all(type(value) is str for value in values)
