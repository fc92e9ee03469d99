"""What operators do to runs, in the admin and at the command line, and its result in words.

The verbs themselves are the lifecycle's, the same that the pages call.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from comp_core import lifecycle
from comp_core.db import from_now
from comp_core.exceptions import RunHasEnded, RunIsNotRunning
from comp_core.models import Run
from comp_core.status import TERMINAL, RunStatus

# A reaper looks every few seconds: a lease that ran out this long ago has none to look at it.
UNREAPED_SECONDS = 60
LONG_WAIT_SECONDS = 600


class Result(enum.Enum):
    """What became of one run."""

    CANCELLED = "cancelled"
    # It runs: its worker has been asked to stop it.
    ASKED = "asked"
    REQUEUED = "requeued"
    GIVEN_UP = "given up"
    # Left alone, each for a reason of its own.
    ENDED = "ended"
    WAITS = "waits"
    BEING_CANCELLED = "being cancelled"

    @property
    def moved(self) -> bool:
        return self not in (Result.ENDED, Result.WAITS, Result.BEING_CANCELLED)


@dataclass(frozen=True)
class Done:
    """A run as it stands after a verb, and what the verb did to it."""

    run: Run
    result: Result

    @property
    def words(self) -> str:
        """What happened, what it means for the money, what happens next."""
        return NEXT[self.result]()


NEXT: dict[Result, Callable[[], str]] = {
    Result.CANCELLED: lambda: _("It was cancelled and costs nothing."),
    Result.ASKED: lambda: _(
        "It is being cancelled: its worker stops the model within seconds. "
        "It costs nothing, unless it succeeds before that."
    ),
    Result.REQUEUED: lambda: _(
        "It waits to start anew. An attempt that was under way is discarded, costs nothing and "
        "does not count against the run."
    ),
    Result.GIVEN_UP: lambda: _(
        "It ended as lost and costs nothing. Its worker discards what it has at its next heartbeat."
    ),
    Result.ENDED: lambda: _("It has ended already, and a run that has ended never changes."),
    Result.WAITS: lambda: _("It waits, and only a running run can be given up: cancel it instead."),
    Result.BEING_CANCELLED: lambda: _("It is being cancelled already, which is not taken back."),
}


def cancel(run: Run) -> Done:
    """Stop a run: at once while it waits, by its worker while it runs."""
    if _has_ended(run):
        return Done(run, Result.ENDED)
    run = lifecycle.cancel(run)
    if run.status == RunStatus.CANCELLED:
        return Done(run, Result.CANCELLED)
    return Done(run, Result.ENDED if run.status in TERMINAL else Result.ASKED)


def requeue(run: Run) -> Done:
    """Have a run start again, whoever holds it now."""
    try:
        run = lifecycle.requeue(run)
    except RunHasEnded:
        return Done(run, Result.ENDED)
    asked = run.cancel_requested_at is not None
    return Done(run, Result.BEING_CANCELLED if asked else Result.REQUEUED)


def mark_lost(run: Run) -> Done:
    """Give a running run up, whoever holds it now."""
    try:
        return Done(lifecycle.mark_lost(run), Result.GIVEN_UP)
    except RunHasEnded:
        return Done(run, Result.ENDED)
    except RunIsNotRunning:
        return Done(run, Result.WAITS)


def _has_ended(run: Run) -> bool:
    return Run.objects.filter(pk=run.pk, status__in=TERMINAL).exists()


Verb = Callable[[Run], Done]
VERBS: dict[str, Verb] = {"cancel": cancel, "requeue": requeue, "mark_lost": mark_lost}


def summary(done: Iterable[Done]) -> str:
    """How many runs fared how, such as "2 runs are being cancelled; 1 run has ended already"."""
    counts = Counter(each.result for each in done)
    parts = [_counted(result, counts[result]) for result in Result if counts[result]]
    return "; ".join(parts) + "." if parts else _("No run was chosen.")


def _counted(result: Result, count: int) -> str:
    texts: dict[Result, str] = {
        Result.CANCELLED: ngettext("%d run was cancelled", "%d runs were cancelled", count),
        Result.ASKED: ngettext("%d run is being cancelled", "%d runs are being cancelled", count),
        Result.REQUEUED: ngettext(
            "%d run waits to start anew", "%d runs wait to start anew", count
        ),
        Result.GIVEN_UP: ngettext("%d run was given up", "%d runs were given up", count),
        Result.ENDED: ngettext("%d run has ended already", "%d runs have ended already", count),
        Result.WAITS: ngettext("%d run is not running", "%d runs are not running", count),
        Result.BEING_CANCELLED: ngettext(
            "%d run is being cancelled already", "%d runs are being cancelled already", count
        ),
    }
    return texts[result] % count


def silent() -> Q:
    """Running runs whose lease has run out: the next maintenance round takes them back."""
    return Q(status=RunStatus.RUNNING, lease_expires_at__lt=Now())


def unreaped() -> Q:
    """Running runs whose lease ran out a while ago: no maintenance loop is there."""
    return Q(status=RunStatus.RUNNING, lease_expires_at__lt=from_now(-UNREAPED_SECONDS))


def long_waiting() -> Q:
    """Runs that have waited for a worker for more than ten minutes."""
    return Q(status=RunStatus.QUEUED, held=False, queued_at__lt=from_now(-LONG_WAIT_SECONDS))


MEANINGS: dict[str, Callable[[], str]] = {
    RunStatus.QUEUED: lambda: _("It waits for a free worker."),
    RunStatus.RUNNING: lambda: _("A worker is at it and reports every few seconds."),
    RunStatus.SUCCEEDED: lambda: _(
        "The model returned; its outputs are stored, its cost is final."
    ),
    RunStatus.FAILED: lambda: _("The model raised, crashed or broke a limit. It costs nothing."),
    RunStatus.CANCELLED: lambda: _("Its user or an operator stopped it. It costs nothing."),
    RunStatus.TIMED_OUT: lambda: _("It took longer than it may. It costs nothing."),
    RunStatus.ABORTED: lambda: _("No worker was free before its deadline. It costs nothing."),
    RunStatus.LOST: lambda: _("Its workers vanished, or it was given up. It costs nothing."),
}


def with_clock(runs: Any) -> Any:
    """The runs with the moment at which they are read, as ``db_now``, by the database's clock."""
    return runs.annotate(db_now=Now())


def meaning(run: Any) -> str:
    """What the state of a run, read ``with_clock``, means to an operator."""
    if run.held:
        return _("It waits behind its owner's other runs, of which only so many may be under way.")
    if run.cancel_requested_at and not run.is_finished:
        return _("It is being cancelled by its worker.")
    if run.status == RunStatus.RUNNING and run.lease_expires_at < run.db_now:
        return _("Its worker fell silent; the next maintenance round takes it back.")
    return MEANINGS[run.status]()
