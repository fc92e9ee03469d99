"""The process that executes a model: one per run, standard library only.

Its interpreter (Python 3.7 or later) needs neither Django nor this library installed. The one
argument names the job, a file in marshal's format; standard input is the lifeline, which only ever
ends; answers are JSON lines on what was standard output. What the model prints goes to standard
error, of which the parent keeps the tail.
"""

from __future__ import annotations

# Every module named here is paid for by every run: a test holds the list, the others wait until
# they are needed. The references taken here also outlast what a model does to ``sys.modules``.
import _thread
import fcntl
import marshal
import os
import resource
import sys
from itertools import islice
from time import monotonic

from comp_core import progress
from comp_core.channel import SHORT_LENGTH, Channel
from comp_core.outputs import encoding, writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MESSAGE_LENGTH = 4000
MAX_FRAMES = 50
RECURSION_LIMIT = 1000  # Python's own
TRACEBACK_LENGTH = 16_384
# Of what validate() says, so many fields and messages for each: the channel takes all of them.
MAX_FIELDS, MAX_MESSAGES, FIELD_MESSAGE_LENGTH = 100, 10, 1000
SIGKILL = 9
F_SETSIG = 10  # Linux; the fcntl module of some builds does not name it
# Above what models close or write to when they go through all descriptors.
FIRST_DESCRIPTOR = 1000
# The exit status of a process that can no longer answer; comp_core.execution has words for it.
UNHEARD_STATUS = 113


def take_over_streams() -> tuple[int, Channel]:
    """Move the protocol off descriptors 0 and 1, so that prints and reads cannot disturb it."""
    lifeline, answers = _out_of_the_way(0), _out_of_the_way(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    return lifeline, Channel(answers)


def _out_of_the_way(descriptor: int) -> int:
    try:
        return os.dup2(descriptor, FIRST_DESCRIPTOR + descriptor, inheritable=False)
    except OSError:
        return os.dup(descriptor)  # this system allows fewer


def read_job(path: str) -> dict[str, Any]:
    """The job, which the worker alone has written: marshal would not do for anybody else's."""
    with open(path, "rb") as file:
        job: dict[str, Any] = marshal.load(file)  # noqa: S302
    return job


def die_with_worker(lifeline: int, worker: int) -> None:
    """End this whole process group as soon as the worker is gone, even inside C code."""
    _thread.start_new_thread(_end_at_hangup, (lifeline,))
    if not sys.platform.startswith("linux"):
        return
    # When the pipe's other end closes the kernel raises SIGIO by itself; as SIGKILL, and for the
    # group, it also reaches what the model has forked, whoever holds the interpreter's lock. Only
    # the worker has that other end: processes that it forks let go of it (comp_core.lifeline).
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, F_SETSIG, SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    if os.getppid() != worker:  # it died before we asked
        os.killpg(os.getpgrp(), SIGKILL)


def _end_at_hangup(lifeline: int) -> None:
    if not os.read(lifeline, 1):
        os.killpg(os.getpgrp(), SIGKILL)


def limit_resources(address_space_bytes: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if address_space_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))


def prepare_imports(job: dict[str, Any]) -> None:
    """Make the project's modules importable."""
    given: list[str] = job["sys_path"]
    own = [entry for entry in sys.path if entry not in given]
    sys.path[:] = given + own if job["same_interpreter"] else own + given


def load(name: str) -> Any:
    """The module of that name; importlib's function for it would have to be imported itself."""
    __import__(name)
    return sys.modules[name]


# The other half stands in comp_core.jobs. Module, name, and how to make one of a plain value.
DECODERS: dict[str, tuple[str, str, Callable[[Any, Any], Any]]] = {
    "date": ("datetime", "date", lambda kind, value: kind.fromisoformat(value)),
    "datetime": ("datetime", "datetime", lambda kind, value: kind.fromisoformat(value)),
    "time": ("datetime", "time", lambda kind, value: kind.fromisoformat(value)),
    "seconds": ("datetime", "timedelta", lambda kind, value: kind(seconds=value)),
    "decimal": ("decimal", "Decimal", lambda kind, value: kind(value)),
    "uuid": ("uuid", "UUID", lambda kind, value: kind(value)),
    "json": ("json", "loads", lambda loads, value: loads(value)),
}


def decode(kind: str, value: Any) -> Any:
    """A parameter in Python's own type; plain values and the paths of files are ready."""
    if kind == "list":
        return [decode(*item) for item in value]
    if kind not in DECODERS:
        return value
    module, name, make = DECODERS[kind]
    return make(getattr(load(module), name), value)


def build_inputs(encoded: dict[str, tuple[str, Any]]) -> Any:
    """The parameters as attributes; a file is the path of a copy."""
    namespace = type(sys.implementation)  # types.SimpleNamespace, without its import
    return namespace(**{name: decode(kind, value) for name, (kind, value) in encoded.items()})


