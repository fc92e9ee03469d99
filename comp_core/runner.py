"""Executes a claimed run, or a check of inputs, in a process of its own."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.db import InterfaceError, OperationalError, close_old_connections

from comp_core.conf import conf
from comp_core.crashpoints import crashpoint
from comp_core.db import patient
from comp_core.exceptions import OutputsNotStored
from comp_core.execution import bad_outcome, clean, failed, start_model
from comp_core.jobs import Scratch, scratch_directory
from comp_core.lifecycle import Outcome, finish, heartbeat, release
from comp_core.models import CoreInputs, Run
from comp_core.outputs.store import delete_outputs, save_outputs
from comp_core.process import Ending, Progress, Stop
from comp_core.process_state import stopping
from comp_core.registry import get_spec, spec_of
from comp_core.status import RunStatus

logger = logging.getLogger("comp_core")

FINISH_PATIENCE_SECONDS = 60
# As long as the columns that keep it.
VERSION_LENGTH = 200


@dataclass(frozen=True)
class CheckResult:
    """The model's verdict: {field: [messages]}, "__all__" for the whole; empty: valid."""

    errors: dict[str, list[str]] = field(default_factory=dict)
    version: str = ""


def execute(run: Run) -> bool:
    """Execute a claimed run to its end; answers whether this attempt ended it.

    False: the lease was lost or given back, and nothing of the attempt was kept.
    """
    if run.lease_token is None:
        raise ValueError("Only a claimed run can be executed.")
    watch = _RunWatch(run, run.lease_token)
    try:
        crashpoint("execute:begin")
        spec = get_spec(run.project.slug)
        inputs = spec.run_model._base_manager.select_related("inputs").get(pk=run.pk).inputs
        with scratch_directory() as scratch:
            ending = start_model(
                "run", spec, inputs, scratch, deadline_seconds=run.timeout_seconds, watch=watch
            )
            crashpoint("model:ended")
            return _conclude(run, ending, scratch, watch)
    except (OperationalError, InterfaceError):
        raise  # no end can be written down now: the run is taken up again when its lease ends
    except Exception as error:
        # Whatever a storage, a field or a meter raises: a run without an end would be started
        # again, and then be called lost, for a fault that has a name.
        logger.exception("Run %s could not be carried out.", run.pk)
        return watch.finish(failed(error, "The worker could not carry this run out"))


def check(inputs: CoreInputs) -> CheckResult | None:
    """Let the model check inputs; None when this worker has to stop before the model is done."""
    spec, limit = spec_of(inputs), conf.CHECK_SECONDS
    try:
        with scratch_directory() as scratch:
            ending = start_model(
                "check", spec, inputs, scratch, deadline_seconds=limit, watch=_stop_watch
            )
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("Inputs %s could not be checked.", inputs.pk)
        return CheckResult(
            {NON_FIELD_ERRORS: [f"The worker could not check these inputs: {error}"]}
        )
    if ending.stop is Stop.RELEASED:
        return None
    answer = ending.answer or {}
    if answer.get("type") == "done":
        return CheckResult(clean(answer["errors"]), clean(answer["version"])[:VERSION_LENGTH])
    outcome = bad_outcome(ending)
    logger.warning("Check of inputs %s failed: %s", inputs.pk, outcome.error_message)
    words = f"The model could not check these inputs: {outcome.error_message}"
    return CheckResult({NON_FIELD_ERRORS: [words]})


def _stop_watch(progress: Progress) -> Stop | None:
    return Stop.RELEASED if stopping.overdue else None


