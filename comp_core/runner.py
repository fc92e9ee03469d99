"""Executes a claimed run, or a check of inputs, in a process of its own."""

from __future__ import annotations

import logging
import signal
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections

from comp_core.conf import conf
from comp_core.db import patient
from comp_core.declaration import ModelSpec
from comp_core.exceptions import UnknownModel
from comp_core.jobs import Scratch, Task, environment, scratch_directory, write_job
from comp_core.lifecycle import Outcome, finish, heartbeat, release
from comp_core.models import CoreInputs, Run
from comp_core.outputs.store import delete_outputs, save_outputs
from comp_core.process import CHILD, Ending, Limits, Progress, Stop, Watch, run_process
from comp_core.process_state import stopping
from comp_core.registry import get_spec, spec_of
from comp_core.status import RunStatus

logger = logging.getLogger("comp_core")

FINISH_PATIENCE_SECONDS = 60
GIBIBYTE = 2**30


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
        spec = get_spec(run.project.slug)
        inputs = spec.run_model._base_manager.select_related("inputs").get(pk=run.pk).inputs
        with scratch_directory() as scratch:
            limits = _limits(run.timeout_seconds)
            ending = _start("run", spec, inputs, scratch, limits=limits, watch=watch)
            return _conclude(run, ending, scratch, watch)
    except (OSError, UnknownModel) as error:
        logger.exception("Run %s could not be carried out.", run.pk)
        return watch.finish(_failed(error, "The worker could not carry this run out"))


def check(inputs: CoreInputs) -> CheckResult | None:
    """Let the model check inputs; None when this worker has to stop before the model is done."""
    spec, limits = spec_of(inputs), _limits(conf.CHECK_SECONDS)
    try:
        with scratch_directory() as scratch:
            ending = _start("check", spec, inputs, scratch, limits=limits, watch=_stop_watch)
    except OSError as error:
        logger.exception("Inputs %s could not be checked.", inputs.pk)
        return CheckResult({"__all__": [f"The worker could not check these inputs: {error}"]})
    if ending.stop is Stop.RELEASED:
        return None
    answer = ending.answer or {}
    if answer.get("type") == "done":
        return CheckResult(_clean(answer["errors"]), _clean(answer["version"]))
    outcome = _bad_outcome(ending)
    logger.warning("Check of inputs %s failed: %s", inputs.pk, outcome.error_message)
    words = f"The model could not check these inputs: {outcome.error_message}"
    return CheckResult({"__all__": [words]})


def _stop_watch(progress: Progress) -> Stop | None:
    return Stop.RELEASED if stopping.overdue else None


def _limits(deadline_seconds: float) -> Limits:
    return Limits(
        deadline_seconds=deadline_seconds,
        grace_seconds=conf.TERMINATE_GRACE_SECONDS,
        memory_bytes=conf.MAX_MEMORY_BYTES,
        tail_bytes=conf.STDOUT_TAIL_BYTES,
    )


def _start(
    task: Task,
    spec: ModelSpec,
    inputs: CoreInputs,
    scratch: Scratch,
    *,
    limits: Limits,
    watch: Watch,
) -> Ending:
    job, mark = write_job(task, spec, inputs, scratch), uuid.uuid4().hex
    return run_process(
        [spec.interpreter, str(CHILD), str(job)],
        cwd=scratch.working,
        env=environment(scratch, mark),
        mark=mark,
        limits=limits,
        watch=watch,
    )


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
        message = _clean(progress.message)
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
        return watch.finish(_bad_outcome(ending))
    return _succeed(run, ending, scratch, watch)


def _succeed(run: Run, ending: Ending, scratch: Scratch, watch: _RunWatch) -> bool:
    answer = ending.answer or {}
    entries = _clean(answer["outputs"])
    manifest = save_outputs(run, entries, scratch.outputs, between=watch.keep_lease)
    outcome = Outcome(
        status=RunStatus.SUCCEEDED,
        # The model's own clock, which starts after the imports; never more than ours.
        seconds=Decimal(str(min(max(float(answer["seconds"]), 0.0), ending.seconds))),
        outputs=manifest,
        upstream_version=_clean(answer["version"]),
        stdout_tail=_clean(ending.tail),
        peak_memory_bytes=ending.peak_memory_bytes or None,
    )
    kept = False
    try:
        kept = watch.finish(outcome)
    finally:
        if not kept:
            delete_outputs(manifest)
    return kept


STOPPED = {
    Stop.DEADLINE: (RunStatus.TIMED_OUT, "DeadlineExceeded"),
    Stop.MEMORY: (RunStatus.FAILED, "MemoryExceeded"),
    Stop.CANCELLED: (RunStatus.CANCELLED, ""),
    Stop.RELEASED: (RunStatus.CANCELLED, ""),
    Stop.GARBLED: (RunStatus.FAILED, "Garbled"),
}


def _bad_outcome(ending: Ending) -> Outcome:
    """Words for every end that is not a success."""
    answer = ending.answer or {}
    if ending.stop is not None:
        status, error_type = STOPPED[ending.stop]
        message = _stop_words(ending)
    elif answer:
        status, error_type = RunStatus.FAILED, answer["error_type"]
        message = answer["message"]
    else:
        status, error_type = RunStatus.FAILED, "Crashed"
        message = _crash_words(ending.returncode)
    return Outcome(
        status=status,
        error_type=_clean(error_type),
        error_message=_clean(message),
        traceback=_clean(answer.get("traceback", "")),
        stdout_tail=_clean(ending.tail),
        peak_memory_bytes=ending.peak_memory_bytes or None,
    )


def _stop_words(ending: Ending) -> str:
    if ending.stop is Stop.DEADLINE:
        return f"The model was stopped at its time limit, after {ending.seconds:.0f} seconds."
    if ending.stop is Stop.MEMORY:
        limit = (conf.MAX_MEMORY_BYTES or 0) / GIBIBYTE
        return f"The model used more than the {limit:.1f} GiB of memory allowed and was stopped."
    if ending.stop is Stop.GARBLED:
        return "The model wrote to the channel that carries its results, and was stopped."
    return "Cancelled while it ran."


def _crash_words(returncode: int) -> str:
    if returncode >= 0:
        return f"The model ended its process with exit status {returncode} instead of returning."
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return "The model's process was killed (SIGKILL), most often for want of memory."
    return f"The model's process crashed ({name})."


def _failed(error: Exception, words: str) -> Outcome:
    return Outcome(
        status=RunStatus.FAILED,
        error_type=type(error).__name__,
        error_message=_clean(f"{words}: {error}"),
    )


def _clean(value: Any) -> Any:
    """Text that both databases take: PostgreSQL stores neither NUL nor half surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
