"""The process that executes a model: started by path, one per run, standard library only.

Its interpreter needs neither Django nor this library installed. The one argument names the job, a
JSON file; standard input is the lifeline, which only ever ends; answers are JSON lines on what was
standard output. What the model prints goes to standard error, of which the parent keeps the tail.
"""

from __future__ import annotations

import sys

# Our own directory must not shadow the model's imports: it holds names such as "inputs".
if sys.path and sys.path[0] == __file__.rpartition("/")[0]:
    del sys.path[0]

# Every module imported here is paid for by every run: the others wait until they are needed.
import _thread
import fcntl
import importlib
import json
import os
import resource
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PROGRESS_SECONDS = 0.1
MESSAGE_LENGTH = 4000
TRACEBACK_LENGTH = 16_384
SIGKILL = 9
F_SETSIG = 10  # Linux; the fcntl module of some builds does not name it
PR_SET_PDEATHSIG = 1


class Channel:
    """JSON lines to the parent."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.lock = _thread.allocate_lock()
        self.next_progress = 0.0

    def send(self, message: dict[str, Any]) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self.lock:
            while line:
                line = line[os.write(self.descriptor, line) :]

    def progress(self, fraction: float, message: str = "") -> None:
        """Passed on at most ten times a second, however often the model calls."""
        now = time.monotonic()
        if now >= self.next_progress:
            self.next_progress = now + PROGRESS_SECONDS
            words = str(message)[:200]
            self.send({"type": "progress", "fraction": float(fraction), "message": words})


def take_over_streams() -> tuple[int, Channel]:
    """Move the protocol off descriptors 0 and 1, so that prints and reads cannot disturb it."""
    lifeline, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    return lifeline, Channel(answers)


def read_job(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        job: dict[str, Any] = json.load(file)
    return job


def die_with_worker(lifeline: int, worker: int) -> None:
    """End this whole process group as soon as the worker is gone, even inside C code."""
    _thread.start_new_thread(_end_at_hangup, (lifeline,))
    if not sys.platform.startswith("linux"):
        return
    _ask_for_parent_death_signal()
    # When the pipe's other end closes the kernel raises SIGIO by itself; as SIGKILL, and for the
    # group, it also reaches what the model has forked, whoever holds the interpreter's lock.
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, F_SETSIG, SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    if os.getppid() != worker:  # it died before we asked
        os.killpg(os.getpgrp(), SIGKILL)


def _ask_for_parent_death_signal() -> None:
    try:
        libc = importlib.import_module("ctypes").CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
    except (ImportError, OSError, AttributeError):
        return  # some builds of Python have no ctypes; the lifeline works without it


def _end_at_hangup(lifeline: int) -> None:
    if not os.read(lifeline, 1):
        os.killpg(os.getpgrp(), SIGKILL)


def limit_resources(address_space_bytes: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if address_space_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))


def prepare_imports(job: dict[str, Any], channel: Channel) -> None:
    """Make the project's modules importable, and those of comp_core that need no Django."""
    given: list[str] = job["sys_path"]
    own = [entry for entry in sys.path if entry not in given]
    sys.path[:] = given + own if job["same_interpreter"] else own + given
    try:
        progress = importlib.import_module("comp_core.progress")
    except ImportError:
        package = type(sys)("comp_core")
        package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
        sys.modules["comp_core"] = package
        progress = importlib.import_module("comp_core.progress")
    progress.reporter = channel.progress  # type: ignore[attr-defined]  # module found at run time


# The other half stands in comp_core.jobs. Module, class, and how to make one of a JSON value.
DECODERS: dict[str, tuple[str, str, Callable[[Any, Any], Any]]] = {
    "date": ("datetime", "date", lambda kind, value: kind.fromisoformat(value)),
    "datetime": ("datetime", "datetime", lambda kind, value: kind.fromisoformat(value)),
    "time": ("datetime", "time", lambda kind, value: kind.fromisoformat(value)),
    "seconds": ("datetime", "timedelta", lambda kind, value: kind(seconds=value)),
    "decimal": ("decimal", "Decimal", lambda kind, value: kind(value)),
    "uuid": ("uuid", "UUID", lambda kind, value: kind(value)),
}


