"""A model that reports a million times, beside one that takes as long and reports nothing."""

from __future__ import annotations

from collections.abc import Iterator

from django.test import override_settings

from benchmarks.databases import Databases
from benchmarks.figures import Figure, Sample, Sizes, milliseconds
from comp_core import runner
from comp_core.models import Run
from tests.core.builders import make_claimed, statements

# So that a heartbeat, which comes by the clock, is in neither of the counts.
QUIET = {"HEARTBEAT_SECONDS": 3600}


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """The statements are the same; the time of a report is given, and how long the runs took."""
    databases.copy("progress")
    with override_settings(COMP_CORE=QUIET):
        _execute("reports", 1)
        chatty, sql, wall = _execute("reports", sizes.reports)
        silent, silent_sql, _ = _execute("reports", 0)
        _, slow_sql, slow_wall = _execute("sleeps", chatty)
    yield Figure(
        name="progress",
        unit="statements",
        ours=Sample([sql]),
        rival_name="ours without reports",
        rival=Sample([slow_sql]),
        at_most=1,
        parts={
            "reports": sizes.reports,
            "statements of a run that ends at once": silent_sql,
            "nanoseconds for each report": round((chatty - silent) / sizes.reports * 1e9),
            "wall time beside one that sleeps as long": round(wall / slow_wall, 2),
        },
    )


def _execute(behaviour: str, amount: float) -> tuple[float, int, float]:
    """Seconds of the model's own, statements sent, and milliseconds around it all."""
    run = make_claimed("unruly", behaviour=behaviour, amount=amount)
    with statements() as sql:
        wall = milliseconds(lambda: runner.execute(run))
    ended = Run.objects.get(pk=run.pk)
    assert ended.run_time is not None, ended.error_message
    return float(ended.run_time), len(sql), wall
