"""What a benchmark answers: samples of ours and of the rival's, and a target that may be gated."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured. ``seconds`` is the length of a measurement of speed."""

    repeat: int = 30
    rows: int = 100_000
    reports: int = 1_000_000
    usage: int = 1_000_000
    seconds: float = 3.0
    # Webhooks of ours and of the rival's in each round, and objects of each kind to sync.
    events: int = 200
    rival_events: int = 40
    objects: int = 2_000


# Shows that everything works and measures nothing.
QUICK = Sizes(
    repeat=2,
    rows=300,
    reports=1_000,
    usage=2_000,
    seconds=0.1,
    events=8,
    rival_events=4,
    objects=12,
)


@dataclass(frozen=True)
class Sample:
    """Measured values, in the unit of their figure."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def summary(self) -> dict[str, float]:
        return {
            "median": _short(self.median),
            "min": _short(min(self.values)),
            "max": _short(max(self.values)),
            "n": len(self.values),
        }


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One result. With a rival the target bounds the ratio, ours to theirs; without, our median.

    Only counts and ratios have targets: seconds say more about the machine than about the code.
    ``paired``: the n-th values of both were taken one right after the other.
    """

    name: str
    unit: str
    ours: Sample
    rival_name: str = ""
    rival: Sample | None = None
    paired: bool = False
    at_most: float | None = None
    at_least: float | None = None
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        if self.rival is None:
            return None
        if self.paired:
            pairs = zip(self.ours.values, self.rival.values, strict=True)
            return statistics.median(ours / theirs for ours, theirs in pairs)
        return self.ours.median / self.rival.median

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None: there is none."""
        ratio = self.ratio
        value = self.ours.median if ratio is None else ratio
        if self.at_least is not None:
            return value >= self.at_least
        return None if self.at_most is None else value <= self.at_most

    @property
    def target(self) -> str | None:
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return None if self.at_most is None else f"<= {self.at_most:g}"

    def as_json(self, database: str) -> dict[str, Any]:
        rival = None if self.rival is None else self.rival.summary()
        return {
            "name": self.name,
            "database": database,
            "unit": self.unit,
            "ours": self.ours.summary(),
            "rival": rival and {"name": self.rival_name, **rival},
            "ratio": None if self.ratio is None else _short(self.ratio),
            "target": self.target,
            "holds": self.holds,
            "parts": self.parts,
        }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def milliseconds(action: Callable[[], Any]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def summaries(found: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Samples by name, for the parts of a figure."""
    return {name: Sample(values).summary() for name, values in found.items()}
