"""Starts a model's process, watches it, and ends it with all that is known to belong to it."""

from __future__ import annotations

import contextlib
import enum
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comp_core.answers import GarbledError, read_message
from comp_core.family import Family
from comp_core.lifeline import lifeline

CHILD = Path(__file__).with_name("launcher.py")
TICK_SECONDS, LEAST_TICK_SECONDS = 0.05, 0.002
# Between two looks at the memory: the longest pause, the shortest, and how fast (bytes a second)
# memory is expected to grow when it has not been seen to grow faster.
MEMORY_SECONDS, MEMORY_SECONDS_LEAST, MEMORY_GROWTH = 0.5, 0.01, 2**30
# How long a process that has answered may take to go by itself.
EXIT_SECONDS = 0.5
READ_BYTES = 65_536
READS_PER_TICK = 64
# An answer holds messages and a manifest, never data.
MAX_ANSWER_BYTES = 8 * 2**20


class Stop(enum.Enum):
    """Why a model's process was stopped from outside."""

    DEADLINE = "deadline"
    MEMORY = "memory"
    CANCELLED = "cancelled"
    # The run is no longer ours: nothing of this attempt may be written.
    FENCED = "fenced"
    # The worker has to stop; the run goes back to the queue.
    RELEASED = "released"
    # It wrote something else than answers to the channel, or too much.
    GARBLED = "garbled"


# A model that may still write its last words gets SIGTERM first.
POLITE = frozenset({Stop.DEADLINE, Stop.CANCELLED, Stop.RELEASED})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds and bytes; ``memory_bytes`` None: unbounded."""

    deadline_seconds: float
    grace_seconds: float
    memory_bytes: int | None
    tail_bytes: int


@dataclass(kw_only=True)
class Ending:
    """How it went: the final message, or the reason of the stop, or just the exit status."""

    answer: dict[str, Any] | None = None
    stop: Stop | None = None
    returncode: int = 0
    seconds: float = 0.0
    deadline_seconds: float = 0.0
    peak_memory_bytes: int = 0
    tail: str = ""


@dataclass
class Progress:
    """The model's latest words about how far it is; ``fraction`` from 0 to 1."""

    fraction: float = 0.0
    message: str = ""


# Called many times a second; may answer a reason to stop.
Watch = Callable[[Progress], "Stop | None"]


def run_process(
    command: list[str], *, cwd: Path, env: dict[str, str], mark: str, limits: Limits, watch: Watch
) -> Ending:
    """Run a model's process to its end. Raises OSError when the command cannot be started.

    ``mark`` is the value of COMP_RUN_MARK in ``env``, by which all that it starts is found.
    """
    started = time.monotonic()
    family = Family(mark=mark, directory=str(cwd))
    with lifeline() as its_end:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=its_end,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        family.begin(process.pid)
        supervision = _Supervision(process, family, limits, watch, started)
        try:
            supervision.watch_until_end()
        finally:
            family.kill()
            ending = supervision.conclude()
    return ending


