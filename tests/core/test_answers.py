"""What a model may say in the child's name is taken only within the child's own bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comp_core.answers import GarbledError, read_message
from comp_core.outputs.writing import MAX_OUTPUTS

ENTRY = {"kind": "file", "title": "", "file": "0", "media_type": "", "filename": "a.txt"}
DONE = {"type": "done", "version": "", "peak_memory_bytes": 0}
FAILED = {"type": "failed", "error_type": "E", "peak_memory_bytes": 0}


def said(message: dict[str, Any]) -> bytes:
    """A message as it comes through the channel."""
    return json.dumps(message).encode()


@pytest.mark.parametrize(
    "message",
    [
        {**DONE, "seconds": 0, "outputs": [ENTRY] * (MAX_OUTPUTS + 1)},
        {**DONE, "seconds": 0, "outputs": [{**ENTRY, "title": "x" * 2001}]},
        {**DONE, "errors": {"a": ["x" * 2_000_001]}},
        {**DONE, "errors": {"x" * 2_000_001: []}},
        {**FAILED, "message": "x" * 20_001, "traceback": ""},
        {**FAILED, "message": "", "traceback": "x" * 20_001},
    ],
    ids=["many outputs", "long title", "long words", "long field", "long error", "long traceback"],
)
def test_too_much(message: dict[str, Any]) -> None:
    """It would all go into rows that pages show."""
    with pytest.raises(GarbledError):
        read_message(said(message))


@pytest.mark.parametrize(
    "message",
    [
        {**DONE, "seconds": 0, "outputs": [{**ENTRY, "title": "x" * 2000}] * MAX_OUTPUTS},
        {**DONE, "errors": {"a": ["x" * 1000] * 10}},
        {**FAILED, "message": "x" * 4000, "traceback": "x" * 16_391},
    ],
    ids=["outputs", "errors", "failure"],
)
def test_as_much_as_the_child_says(message: dict[str, Any]) -> None:
    """The child's own longest answers arrive as they are."""
    assert read_message(said(message)) == message
