"""What a model returns. Standard library only: models import this without Django.

``run(inputs)`` returns a list of these, or yields them one by one. Rows may be made one by one too,
and may be a data frame. Values inside tables and charts become JSON:

* text, booleans, None, and integers of up to 4300 digits as they are, whatever is in the text;
* floats as they are; not-a-number and the infinities as the words NaN, Infinity and -Infinity in
  tables and as null in charts, whatever they come from;
* lists, tuples, ranges and arrays as lists; dicts and dataclasses as objects; enumerations as
  their values;
* as text, since JSON has no exact form for them: Decimals ("1.10"), Fractions ("1/3"), complex
  numbers, dates and times (ISO 8601), durations, UUIDs and paths;
* NumPy's scalars and arrays and pandas' series, moments, periods and intervals in the same way;
  masked and missing values as null.

Refused, by its place such as ``outputs[0].rows[3][1]``, is what would be lost or guessed: bytes
(decode them, or return a File), sets (they have no order), iterators inside values, what contains
itself or is nested more than 100 levels deep, dicts with two keys that are the same as text, and
every other type.
"""

from __future__ import annotations

# Imported by every model at every start: plain classes, because dataclasses cost milliseconds.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["Chart", "File", "Table"]


class Table:
    """Named columns and rows of equal length; shown on the run page, in this order.

    Of a pandas data frame: ``Table("Title", frame.columns, frame)``.
    """

    kind = "table"

    def __init__(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
        self.title, self.columns, self.rows = title, columns, rows


class Chart:
    """A Vega-Lite specification with its data inside; ``alt`` says in words what it shows."""

    kind = "chart"

    def __init__(self, title: str, spec: Mapping[str, Any], alt: str = "") -> None:
        self.title, self.spec, self.alt = title, spec, alt


class File:
    """A file to download. Text is stored as UTF-8; an empty media type is guessed by the name."""

    kind = "file"

    def __init__(
        self, filename: str, content: bytes | str, title: str = "", media_type: str = ""
    ) -> None:
        self.filename, self.content = filename, content
        self.title, self.media_type = title, media_type
