"""Runs as the command line shows them: a list, a sheet for one of them, and both for programs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model

from comp_core.exceptions import CompError
from comp_core.models import Run
from comp_core.operating import meaning, with_clock
from comp_core.parameters import parameters_of
from comp_core.printed import plain
from comp_core.status import RunStatus

FEWEST_CHARACTERS = 8
COLUMNS = (
    *("id", "status", "project", "owner", "queue", "attempt", "worker", "progress"),
    *("queued_at", "started_at", "finished_at"),
)
# In the order of the sheet; what every row of the list has comes first.
FACTS = (
    *("id", "title", "status", "project", "owner", "payer", "queue", "priority", "held"),
    *("attempt", "max_attempts", "worker", "progress", "progress_message"),
    *("queued_at", "started_at", "finished_at", "start_deadline_at", "lease_expires_at"),
    *("cancel_requested_at", "timeout_seconds", "run_time", "run_cost", "currency"),
    *("server_cost", "upstream_version", "comp_version", "peak_memory_bytes", "error_type"),
    *("error_message", "outputs_pruned_at"),
)
# Only on the sheet of one run.
LARGE = ("outputs", "traceback", "stdout_tail")


class NotFound(CompError):
    """No run has this id."""


def chosen(text: str) -> Any:
    """The run whose id this is, or begins so. Raises NotFound."""
    digits = text.replace("-", "").lower()
    if not re.fullmatch(f"[0-9a-f]{{{FEWEST_CHARACTERS},32}}", digits):
        shortest = f"at least its first {FEWEST_CHARACTERS} characters"
        raise NotFound(f"{text!r} is no run's id: give it whole, or {shortest}.")
    first, last = (uuid.UUID(digits.ljust(32, end)) for end in "0f")
    found = _runs().filter(pk__gte=first, pk__lte=last).order_by("pk")[:2]
    if not found:
        raise NotFound(f"No run has an id that is, or begins with, {text!r}.")
    if len(found) > 1:
        raise NotFound(f"More than one run has an id that begins with {text!r}: give more of it.")
    return found[0]


def running_on(worker: str) -> list[Run]:
    """The runs that a worker holds, by its id."""
    return list(_runs().filter(status=RunStatus.RUNNING, worker_id=worker).order_by("pk"))


def listed(
    *,
    status: str | None = None,
    project: str | None = None,
    owner: str | None = None,
    queue: str | None = None,
    limit: int = 0,
) -> Iterable[Any]:
    """Runs, newest first; ``owner`` is a user's name, ``limit`` 0 means all."""
    wanted = {
        "status": status,
        "project__slug": project,
        f"owner__user__{get_user_model().USERNAME_FIELD}": owner,
        "queue": queue,
    }
    conditions = {name: value for name, value in wanted.items() if value is not None}
    runs = _runs().filter(**conditions).defer(*LARGE).order_by("-created")
    found: Iterable[Any] = runs[:limit] if limit > 0 else runs.iterator(chunk_size=1000)
    return found


def _runs() -> Any:
    related = Run.objects.select_related("project", "owner__user", "payer__user")
    return with_clock(related)


def as_dict(run: Any, *, whole: bool = False) -> dict[str, Any]:
    """A run for programs; ``whole``: with its words, outputs, inputs and interrupted attempts."""
    found = {name: _value(run, name) for name in FACTS}
    if not whole:
        return found
    return {
        **found,
        **{name: getattr(run, name) for name in LARGE},
        "inputs": {label: str(value) for label, value in parameters_of(run)},
        "attempts": [
            {
                "number": attempt.number,
                "worker": attempt.worker_id,
                "started_at": attempt.started_at,
                "ended_at": attempt.ended_at,
                "reason": attempt.reason,
                "progress": attempt.progress,
            }
            for attempt in run.attempts.all()
        ],
    }


def _value(run: Any, name: str) -> Any:
    if name == "worker":
        return run.worker_id
    if name == "project":
        return run.project.slug
    if name in ("owner", "payer"):
        return getattr(run, name).user.get_username()
    return getattr(run, name)


def listing(runs: Iterable[Any]) -> list[str]:
    """A line for each run, in columns, below their names."""
    rows = [[_fact(run, name) for name in COLUMNS] for run in runs]
    if not rows:
        return ["No run is like that."]
    return _aligned([list(COLUMNS), *rows])


def sheet(run: Any) -> Iterator[str]:
    """Everything about one run that an operator may ask for."""
    facts = [[name, _fact(run, name)] for name in FACTS]
    yield from _aligned([row for row in facts if row[1]])
    yield f"\n{meaning(run)}"
    rows = [
        [str(a.number), _shown(a.started_at), _shown(a.ended_at), str(a.reason), a.worker_id]
        for a in run.attempts.all()
    ]
    yield from _section("Interrupted attempts", _aligned(rows))
    inputs = [[label, _shown(value)] for label, value in parameters_of(run)]
    yield from _section("Inputs", _aligned(inputs))
    outputs = [[e["title"], e["kind"], f"{e['size']} bytes", e["path"]] for e in run.outputs]
    yield from _section("Outputs", _aligned(outputs))
    yield from _section("Traceback", plain(run.traceback).splitlines())
    yield from _section("What the model printed", plain(run.stdout_tail).splitlines())


def _fact(run: Any, name: str) -> str:
    return f"{int(run.progress * 100)} %" if name == "progress" else _shown(_value(run, name))


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"\n{title}"
        yield from (f"  {line}" for line in lines)


def _shown(value: Any) -> str:
    """One line without control characters: a title or an error may have been made to mislead."""
    if value is None or value is False:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return " ".join(plain(str(value)).split())


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
