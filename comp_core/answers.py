"""Reads what a model's process says: untrusted, since the model can write there as well."""

from __future__ import annotations

import json
import math
from typing import Any

from comp_core.channel import SHORT_LENGTH
from comp_core.outputs.writing import ALT_LENGTH, MAX_OUTPUTS

# The errors of the json module and of conversions, for whatever bytes.
NONSENSE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
ENTRY_KEYS = frozenset({"kind", "title", "file", "media_type", "filename"})
KINDS = frozenset({"table", "chart", "file"})
# More than the child ever sends of an error; it all goes into columns that pages show.
MAX_FAILURE_LENGTH = 20_000
MAX_VERDICT_LENGTH = 2_000_000


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
    return (
        _is_short(message["error_type"])
        and _are_texts(*texts, longest=MAX_FAILURE_LENGTH)
        and _is_peak(message)
    )


def _is_success(message: dict[str, Any]) -> bool:
    if not (_is_short(message["version"]) and _is_peak(message)):
        return False
    if "errors" in message:
        return _is_verdict(message["errors"])
    seconds, entries = _number(message["seconds"]), message["outputs"]
    return math.isfinite(seconds) and len(entries) <= MAX_OUTPUTS and all(map(_is_entry, entries))


def _is_verdict(errors: dict[str, list[str]]) -> bool:
    words = [*errors, *(word for said in errors.values() for word in said)]
    return _are_texts(*words) and sum(map(len, words)) <= MAX_VERDICT_LENGTH


READERS = {"progress": _is_progress, "failed": _is_failure, "done": _is_success}


def _is_entry(entry: dict[str, Any]) -> bool:
    return (
        entry.keys() >= ENTRY_KEYS
        and _are_texts(*entry.values(), longest=ALT_LENGTH)
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


def _are_texts(*values: Any, longest: float = math.inf) -> bool:
    return all(type(value) is str and len(value) <= longest for value in values)