def execute(job: dict[str, Any]) -> dict[str, Any]:
    """Carry the job out; answers the body of the final message."""
    module = load(job["functions"])
    version = str(module.get_version())[:SHORT_LENGTH] if hasattr(module, "get_version") else ""
    inputs = build_inputs(job["inputs"])
    if job["task"] == "check":
        found = module.validate(inputs) if hasattr(module, "validate") else {}
        return {"version": version, "errors": field_messages(found)}
    run = getattr(module, "run", None)
    if not callable(run):
        raise TypeError(f"{job['functions']} has no function run(inputs).")
    stopwatch = writing.Stopwatch(monotonic)
    with stopwatch:
        result = run(inputs)
    regain_control()
    entries = writing.write_outputs(
        writing.collect(result),
        job["output_directory"],
        max_bytes=job["max_output_bytes"],
        max_sum_bytes=job["max_run_output_bytes"],
        stopwatch=stopwatch,
    )
    return {"version": version, "seconds": stopwatch.seconds, "outputs": entries}


def regain_control() -> None:
    """Undo what a model may have done to the interpreter, so that our own code has room to run."""
    sys.settrace(None)
    sys.setprofile(None)
    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION_LIMIT))


def field_messages(found: Any) -> dict[str, list[str]]:
    """What ``validate`` returned, as {field: [messages]}."""
    if not isinstance(found, (dict, type(None))):
        kind = type(found).__name__
        raise TypeError(f"validate() must return a dict of field to messages, not a {kind}.")
    said = [(field, words) for field, words in (found or {}).items() if words]
    return {
        str(field)[:SHORT_LENGTH]: [str(word)[:FIELD_MESSAGE_LENGTH] for word in _as_list(words)]
        for field, words in said[:MAX_FIELDS]
    }


def _as_list(said: Any) -> list[Any]:
    if isinstance(said, str) or not hasattr(said, "__iter__"):
        return [said]
    return list(islice(said, MAX_MESSAGES))  # it may have no end


def failure(error: BaseException) -> dict[str, Any]:
    """The body of the final message for an error: its author's own words first."""
    words = _words(error)
    return {
        "error_type": type(error).__name__[:SHORT_LENGTH],
        "message": words[:MESSAGE_LENGTH],
        "traceback": _traceback(error, words),
    }


def _words(error: BaseException) -> str:
    try:
        if isinstance(error, SystemExit):
            code = repr(error.code)[:SHORT_LENGTH]
            return f"The model ended its process with sys.exit({code}) instead of returning."
        words = str(error)
    except BaseException:
        return type(error).__name__  # an error whose own text fails
    if isinstance(error, MemoryError) and not words:
        return "The model ran out of memory."
    return words or type(error).__name__


def _traceback(error: BaseException, words: str) -> str:
    """As Python prints it, its middle left out when it is long; "" when the model broke that."""
    try:
        traceback = load("traceback")
        # Our own frames say nothing to the model's author.
        frames = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
        stack = traceback.StackSummary.from_list([f for f in frames if f.filename not in OWN_FILES])
        if len(words) > TRACEBACK_LENGTH:  # Python would make several copies of it
            text = f"{''.join(stack.format())}{type(error).__name__}: {words[:MESSAGE_LENGTH]}"
        else:
            report = traceback.TracebackException.from_exception(error, limit=-MAX_FRAMES)
            report.stack = stack
            text = "".join(report.format())
    except BaseException:
        return ""
    if len(text) <= TRACEBACK_LENGTH:
        return text
    half = TRACEBACK_LENGTH // 2
    return f"{text[:half]}\n[...]\n{text[-half:]}"


OWN_FILES = (__file__, writing.__file__, encoding.__file__)


def answer(job: dict[str, Any]) -> dict[str, Any]:
    try:
        limit_resources(job["address_space_bytes"])
        prepare_imports(job)
        return {"type": "done", **execute(job)}
    except BaseException as error:  # SystemExit and friends are the model's too
        regain_control()
        return {"type": "failed", **failure(error)}


def peak_memory_bytes() -> int:
    """The largest resident size so far. getrusage also counts the parent's at the fork."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux, or the model has left no descriptor to open it with
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def flush_prints() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: S112  # closed, or the model's own, which may raise anything
            continue


def main() -> None:
    process = os.getpid()
    lifeline, channel = take_over_streams()
    job = read_job(sys.argv[1])
    die_with_worker(lifeline, job["worker_pid"])
    progress.reporter = channel.progress
    message = answer(job)
    # A process that the model forked and let run on must not answer in our name.
    if os.getpid() == process:
        try:
            channel.send({**message, "peak_memory_bytes": peak_memory_bytes()})
        except OSError:
            os._exit(UNHEARD_STATUS)
    # After the answer: a stream of the model's own could hold it for ever.
    flush_prints()
    # Not the ordinary way out: so could a thread or an exit handler.
    os._exit(0)
