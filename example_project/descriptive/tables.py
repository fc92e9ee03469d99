"""Reads the columns of numbers out of a CSV file that a stranger has sent.

One pass, line by line; what cannot be read is said in words that name the line or the column.
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

MAX_BYTES = 100_000_000
MAX_COLUMNS = 500
MAX_ROWS = 1_000_000
MAX_CELL_CHARACTERS = 100_000
MAX_LINE_CHARACTERS = 1_000_000
SAMPLE = Path(__file__).with_name("data") / "us_population.csv"
# Cells that mean "no value", compared in lower case.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "."})
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class UnreadableTable(ValueError):
    """The file is not a table of numbers."""


@dataclass
class NumberTable:
    """Columns of numbers by name, in the file's order; NaN where a value is missing."""

    columns: dict[str, array[float]]
    rows: int
    # {name: reason} of the columns that are not numbers.
    left_out: dict[str, str] = field(default_factory=dict)


def read_numbers(path: str | Path) -> NumberTable:
    """The columns of numbers in a CSV file. Raises UnreadableTable with a sentence to show."""
    path = Path(path)
    size = path.stat().st_size
    if size == 0:
        raise UnreadableTable("The file is empty.")
    if size > MAX_BYTES:
        raise UnreadableTable(f"The file is larger than {MAX_BYTES // 10**6} MB.")
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            return _read(text)
    except UnicodeDecodeError as error:
        raise UnreadableTable(
            "The file is not UTF-8 text. Save it again as “CSV UTF-8” and upload that."
        ) from error
    except csv.Error as error:
        raise UnreadableTable(f"The file is not a CSV file: {error}.") from error


def _read(text: TextIO) -> NumberTable:
    delimiter = _delimiter(text)
    lines = _rows(text, delimiter)
    try:
        names = _header(next(lines)[1])
    except StopIteration:
        raise UnreadableTable("The file is empty.") from None
    columns = [_Column(name, decimal_comma=delimiter == ";") for name in names]
    rows = 0
    for number, cells in lines:
        rows += 1
        if len(cells) != len(columns):
            raise UnreadableTable(
                f"Line {number} has {_values(len(cells))}, the header has {len(columns)}."
            )
        if rows > MAX_ROWS:
            raise UnreadableTable(f"The table has more than {MAX_ROWS:,} rows.")
        for column, cell in zip(columns, cells, strict=True):
            column.take(cell, number)
    return _table(columns, rows)


def _values(number: int) -> str:
    return "1 value" if number == 1 else f"{number:,} values"


def _table(columns: list[_Column], rows: int) -> NumberTable:
    if not rows:
        raise UnreadableTable("The file has a header line and no data below it.")
    numeric = {column.name: column.values for column in columns if not column.reason}
    left_out = {column.name: column.reason for column in columns if column.reason}
    if not numeric:
        raise UnreadableTable("No column holds numbers only, so there is nothing to compute.")
    return NumberTable(numeric, rows, left_out)


def _delimiter(text: TextIO) -> str:
    """Comma, semicolon or tab: whichever the header has most of, quoted parts aside."""
    header = re.sub(r'"[^"]*"?', "", text.readline(MAX_LINE_CHARACTERS))
    text.seek(0)
    counts = {mark: header.count(mark) for mark in (",", ";", "\t")}
    return max(counts, key=lambda mark: counts[mark])


def _rows(text: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank."""
    reader = csv.reader(_printable(text), delimiter=delimiter, strict=True)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _printable(text: TextIO) -> Iterator[str]:
    """The file's lines, each bounded: a file without line breaks must not fill the memory."""
    while line := text.readline(MAX_LINE_CHARACTERS):
        if "\0" in line:
            raise UnreadableTable("The file is binary, not a CSV file.")
        if len(line) == MAX_LINE_CHARACTERS:
            most = f"{MAX_LINE_CHARACTERS:,}"
            raise UnreadableTable(f"The file has a line of more than {most} characters.")
        yield line


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]
    if len(names) > MAX_COLUMNS:
        raise UnreadableTable(f"The table has {len(names):,} columns; at most {MAX_COLUMNS}.")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UnreadableTable(f"The header names a column twice: {', '.join(repeated[:5])}.")
    return names


class _Column:
    """One column while it is read; from its first text on only the reason is kept."""

    def __init__(self, name: str, *, decimal_comma: bool) -> None:
        self.name = name
        self.values = array("d")
        self.decimal_comma = decimal_comma
        self._text = ""
        self._has_value = False

    @property
    def reason(self) -> str:
        """Why this is not a column of numbers; empty when it is one."""
        return self._text or ("" if self._has_value else "no values")

    def take(self, cell: str, line: int) -> None:
        if self._text:
            return
        cell = cell.strip()
        if cell.lower() in MISSING:
            self.values.append(math.nan)
            return
        number = self._number(cell)
        if number is None:
            self._text = f"text in line {line}: “{cell[:30]}”"
            self.values = array("d")
            return
        self.values.append(number)
        self._has_value = True

    def _number(self, cell: str) -> float | None:
        if self.decimal_comma and cell.count(",") == 1 and "." not in cell:
            cell = cell.replace(",", ".")
        if not NUMBER.fullmatch(cell):
            return None
        number = float(cell)
        return number if math.isfinite(number) else None
