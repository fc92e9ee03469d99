"""Many histories: how many diverge, and the smallest that does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings as site_settings
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.database import InMemoryExampleDatabase

from tests.mirror.histories import HISTORIES, History, Outcome, play

# Stripe need not be spared here.
AT_ONCE = {"SYNC_REQUESTS_PER_SECOND": 1e9, "NETWORK_RETRIES": 0}
SEED = 20261125
ALIKE = 50


@dataclass
class Totals:
    """How many histories diverged; ``smallest`` is one that does, and what is wrong after it."""

    counts: Counter[str] = field(default_factory=Counter)
    divergent: int = 0
    smallest: History | None = None
    found: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The figure."""
        return f"histories {self.counts['histories']} / divergent {self.divergent}"

    def report(self) -> str:
        """The smallest history that diverges, to be played again, and what is wrong after it."""
        return "\n".join([str(self.smallest), *self.found]) if self.smallest else "nothing diverges"


class Divergent(AssertionError):
    """A history after which the mirror is not true."""


def campaign(
    number: int, *, first: int = SEED, told: Callable[[Totals], None] | None = None
) -> Totals:
    """So many histories, the same for the same ``first``; of those that diverge, the smallest."""
    totals = Totals()

    def count(outcome: Outcome) -> None:
        totals.counts += outcome.counts
        totals.divergent += bool(outcome.found)
        if told is not None:
            told(totals)

    _each(number, count, first=first, phases=[Phase.generate])
    if totals.divergent:
        _shrink(number, totals, first=first)
    return totals


def finds(number: int, *, first: int = SEED) -> bool:
    """Whether one of so many histories diverges; the first that does ends the search."""

    def stop(outcome: Outcome) -> None:
        if outcome.found:
            raise Divergent

    try:
        _each(number, stop, first=first, phases=[Phase.generate])
    except Divergent:
        return True
    return False


def _shrink(number: int, totals: Totals, *, first: int) -> None:
    def keep(outcome: Outcome) -> None:
        if outcome.found:
            totals.smallest, totals.found = outcome.history, outcome.found
            raise Divergent

    try:
        _each(number, keep, first=first, phases=[Phase.generate, Phase.shrink])
    except Divergent:
        return


def _each(number: int, use: Callable[[Outcome], None], *, first: int, phases: list[Phase]) -> None:
    """So many histories in several runs of Hypothesis's: within one they are much alike."""
    billing: dict[str, Any] = {**site_settings.COMP_BILLING, **AT_ONCE}
    with override_settings(COMP_BILLING=billing):
        for start in range(0, number, ALIKE):
            _some(min(ALIKE, number - start), use, first=first + start, phases=phases)


def _some(number: int, use: Callable[[Outcome], None], *, first: int, phases: list[Phase]) -> None:
    @seed(first)
    @settings(
        max_examples=number,
        phases=phases,
        database=InMemoryExampleDatabase(),
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(history=HISTORIES)
    def run(history: History) -> None:
        use(play(history))

    run()
