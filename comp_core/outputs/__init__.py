"""What a model returns. Standard library only: models import this without Django.

``run(inputs)`` returns a list of these. Values inside tables and charts may be text, numbers,
booleans, None, dates, Decimals, and NumPy scalars or arrays; not-a-number and the infinities are
stored as the words NaN, Infinity and -Infinity in tables and as null in charts.
"""

from __future__ import annotations

# Imported by every model at every start: plain classes, because dataclasses cost milliseconds.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["Chart", "File", "Table"]


class Table:
    """Named columns and rows of equal length; shown on the run page, in this order."""

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
