"""What a model returns. Standard library only: models import this without Django.

``run(inputs)`` returns a list of these. Values inside tables and charts may be text, numbers,
booleans, None, dates, Decimals, and NumPy scalars or arrays; not-a-number and the infinities are
stored as the words NaN, Infinity and -Infinity in tables and as null in charts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

__all__ = ["Chart", "File", "Table"]


@dataclass(frozen=True)
class Table:
    """Named columns and rows of equal length; shown on the run page, in this order."""

    kind: ClassVar[str] = "table"

    title: str
    columns: Iterable[str]
    rows: Iterable[Iterable[Any]] = field(repr=False)


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification with its data inside; ``alt`` says in words what it shows."""

    kind: ClassVar[str] = "chart"

    title: str
    spec: Mapping[str, Any] = field(repr=False)
    alt: str = ""


@dataclass(frozen=True)
class File:
    """A file to download. Text is stored as UTF-8; an empty media type is guessed by the name."""

    kind: ClassVar[str] = "file"

    filename: str
    content: bytes | str = field(repr=False)
    title: str = ""
    media_type: str = ""
