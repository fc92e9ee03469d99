"""The rival's site beside ours: its environment, its database, its process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks import environment, processes
from benchmarks.databases import Copy, Databases
from benchmarks.environment import NotInstalled
from benchmarks.processes import Process
from benchmarks.stub import Stub

NAME = environment.RIVAL
# What of Django's own its site has; not the rival's to answer for.
DJANGOS = ("contenttypes", "auth", "admin", "sessions")


def start(stack: ExitStack, databases: Databases, stripe: Stub) -> tuple[Process | None, str]:
    """Its process on a database that was set up as it asks for, until the stack ends; without one,
    why there is none."""
    try:
        template = databases.kept.get(NAME) or migrated(databases, stripe)[0]
    except NotInstalled as exc:
        return None, why(exc)
    copy = databases.copy("rival", of=template)
    site = stack.enter_context(processes.rival(environment.environment(), copy, stripe.base))
    assert site.ask("call", function="benchmarks.rival.endpoint.make") == "verify_signature"
    return site, ""


def why(exc: NotInstalled) -> str:
    """For a figure that has no rival."""
    return f"{NAME} could not be installed: {exc}"


def migrated(databases: Databases, stripe: Stub) -> tuple[Copy, float]:
    """A fresh database with its tables, and the seconds that those took; raises NotInstalled."""
    directory = environment.environment()
    copy = databases.empty("rival")
    with processes.rival(directory, copy, stripe.base) as site:
        seconds = migrate(site, DJANGOS, ["djstripe"])
    databases.kept[NAME] = copy
    return copy, seconds


def migrate(site: Process, before: Sequence[str], measured: Sequence[str]) -> float:
    """Seconds of some apps' migrations; those of others are made before."""
    for label in before:
        _migrate(site, label)
    return sum(_migrate(site, label) for label in measured)


def _migrate(site: Process, label: str) -> float:
    answer = site.ask("command", name="migrate", args=[label], options={"verbosity": 0})
    return float(answer["seconds"])
