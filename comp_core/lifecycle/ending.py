"""How runs end: every terminal transition goes through one function, which tells the meter."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from comp_core.crashpoints import crashpoint, step
from comp_core.db import after_commit
from comp_core.exceptions import CompError, RunHasEnded, RunIsNotRunning
from comp_core.lifecycle.admission import admit, running_limit
from comp_core.lifecycle.leasing import TRIES, note_interruption
from comp_core.metering import get_meter
from comp_core.models import Interruption, Run
from comp_core.signals import run_finished
from comp_core.status import TERMINAL, RunStatus, sources_of

MICROSECOND = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt ended. ``seconds`` is the model's own time; ``outputs`` a stored manifest."""

    status: RunStatus
    seconds: Decimal | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    upstream_version: str = ""
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""
    stdout_tail: str = ""
    peak_memory_bytes: int | None = None

    def values(self) -> dict[str, Any]:
        """The columns of Run that this outcome fills."""
        values: dict[str, Any] = {
            "outputs": self.outputs,
            "error_type": self.error_type[:100],
            "error_message": self.error_message,
            "traceback": self.traceback,
            "stdout_tail": self.stdout_tail,
            "peak_memory_bytes": self.peak_memory_bytes,
        }
        if self.seconds is not None:
            values["run_time"] = self.seconds.quantize(MICROSECOND)
        if self.upstream_version:
            values["upstream_version"] = self.upstream_version[:200]
        return values


def finish(run_id: uuid.UUID, token: uuid.UUID, outcome: Outcome) -> bool:
    """Store an attempt's outcome. False: it lost its lease meanwhile, and nothing was written."""
    leased = Q(status=RunStatus.RUNNING, lease_token=token)
    return end_run(run_id, leased, outcome.status, outcome.values())


def cancel(run: Run) -> Run:
    """Stop a run: at once while it waits, within seconds while it runs. A finished run stays.

    Answers the run as it stands now; a running one is cancelled by its worker's next heartbeat.
    """
    for _ in range(TRIES):
        words = {"error_message": "Cancelled before it started."}
        if end_run(run.pk, Q(status=RunStatus.QUEUED), RunStatus.CANCELLED, words):
            break
        crashpoint("ask_cancel:begin")
        asked = Run.objects.filter(
            pk=run.pk, status=RunStatus.RUNNING, cancel_requested_at__isnull=True
        ).update(cancel_requested_at=Now(), modified=Now())
        crashpoint("ask_cancel:committed")
        run = Run.objects.get(pk=run.pk)
        if asked or run.status in TERMINAL or run.cancel_requested_at is not None:
            return run
    return Run.objects.get(pk=run.pk)


def mark_lost(run: Run) -> Run:
    """An operator's verb: give a running run up, whoever holds it now; answers it as it stands.

    Its worker finds its token gone at the next heartbeat and discards what it has. The run costs
    nothing. Raises RunHasEnded, or RunIsNotRunning for one that waits.
    """
    words = {"error_type": "GivenUp", "error_message": "An operator gave this run up."}
    running = Q(status=RunStatus.RUNNING)
    for _ in range(TRIES):
        if end_run(run.pk, running, RunStatus.LOST, words, interrupted=Interruption.GIVEN_UP):
            break
        run = Run.objects.get(pk=run.pk)
        if run.status in TERMINAL:
            raise RunHasEnded
        if run.status == RunStatus.QUEUED:
            raise RunIsNotRunning
    return Run.objects.get(pk=run.pk)


def end_run(
    run_id: uuid.UUID,
    guard: Q,
    status: RunStatus,
    values: dict[str, Any],
    *,
    interrupted: Interruption | None = None,
) -> bool:
    """The one terminal transition: status, price and the meter's record, in one transaction.

    ``guard`` names the state that the run leaves, and the table of legal moves has its say too;
    False when the run was not in such a state, nothing written. ``interrupted``: the attempt had
    no outcome of its own, and is noted beside the run.
    """
    if status not in TERMINAL:
        raise CompError(f"{status!r} does not end a run.")
    leaving = guard & Q(status__in=sources_of(status))
    with step("end"):
        run = (
            Run.objects.filter(leaving, pk=run_id)
            .select_related("project", "owner", "payer")
            .annotate(db_now=Now())
            .first()
        )
        if run is None:
            return False
        # The token pins the attempt: another one may have begun since we read the run.
        same = Run.objects.filter(leaving, pk=run_id, lease_token=run.lease_token)
        values = {**values, **_end_values(run, status, values)}
        if not same.update(**values):
            return False
        if interrupted is not None:
            note_interruption(run, interrupted)
        for name, value in values.items():
            setattr(run, name, value)
        _tell_meter(run)
        after_commit(_announce, run)
        if running_limit(run.owner) is not None:
            after_commit(admit, run.owner_id)
    return True


def _end_values(run: Any, status: RunStatus, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": status,
        "finished_at": run.db_now,
        "lease_token": None,
        "lease_expires_at": None,
        "held": False,
        "modified": run.db_now,
        **_price(run, status, values),
    }


def _price(run: Run, status: RunStatus, values: dict[str, Any]) -> dict[str, Any]:
    if status != RunStatus.SUCCEEDED:
        return {"run_cost": None}
    return {"run_cost": get_meter().cost(run, values["run_time"]), "progress": 1.0}


def _tell_meter(run: Run) -> None:
    meter = get_meter()
    if run.status == RunStatus.SUCCEEDED:
        meter.record(run)
    else:
        meter.release(run)


def _announce(run: Run) -> None:
    run_finished.send_robust(sender=Run, run=run)
