"""The doctor: a registry of probes, each of which says in words how one part of a site is."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor

from comp_core.secrecy import without_secrets

MIGRATE = "Run: python manage.py migrate"


class Level(enum.Enum):
    """How bad it is; the later the worse."""

    OK = "ok"
    # It works, but somebody should look at it.
    WARNING = "warning"
    # Something does not work, or soon will not.
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One sentence that says what is, and one that says what to do about it."""

    level: Level
    what: str
    todo: str = ""
    probe: str = ""


def ok(what: str) -> Finding:
    return Finding(Level.OK, what)


def warning(what: str, todo: str) -> Finding:
    return Finding(Level.WARNING, what, todo)


def problem(what: str, todo: str) -> Finding:
    return Finding(Level.PROBLEM, what, todo)


ProbeFunction = Callable[[], Iterable[Finding]]


@dataclass(frozen=True)
class Probe:
    """A question put to the site; ``deep``: only when asked for, because it takes its time."""

    name: str
    function: ProbeFunction
    deep: bool = False


_probes: dict[str, Probe] = {}


def register_probe(name: str, func: ProbeFunction, *, deep: bool = False) -> None:
    """Have the doctor ask ``func``; call it in ``AppConfig.ready``.

    It answers findings, changes nothing that lasts, and may raise: that is a finding too.
    Registering a name again replaces its probe.
    """
    _probes[name] = Probe(name, func, deep)


def registered_probes() -> list[Probe]:
    return list(_probes.values())


def examine(*, deep: bool = False) -> list[Finding]:
    """What every probe finds. Without a database there is one finding, that there is none."""
    try:
        pending = unapplied_migrations()
    except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
        what = f"The database does not answer: {said(error)}"
        return [_named("database", problem(what, "Start it, or correct DATABASES."))]
    found = [_named("migrations", _judged(pending))]
    failed = 0
    for probe in registered_probes():
        if probe.deep and not deep:
            continue
        try:
            for finding in probe.function():
                found.append(_named(probe.name, finding))
        except Exception as error:
            # A missing table says no more than the missing migration does.
            if pending and isinstance(error, DatabaseError):
                failed += 1
            else:
                found.append(_could_not(probe, error))
    if failed:
        what = f"Probes that could not be made for want of tables or columns: {failed}."
        found.append(_named("migrations", problem(what, MIGRATE)))
    return found


def unapplied_migrations() -> list[str]:
    """Migrations of the installed apps that this database has not seen, in order."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [str(migration) for migration, _ in plan]


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the worst finding; OK when there is none."""
    levels = {finding.level for finding in findings}
    return next((level for level in reversed(Level) if level in levels), Level.OK)


def said(error: BaseException) -> str:
    """An error's class and first line, without any secret of the site's settings."""
    lines = str(error).strip().splitlines()
    return without_secrets(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def _judged(pending: list[str]) -> Finding:
    if not pending:
        return ok("Every migration has been applied.")
    what = f"Migrations that have not been applied: {len(pending)}, {pending[0]} first."
    return problem(what, MIGRATE)


def _could_not(probe: Probe, error: Exception) -> Finding:
    what = f"This could not be examined: {said(error)}"
    return _named(probe.name, problem(what, "Mend what the error names, then ask again."))


def _named(name: str, finding: Finding) -> Finding:
    return Finding(finding.level, finding.what, finding.todo, name)