@dataclass
class _Supervision:
    process: subprocess.Popen[bytes]
    family: Family
    limits: Limits
    watch: Watch
    started: float
    ending: Ending = field(default_factory=Ending)
    progress: Progress = field(default_factory=Progress)
    line: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    kill_at: float = float("inf")
    next_memory: float = 0.0
    looked_at: float = 0.0
    used_bytes: int = 0

    def __post_init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        for stream, reader in (
            (self.process.stdout, self._on_answer),
            (self.process.stderr, self._on_print),
        ):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self.selector.register(stream, selectors.EVENT_READ, reader)
        self.exit = _exit_descriptor(self.process.pid)
        if self.exit is not None:
            self.selector.register(self.exit, selectors.EVENT_READ)

    def watch_until_end(self) -> None:
        while self.ending.answer is None and not _has_exited(self.process.pid):
            self._read(TICK_SECONDS)
            if self.ending.stop is None:
                self._stop_if(self._reason_to_stop())
            elif self._is_out_of_grace():
                self.family.signal_group(signal.SIGKILL)
        self.ending.seconds = time.monotonic() - self.started
        self.ending.deadline_seconds = self.limits.deadline_seconds
        self.next_memory = float("inf")
        gone_by = time.monotonic() + EXIT_SECONDS
        while not _has_exited(self.process.pid) and time.monotonic() < gone_by:
            # Without a descriptor for the exit nothing wakes us.
            self._read(TICK_SECONDS if self.exit is not None else LEAST_TICK_SECONDS)
        self._read(0)

    def _read(self, timeout: float) -> None:
        due = min(self.next_memory, self.kill_at) - time.monotonic()
        timeout = min(timeout, max(due, LEAST_TICK_SECONDS))
        if not self.selector.get_map():
            time.sleep(timeout)
            return
        for key, _ in self.selector.select(timeout):
            if key.data is not None:
                self._read_from(key)

    def _read_from(self, key: selectors.SelectorKey) -> None:
        # Not until it is empty: who writes faster than we read would never be stopped.
        for _ in range(READS_PER_TICK):
            data = _read_some(key.fd)
            if not data:
                break
            key.data(data)
        if data == b"":
            self.selector.unregister(key.fileobj)

    def _on_print(self, data: bytes) -> None:
        self.tail += data
        del self.tail[: -self.limits.tail_bytes]

    def _on_answer(self, data: bytes) -> None:
        if self.ending.stop is Stop.GARBLED:
            return
        self.line += data
        if b"\n" in data:
            *lines, rest = bytes(self.line).split(b"\n")
            self.line = bytearray(rest)
            try:
                for line in lines:
                    self._on_message(read_message(line))
            except GarbledError:
                self._stop_if(Stop.GARBLED)
        if len(self.line) > MAX_ANSWER_BYTES:
            self._stop_if(Stop.GARBLED)

    def _on_message(self, message: dict[str, Any]) -> None:
        if message["type"] == "progress":
            self.progress.fraction = float(message["fraction"])
            self.progress.message = message["message"]
        # After our own signal the model may still answer, but the decision has been made; and
        # after an answer there may be no other.
        elif self.ending.stop is None and self.ending.answer is None:
            self.ending.answer = message
            self._note_memory(message["peak_memory_bytes"])

    def _reason_to_stop(self) -> Stop | None:
        now = time.monotonic()
        if now - self.started >= self.limits.deadline_seconds:
            return Stop.DEADLINE
        if now >= self.next_memory and self._is_too_large(now):
            return Stop.MEMORY
        return self.watch(self.progress)

    def _is_out_of_grace(self) -> bool:
        """Last words are no leave to take the machine's memory."""
        now = time.monotonic()
        if now >= self.next_memory and self._is_too_large(now):
            self.kill_at = now
        return now >= self.kill_at

    def _is_too_large(self, now: float) -> bool:
        """Look at the memory, and decide when to look again: the sooner the less room is left."""
        used, limit = self.family.resident_bytes(), self.limits.memory_bytes
        if limit is not None and used > limit:
            # What forked processes share would count for each: look again, more closely.
            used = self.family.proportional_bytes()
        self._note_memory(used)
        growth = (used - self.used_bytes) / max(now - self.looked_at, MEMORY_SECONDS_LEAST)
        self.used_bytes, self.looked_at = used, now
        pause = MEMORY_SECONDS
        if limit is not None:
            pause = max(limit - used, 0) / max(growth, MEMORY_GROWTH) / 2
        self.next_memory = now + min(max(pause, MEMORY_SECONDS_LEAST), MEMORY_SECONDS)
        return limit is not None and used > limit

    def _note_memory(self, used: int) -> None:
        self.ending.peak_memory_bytes = max(self.ending.peak_memory_bytes, used)

    def _stop_if(self, reason: Stop | None) -> None:
        if reason is None or self.ending.stop is not None:
            return
        # Recorded before the signal: the end of the pipe must not look like a crash.
        self.ending.stop, polite = reason, reason in POLITE
        if not polite:
            self.next_memory = float("inf")
        self.kill_at = time.monotonic() + (self.limits.grace_seconds if polite else 0.0)
        self.family.signal_group(signal.SIGTERM if polite else signal.SIGKILL)

    def conclude(self) -> Ending:
        """Reap the process and close the pipes, whoever else may still hold them."""
        self.ending.returncode = self.process.wait()
        self.selector.close()
        if self.exit is not None:
            os.close(self.exit)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.ending.tail = self.tail.decode("utf-8", "replace")
        return self.ending


def _read_some(descriptor: int) -> bytes | None:
    """Some bytes, b"" at the end, None while there is nothing to read."""
    try:
        return os.read(descriptor, READ_BYTES)
    except BlockingIOError:
        return None


def _exit_descriptor(pid: int) -> int | None:
    """A descriptor that becomes readable when the process exits, where the system has such."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _has_exited(pid: int) -> bool:
    # Not reaped yet: until it is, its number and its group's cannot belong to anybody else.
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