def decode(kind: str, value: Any) -> Any:
    """A parameter in Python's own type; plain values and the paths of files are ready."""
    if kind == "list":
        return [decode(*item) for item in value]
    if kind not in DECODERS:
        return value
    module, name, make = DECODERS[kind]
    return make(getattr(importlib.import_module(module), name), value)


def build_inputs(encoded: dict[str, tuple[str, Any]]) -> Any:
    """The parameters as attributes; a file is the path of a copy."""
    namespace = type(sys.implementation)  # types.SimpleNamespace, without its import
    return namespace(**{name: decode(kind, value) for name, (kind, value) in encoded.items()})


def execute(job: dict[str, Any]) -> dict[str, Any]:
    """Carry the job out; answers the body of the final message."""
    module: Any = importlib.import_module(job["functions"])
    version = str(module.get_version()) if hasattr(module, "get_version") else ""
    inputs = build_inputs(job["inputs"])
    if job["task"] == "check":
        found = module.validate(inputs) if hasattr(module, "validate") else {}
        return {"version": version, "errors": field_messages(found)}
    run = getattr(module, "run", None)
    if not callable(run):
        raise TypeError(f"{job['functions']} has no function run(inputs).")
    writing: Any = importlib.import_module("comp_core.outputs.writing")
    started = time.monotonic()
    outputs = writing.collect(run(inputs))
    seconds = time.monotonic() - started
    entries = writing.write_outputs(
        outputs,
        job["output_directory"],
        max_bytes=job["max_output_bytes"],
        max_sum_bytes=job["max_run_output_bytes"],
    )
    return {"version": version, "seconds": seconds, "outputs": entries}


def field_messages(found: Any) -> dict[str, list[str]]:
    """What ``validate`` returned, as {field: [messages]}."""
    if not isinstance(found, (dict, type(None))):
        kind = type(found).__name__
        raise TypeError(f"validate() must return a dict of field to messages, not a {kind}.")
    return {
        str(field)[:200]: [str(words)[:2000] for words in _as_list(said)]
        for field, said in (found or {}).items()
        if said
    }


def _as_list(said: Any) -> list[Any]:
    if isinstance(said, str) or not hasattr(said, "__iter__"):
        return [said]
    return list(said)[:100]


def failure(error: BaseException) -> dict[str, Any]:
    """The body of the final message for an error: its author's own words first."""
    traceback: Any = importlib.import_module("traceback")
    report = traceback.TracebackException.from_exception(error, limit=-50)
    # Our own frames say nothing to the model's author.
    kept = [frame for frame in report.stack if frame.filename != __file__]
    report.stack = traceback.StackSummary.from_list(kept)
    return {
        "error_type": type(error).__name__,
        "message": _words(error)[:MESSAGE_LENGTH],
        "traceback": "".join(report.format())[-TRACEBACK_LENGTH:],
    }


def _words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"The model ended its process with sys.exit({error.code!r}) instead of returning."
    try:
        words = str(error)
    except Exception:
        return type(error).__name__  # an error whose own text fails
    if isinstance(error, MemoryError) and not words:
        return "The model ran out of memory."
    return words or type(error).__name__


def answer(job: dict[str, Any], channel: Channel) -> dict[str, Any]:
    try:
        limit_resources(job["address_space_bytes"])
        prepare_imports(job, channel)
        return {"type": "done", **execute(job)}
    except BaseException as error:  # SystemExit and friends are the model's too
        return {"type": "failed", **failure(error)}


def peak_memory_bytes() -> int:
    """The largest resident size so far. getrusage also counts the parent's at the fork."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def flush_prints() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError, TypeError):
            continue  # the model has closed it, or put something else in its place


def main() -> None:
    process = os.getpid()
    lifeline, channel = take_over_streams()
    job = read_job(sys.argv[1])
    die_with_worker(lifeline, job["worker_pid"])
    message = answer(job, channel)
    flush_prints()
    # A process that the model forked and let run on must not answer in our name.
    if os.getpid() == process:
        channel.send({**message, "peak_memory_bytes": peak_memory_bytes()})
    # Not the ordinary way out: a thread or an exit handler of the model could hold it for ever.
    os._exit(0)


if __name__ == "__main__":
    main()