@dataclass
class _RunWatch:
    """Keeps the lease of one run and passes requests to stop on."""

    run: Run
    token: uuid.UUID

    def __post_init__(self) -> None:
        self.next_beat = time.monotonic() + conf.HEARTBEAT_SECONDS

    def __call__(self, progress: Progress) -> Stop | None:
        if stopping.overdue:
            return Stop.RELEASED
        if time.monotonic() < self.next_beat:
            return None
        self.next_beat = time.monotonic() + conf.HEARTBEAT_SECONDS
        return self._beat(progress)

    def _beat(self, progress: Progress) -> Stop | None:
        message = clean(progress.message)
        try:
            beat = heartbeat(self.run.pk, self.token, progress=progress.fraction, message=message)
        except (OperationalError, InterfaceError) as error:
            # A database that is away for a moment costs no run: the fence decides at the end.
            logger.warning("No heartbeat for run %s: %s", self.run.pk, error)
            close_old_connections()
            return None
        if not beat.alive:
            return Stop.FENCED
        return Stop.CANCELLED if beat.cancel_requested else None

    def keep_lease(self) -> None:
        """Called between slow steps after the model's end."""
        if time.monotonic() >= self.next_beat:
            self.next_beat = time.monotonic() + conf.HEARTBEAT_SECONDS
            self._beat(Progress(1.0, ""))

    def finish(self, outcome: Outcome) -> bool:
        return patient(FINISH_PATIENCE_SECONDS)(finish)(self.run.pk, self.token, outcome)

    def release(self) -> bool:
        return patient(FINISH_PATIENCE_SECONDS)(release)(self.run.pk, self.token)


def _conclude(run: Run, ending: Ending, scratch: Scratch, watch: _RunWatch) -> bool:
    """Write down how the process ended."""
    if ending.stop is Stop.FENCED:
        logger.warning("Run %s was taken from this worker; its output is discarded.", run.pk)
        return False
    if ending.stop is Stop.RELEASED and watch.release():
        return False
    if (ending.answer or {}).get("type") != "done":
        return watch.finish(bad_outcome(ending))
    return _succeed(run, ending, scratch, watch)


def _succeed(run: Run, ending: Ending, scratch: Scratch, watch: _RunWatch) -> bool:
    entries = clean((ending.answer or {})["outputs"])
    try:
        manifest = save_outputs(run, entries, scratch.outputs, between=watch.keep_lease)
    except OutputsNotStored as error:
        return watch.finish(_not_stored(error, ending))
    try:
        crashpoint("outputs:stored")
        kept = watch.finish(_success(ending, manifest)) or _ended_by(run)
    except (OperationalError, InterfaceError):
        raise  # the database may have taken it all the same: the files stay
    except Exception:
        # What broke may have done so after the commit. Whoever ends this process (SystemExit,
        # KeyboardInterrupt) gets no answer from the database any more: then the files stay too.
        if not _ended_by(run):
            delete_outputs(manifest)
        raise
    if not kept:
        delete_outputs(manifest)
    return kept


def _success(ending: Ending, manifest: list[dict[str, Any]]) -> Outcome:
    answer = ending.answer or {}
    return Outcome(
        status=RunStatus.SUCCEEDED,
        # The model's own clock, which starts after the imports; never more than ours.
        seconds=Decimal(str(min(max(float(answer["seconds"]), 0.0), ending.seconds))),
        outputs=manifest,
        upstream_version=clean(answer["version"]),
        stdout_tail=clean(ending.tail),
        peak_memory_bytes=ending.peak_memory_bytes or None,
    )


def _not_stored(error: OutputsNotStored, ending: Ending) -> Outcome:
    return Outcome(
        status=RunStatus.FAILED,
        error_type="StorageError",
        error_message=clean(str(error)),
        stdout_tail=clean(ending.tail),
        peak_memory_bytes=ending.peak_memory_bytes or None,
    )


def _ended_by(run: Run) -> bool:
    """Whether this attempt has succeeded after all: its commit may have lost its answer only."""
    same = Run.objects.filter(pk=run.pk, attempt=run.attempt, status=RunStatus.SUCCEEDED)
    return patient(FINISH_PATIENCE_SECONDS)(same.exists)()
