"""Starts a model in a process of its own and puts into words how it ended."""

from __future__ import annotations

import os
import signal
import stat
import uuid
from typing import Any

from comp_core.child import UNHEARD_STATUS
from comp_core.conf import conf
from comp_core.declaration import ModelSpec
from comp_core.jobs import Scratch, Task, environment, write_job
from comp_core.lifecycle import Outcome
from comp_core.models import CoreInputs
from comp_core.outputs.transfer import Keeper
from comp_core.process import CHILD, Ending, Limits, Progress, Stop, Watch, run_process
from comp_core.status import RunStatus

GIBIBYTE = 2**30


def start_model(
    task: Task,
    spec: ModelSpec,
    inputs: CoreInputs,
    scratch: Scratch,
    *,
    deadline_seconds: float,
    watch: Watch,
) -> Ending:
    """Run a task of a model to its end. Raises OSError when it cannot be started."""
    mark = uuid.uuid4().hex
    # A storage may take its time to hand the uploads out: that must not cost the lease.
    with Keeper(lambda: watch(Progress())) as keeper:
        job = write_job(task, spec, inputs, scratch, moved=keeper.moved)
    ending = run_process(
        [spec.interpreter, str(CHILD), str(job)],
        cwd=scratch.working,
        env=environment(scratch, mark),
        mark=mark,
        limits=Limits(
            deadline_seconds=deadline_seconds,
            grace_seconds=conf.TERMINATE_GRACE_SECONDS,
            memory_bytes=conf.MAX_MEMORY_BYTES,
            tail_bytes=conf.STDOUT_TAIL_BYTES,
        ),
        watch=watch,
    )
    if ending.answer and not _is_believable(ending.answer, task, scratch):
        ending.answer, ending.stop = None, Stop.GARBLED
    return ending


def _is_believable(answer: dict[str, Any], task: Task, scratch: Scratch) -> bool:
    """Whether an answer belongs to the task, and its files are there and within the limits.

    The child sees to that; but what a model itself writes in the child's name comes here too.
    """
    if answer["type"] == "failed":
        return True
    if task == "check" or "errors" in answer:
        return task == "check" and "errors" in answer
    try:
        found = [os.lstat(scratch.outputs / entry["file"]) for entry in answer["outputs"]]
    except OSError:
        return False
    sizes = [file.st_size for file in found if stat.S_ISREG(file.st_mode)]
    return (
        len(sizes) == len(found)
        and max(sizes, default=0) <= conf.MAX_OUTPUT_BYTES
        and sum(sizes) <= conf.MAX_RUN_OUTPUT_BYTES
    )


STOPPED = {
    Stop.DEADLINE: (RunStatus.TIMED_OUT, "DeadlineExceeded"),
    Stop.MEMORY: (RunStatus.FAILED, "MemoryExceeded"),
    Stop.CANCELLED: (RunStatus.CANCELLED, ""),
    Stop.RELEASED: (RunStatus.CANCELLED, ""),
    Stop.GARBLED: (RunStatus.FAILED, "Garbled"),
}


def bad_outcome(ending: Ending) -> Outcome:
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
        error_type=clean(error_type),
        error_message=clean(message),
        traceback=clean(answer.get("traceback", "")),
        stdout_tail=clean(ending.tail),
        peak_memory_bytes=ending.peak_memory_bytes or None,
    )


def _stop_words(ending: Ending) -> str:
    if ending.stop is Stop.DEADLINE:
        limit = ending.deadline_seconds  # what it took in the end may be more
        return f"The model was stopped at its time limit, after {limit:g} seconds."
    if ending.stop is Stop.MEMORY:
        limit = (conf.MAX_MEMORY_BYTES or 0) / GIBIBYTE
        return f"The model used more than the {limit:.1f} GiB of memory allowed and was stopped."
    if ending.stop is Stop.GARBLED:
        return "The model wrote to the channel that carries its results, and was stopped."
    return "Cancelled while it ran."


def _crash_words(returncode: int) -> str:
    if returncode == UNHEARD_STATUS:
        return (
            "The model closed the channel that carries its results, "
            "so that what it returned is lost."
        )
    if returncode >= 0:
        return f"The model ended its process with exit status {returncode} instead of returning."
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return (
            "The model's process was killed (SIGKILL): by the system for want of memory, or by "
            "the model itself."
        )
    return f"The model's process crashed ({name})."


def failed(error: Exception, words: str) -> Outcome:
    """The outcome of a run that the worker itself could not carry out."""
    return Outcome(
        status=RunStatus.FAILED,
        error_type=type(error).__name__,
        error_message=clean(f"{words}: {error}"),
    )


def clean(value: Any) -> Any:
    """Text that both databases take: PostgreSQL stores neither NUL nor half surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value
