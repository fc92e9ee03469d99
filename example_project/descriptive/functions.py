"""Descriptive statistics: the functions that the library calls. No Django in here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from comp_core.outputs import File, Table
from comp_core.progress import track
from descriptive.tables import SAMPLE, NumberTable, UnreadableTable, read_numbers

# Values drawn in one go: bounds the memory of the bootstrap, whatever the table's size.
DRAWS_PER_STEP = 1_000_000
# Most values drawn in a run: about two minutes on one core.
MAX_DRAWS = 2_000_000_000
HEADER = [
    "column", "count", "missing", "mean", "mean, low", "mean, high", "standard deviation",
    "minimum", "lower quartile", "median", "median, low", "median, high", "upper quartile",
    "maximum", "skewness",
]  # fmt: skip


def get_version() -> str:
    return "1.0.0"


def validate(inputs: Any) -> dict[str, list[str]]:
    """Whether the table can be read and the resampling finishes in reasonable time."""
    try:
        table = read_numbers(inputs.data or SAMPLE)
    except UnreadableTable as error:
        return {"data": [str(error)]}
    draws = sum(len(values) for values in table.columns.values()) * inputs.resamples
    if draws > MAX_DRAWS:
        most = MAX_DRAWS * inputs.resamples // draws
        return {"resamples": [f"Too many for a table of this size: choose {most:,} or fewer."]}
    return {}


def run(inputs: Any) -> list[Table | File]:
    table = read_numbers(inputs.data or SAMPLE)
    frame = pd.DataFrame({name: np.asarray(values) for name, values in table.columns.items()})
    random = np.random.default_rng(inputs.seed)
    intervals = _intervals(frame, inputs, random)
    rows = [_row(frame[name], intervals[name]) for name in frame.columns]
    statistics = pd.DataFrame(rows, columns=HEADER)
    outputs: list[Table | File] = [
        Table(f"Statistics of {_count(len(frame), 'row')}", HEADER, rows),
        File("statistics.csv", statistics.to_csv(index=False), title="Statistics as CSV"),
    ]
    return [*outputs, *_left_out(table)]


def _left_out(table: NumberTable) -> list[Table]:
    if not table.left_out:
        return []
    return [Table("Columns left out", ["column", "reason"], table.left_out.items())]


def _intervals(
    frame: pd.DataFrame, inputs: Any, random: np.random.Generator
) -> dict[str, tuple[float, ...]]:
    """Per column: low and high of the mean, low and high of the median (bootstrap percentiles)."""
    values = {name: frame[name].dropna().to_numpy() for name in frame.columns}
    steps = [
        (name, size) for name in values for size in _batches(inputs.resamples, len(values[name]))
    ]
    drawn: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in values}
    for name, size in track(steps, "Resampling"):
        sample = random.choice(values[name], size=(size, len(values[name])))
        drawn[name].append(np.stack([sample.mean(axis=1), np.median(sample, axis=1)]))
    tail = (100 - int(inputs.confidence)) / 2
    return {
        name: tuple(np.percentile(np.hstack(parts), [tail, 100 - tail], axis=1).T.ravel())
        for name, parts in drawn.items()
    }


def _batches(resamples: int, length: int) -> Iterator[int]:
    """Sizes that sum to the number of resamples, each within the bound of draws per step."""
    size = max(1, min(resamples // 20, DRAWS_PER_STEP // length))
    whole, rest = divmod(resamples, size)
    yield from [size] * whole
    if rest:
        yield rest


def _row(column: pd.Series[float], interval: tuple[float, ...]) -> list[Any]:
    mean_low, mean_high, median_low, median_high = interval
    numbers = [
        column.mean(), mean_low, mean_high, column.std(),
        column.min(), column.quantile(0.25), column.median(), median_low, median_high,
        column.quantile(0.75), column.max(), column.skew(),
    ]  # fmt: skip
    return [column.name, int(column.count()), int(column.isna().sum()), *map(_plain, numbers)]


def _plain(number: Any) -> float | None:
    """Six significant digits; nothing where the statistic is not defined (one value only)."""
    value = float(number)
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
