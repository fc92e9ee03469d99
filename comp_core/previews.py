"""Stored outputs as a page shows them: bounded, and plain text however they were made."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.files import File
from django.utils.text import slugify

from comp_core.conf import conf

# What a page reads of one output; parsed, it may take 25 times as much memory. A chart's
# specification is parsed as a whole, so a larger one is only offered for download.
MAX_PREVIEW_BYTES = 5 * 2**20
TABLE_START = b'{"columns": '
ROWS_START = b', "rows": ['


@dataclass(frozen=True)
class Rows:
    """The first rows of a table; ``more`` says that there are others."""

    columns: list[str]
    rows: list[list[Any]]
    more: bool
    numeric: list[bool] = field(default_factory=list)


class NotATable(ValueError):
    """The stored file is not a table as ``comp_core.outputs`` writes it."""


def table_lines(file: File[bytes], *, room: int | None = None) -> Iterator[list[Any]]:
    """The column names and then every row, one line of the file at a time; no line that ends
    after ``room`` bytes. Raises NotATable."""
    lines = _whole_lines(file, room)
    head = next(lines, b"")
    if not head.startswith(TABLE_START) or ROWS_START not in head:
        raise NotATable
    yield _cells(head[len(TABLE_START) : head.rindex(ROWS_START)])
    for line in lines:
        if line.startswith(b"["):
            yield _cells(line.rstrip().removesuffix(b","))


def _whole_lines(file: File[bytes], room: int | None) -> Iterator[bytes]:
    left = -1 if room is None else room
    while line := file.readline(left):
        if room is not None:
            left -= len(line)
            if not line.endswith(b"\n"):
                return
        yield line


def _cells(line: bytes) -> list[Any]:
    """One list. A model that writes into its outputs' folder itself may have put anything there."""
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotATable from error
    if not isinstance(cells, list):
        raise NotATable
    return cells


def table_preview(file: File[bytes]) -> Rows:
    """As many rows as the site shows (``MAX_ROWS_SHOWN``), read without the rest of the file."""
    lines = table_lines(file, room=MAX_PREVIEW_BYTES)
    columns = next(lines)
    rows = list(islice(lines, conf.MAX_ROWS_SHOWN))
    return _rows(columns, rows, more=next(lines, None) is not None or bool(file.read(1)))


def chart_preview(file: File[bytes], *, size: int) -> Rows | None:
    """The data inside a Vega-Lite specification as a table; None when there is none to show."""
    if size > MAX_PREVIEW_BYTES:
        return None
    try:
        spec = json.load(file)
    except RecursionError:
        return None
    data = spec.get("data") if isinstance(spec, dict) else None
    values = data.get("values") if isinstance(data, dict) else None
    if not isinstance(values, list):
        return None
    records = [value if isinstance(value, dict) else {"value": value} for value in values]
    shown = records[: conf.MAX_ROWS_SHOWN]
    columns = list(dict.fromkeys(str(name) for record in shown for name in record))
    rows = [[record.get(name) for name in columns] for record in shown]
    return _rows(columns, rows, more=len(records) > len(shown))


def _rows(columns: list[str], rows: list[list[Any]], *, more: bool) -> Rows:
    numeric = [
        bool(cells) and all(_is_number(cell) or cell is None for cell in cells)
        for cells in (list(cells) for cells in zip(*rows, strict=True))
    ]
    return Rows(columns, rows, more, numeric or [False] * len(columns))


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def table_as_csv(file: File[bytes]) -> Iterator[bytes]:
    """The whole table as CSV, line by line. Texts that a spreadsheet would take for a formula are
    marked as text."""
    for cells in table_lines(file):
        text = io.StringIO()
        csv.writer(text).writerow([_harmless(cell) for cell in cells])
        yield text.getvalue().encode()


def _harmless(cell: Any) -> Any:
    """Spreadsheets execute cells that start so; a leading apostrophe makes them text."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell if _reads_as_number(cell) else f"'{cell}"
    return cell


def _reads_as_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def download_name(entry: dict[str, Any]) -> str:
    """The name under which an output is saved: the model's own for files, else from the title."""
    if entry["kind"] == "file":
        return str(entry["filename"])
    suffix = "csv" if entry["kind"] == "table" else "vl.json"
    return f"{slugify(entry['title']) or entry['kind']}.{suffix}"
