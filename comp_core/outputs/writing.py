"""Turns what a model returned into files. Standard library only: it runs in the model's process.

Outputs are recognised by their ``kind`` and attributes, not by class, so that a model may bring
its own. Every refusal names the value's place, such as ``outputs[0].rows[3][1]``.
"""

from __future__ import annotations

import json
import math
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    NoNumber = Callable[[float], Any]

TABLE_TYPE = "application/json"
CHART_TYPE = "application/vnd.vegalite+json"
TITLE_LENGTH = 200
ALT_LENGTH = 2000
MEBIBYTE = 2**20
# The manifest is a column of the run's row and a list on its page.
MAX_OUTPUTS = 500
# pandas' ways of saying "no value".
NO_VALUE_TYPES = ("NAType", "NaTType")
# By name, so that no model pays for importing what it does not use.
TEXT_TYPES = ("Decimal", "timedelta", "Timedelta", "UUID")


class Rejected(Exception):
    """What the model returned cannot be stored; the message says where and why."""


def number_word(value: float) -> str:
    """The word that stands in a table for what JSON has no number for."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def plain(value: Any, where: str, no_number: NoNumber) -> Any:
    """The value in JSON's types; ``no_number`` says what NaN and the infinities become."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {
            _key(key, where): plain(item, f"{where}[{key!r}]", no_number)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{i}]", no_number) for i, item in enumerate(value)]
    return _plain_scalar(value, where, no_number)


def _plain_scalar(value: Any, where: str, no_number: NoNumber) -> Any:
    if type(value).__name__ in NO_VALUE_TYPES:
        return None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else no_number(float(value))
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        # Of moments and durations tolist() would make bare numbers of nanoseconds.
        timed = getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m")
        return _moments(value) if timed else plain(value.tolist(), where, no_number)
    if hasattr(value, "is_finite") and not value.is_finite():  # Decimal
        return no_number(float(value))
    return _text(value, where)


def _moments(value: Any) -> Any:
    if value.shape:
        return [_moments(item) for item in value]
    return None if str(value) == "NaT" else str(value)


def _text(value: Any, where: str) -> str:
    if hasattr(value, "isoformat"):  # dates, times, and pandas' own
        return str(value.isoformat())
    if type(value).__name__ in TEXT_TYPES:
        return str(value)
    raise Rejected(f"{where} is a {type(value).__name__}, which cannot be stored.")


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)) or hasattr(key, "isoformat"):
        return str(key)
    if hasattr(key, "tolist"):  # NumPy scalars
        return _key(key.tolist(), where)
    raise Rejected(f"{where} has a key that is a {type(key).__name__}; keys must be text.")


def _list(value: Any, where: str) -> Iterable[Any]:
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise Rejected(f"{where} must be a list, not a {type(value).__name__}.")
    items: Iterable[Any] = value
    return items


class Writer:
    """Writes one output's file and stops at the limit (bytes) instead of filling the disk."""

    def __init__(self, path: str, *, limit: int, where: str) -> None:
        self.path, self.limit, self.where = path, limit, where
        self.size = 0

    def __enter__(self) -> Writer:
        self.file = open(self.path, "wb")  # closed by __exit__
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.limit:
            raise Rejected(
                f"{self.where} is larger than the {_mebibytes(self.limit)} that this site allows "
                "for one output."
            )
        self.file.write(data)


def _mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:.0f} MiB" if size >= MEBIBYTE else f"{size} bytes"


def write_table(output: Any, writer: Writer) -> dict[str, Any]:
    where = writer.where
    columns = [str(column) for column in _list(output.columns, f"{where}.columns")]
    writer.write(b'{"columns": ' + json.dumps(columns).encode() + b', "rows": [')
    for number, row in enumerate(_list(output.rows, f"{where}.rows")):
        place = f"{where}.rows[{number}]"
        cells = plain(list(_list(row, place)), place, number_word)
        if len(cells) != len(columns):
            raise Rejected(f"{place} has {len(cells)} values for {len(columns)} columns.")
        writer.write((b",\n" if number else b"\n") + json.dumps(cells).encode())
    writer.write(b"\n]}\n")
    return {"media_type": TABLE_TYPE, "filename": "table.json"}


def write_chart(output: Any, writer: Writer) -> dict[str, Any]:
    where = f"{writer.where}.spec"
    if not isinstance(output.spec, dict):
        raise Rejected(f"{where} must be a dict in Vega-Lite's form.")
    writer.write(json.dumps(plain(output.spec, where, lambda value: None)).encode())
    alt = str(getattr(output, "alt", ""))[:ALT_LENGTH]
    return {"media_type": CHART_TYPE, "filename": "chart.json", "alt": alt}


def write_file(output: Any, writer: Writer) -> dict[str, Any]:
    content, name = output.content, os.path.basename(str(output.filename))
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    if not isinstance(content, (bytes, bytearray, memoryview)):
        kind = type(content).__name__
        raise Rejected(f"{writer.where}.content must be bytes or text, not a {kind}.")
    if not name:
        raise Rejected(f"{writer.where} needs a filename.")
    writer.write(bytes(content))
    return {"media_type": str(getattr(output, "media_type", "") or ""), "filename": name}


WRITERS: dict[str, Callable[[Any, Writer], dict[str, Any]]] = {
    "table": write_table,
    "chart": write_chart,
    "file": write_file,
}


def collect(result: Any) -> list[Any]:
    """What ``run`` returned as a list; a generator runs to its end, as part of the model."""
    if getattr(result, "kind", None) in WRITERS:
        return [result]
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__iter__"):
        kind = type(result).__name__
        if hasattr(result, "close"):
            result.close()  # a coroutine that was never awaited would complain in the prints
        raise Rejected(f"run() must return a list of Table, Chart or File, not a {kind}.")
    return list(result)


def write_outputs(
    outputs: list[Any], directory: str, *, max_bytes: int, max_sum_bytes: int
) -> list[dict[str, Any]]:
    """Write each output to ``directory`` under its number; answers what the manifest will say.

    Raises Rejected, naming the place, for a value, type or size that cannot be stored.
    """
    if len(outputs) > MAX_OUTPUTS:
        raise Rejected(
            f"run() returned {len(outputs)} outputs; a run may have {MAX_OUTPUTS}. "
            "Put more into one file, such as a ZIP archive."
        )
    entries: list[dict[str, Any]] = []
    room = max_sum_bytes
    for number, output in enumerate(outputs):
        where, kind = f"outputs[{number}]", getattr(output, "kind", None)
        if kind not in WRITERS:
            given = type(output).__name__
            raise Rejected(f"{where} must be a Table, Chart or File, not a {given}.")
        path = os.path.join(directory, str(number))
        with Writer(path, limit=max_bytes, where=where) as writer:
            entry = WRITERS[kind](output, writer)
        room -= writer.size
        if room < 0:
            raise Rejected(
                f"The outputs together are larger than the {_mebibytes(max_sum_bytes)} that this "
                "site allows for one run."
            )
        title = str(getattr(output, "title", "") or entry["filename"])[:TITLE_LENGTH]
        entries.append({"kind": kind, "title": title, "file": str(number), **entry})
    return entries
