"""Fresh tables: of the library's three apps, and of the rival's one, in turn."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import processes, rivals
from benchmarks.databases import Databases
from benchmarks.environment import NotInstalled
from benchmarks.figures import Figure, Sample, Sizes
from benchmarks.stub import Stub, stub

AT_MOST = 0.1
OURS = ("comp_users", "comp_core", "comp_billing")
# Not the library's to answer for. Django's admin comes after the user model, which is ours.
OTHERS = ("contenttypes", "auth", "sessions", "django_tasks_database")


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Seconds of ``migrate`` within a running process; Django's own tables are there before."""
    ours: list[float] = []
    theirs: list[float] = []
    without = ""
    with stub() as stripe:
        # The rival's takes minutes.
        for _ in range(max(1, sizes.repeat // 15)):
            ours.append(_ours(databases, stripe))
            try:
                theirs.append(rivals.migrated(databases, stripe)[1])
            except NotInstalled as exc:
                without = rivals.why(exc)
    yield Figure(
        name="migrate",
        unit="s",
        ours=Sample(ours),
        rival_name=rivals.NAME,
        rival=Sample(theirs) if theirs else None,
        paired=bool(theirs),
        at_most=AT_MOST if theirs else None,
        parts={"apps": OURS, "made before": OTHERS, **({"rival": without} if without else {})},
    )


def _ours(databases: Databases, stripe: Stub) -> float:
    copy = databases.empty("migrate")
    with processes.ours(copy, stripe.base) as site:
        return rivals.migrate(site, OTHERS, OURS)
