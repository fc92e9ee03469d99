"""Starts a model's process, watches it, and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import enum
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

logger = logging.getLogger("comp_core")

CHILD = Path(__file__).with_name("child.py")
TICK_SECONDS = 0.05
MEMORY_SECONDS = 0.5
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
    """Run a model's process to its end. Raises OSError when the command cannot be started."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    supervision = _Supervision(process, limits, watch, started)
    try:
        supervision.watch_until_end()
    finally:
        _kill_all(process, mark)
        ending = supervision.conclude()
    return ending


@dataclass
class _Supervision:
    process: subprocess.Popen[bytes]
    limits: Limits
    watch: Watch
    started: float
    ending: Ending = field(default_factory=Ending)
    progress: Progress = field(default_factory=Progress)
    line: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    kill_at: float = float("inf")
    next_memory: float = 0.0

    def __post_init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        for stream, reader in (
            (self.process.stdout, self._on_answer),
            (self.process.stderr, self._on_print),
        ):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self.selector.register(stream, selectors.EVENT_READ, reader)

    def watch_until_end(self) -> None:
        while self.ending.answer is None and not _has_exited(self.process.pid):
            self._read(TICK_SECONDS)
            if self.ending.stop is None:
                self._stop_if(self._reason_to_stop())
            elif time.monotonic() >= self.kill_at:
                _signal_group(self.process.pid, signal.SIGKILL)
        self.ending.seconds = time.monotonic() - self.started
        gone_by = time.monotonic() + EXIT_SECONDS
        while not _has_exited(self.process.pid) and time.monotonic() < gone_by:
            self._read(0.005)
        self._read(0)

    def _read(self, timeout: float) -> None:
        if not self.selector.get_map():
            time.sleep(timeout)
            return
        for key, _ in self.selector.select(timeout):
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
        self.line += data
        *lines, rest = bytes(self.line).split(b"\n")
        self.line = bytearray(rest)
        try:
            for line in lines:
                self._on_message(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            self._stop_if(Stop.GARBLED)
        if len(self.line) > MAX_ANSWER_BYTES:
            self._stop_if(Stop.GARBLED)

    def _on_message(self, message: dict[str, Any]) -> None:
        if message["type"] == "progress":
            self.progress.fraction = float(message["fraction"])
            self.progress.message = str(message["message"])
        elif message["type"] in ("done", "failed") and self.ending.stop is None:
            # After our own signal the model may still answer, but the decision has been made.
            self.ending.answer = message
            peak = int(message.get("peak_memory_bytes") or 0)
            self.ending.peak_memory_bytes = max(self.ending.peak_memory_bytes, peak)

    def _reason_to_stop(self) -> Stop | None:
        now = time.monotonic()
        if now - self.started >= self.limits.deadline_seconds:
            return Stop.DEADLINE
        if now >= self.next_memory:
            self.next_memory = now + MEMORY_SECONDS
            used = _memory_bytes(self.process.pid)
            self.ending.peak_memory_bytes = max(self.ending.peak_memory_bytes, used)
            if self.limits.memory_bytes is not None and used > self.limits.memory_bytes:
                return Stop.MEMORY
        return self.watch(self.progress)

    def _stop_if(self, reason: Stop | None) -> None:
        if reason is None or self.ending.stop is not None:
            return
        # Recorded before the signal: the end of the pipe must not look like a crash.
        self.ending.stop = reason
        polite = reason in POLITE
        self.kill_at = time.monotonic() + (self.limits.grace_seconds if polite else 0.0)
        _signal_group(self.process.pid, signal.SIGTERM if polite else signal.SIGKILL)

    def conclude(self) -> Ending:
        """Reap the process and close the pipes, whoever else may still hold them."""
        self.ending.returncode = self.process.wait()
        self.selector.close()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
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


def _has_exited(pid: int) -> bool:
    # Not reaped yet: until it is, its number and its group's cannot belong to anybody else.
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _memory_bytes(pid: int) -> int:
    """Resident bytes of a process and its descendants; shared pages count once for each."""
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def _kill_all(process: subprocess.Popen[bytes], mark: str) -> None:
    """SIGKILL for the group, and for whatever left the group but still carries the run's mark."""
    _signal_group(process.pid, signal.SIGKILL)
    if not sys.platform.startswith("linux"):
        return
    for pid in _marked(mark):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    wanted, found = f"COMP_RUN_MARK={mark}".encode(), []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
                if wanted in file.read():
                    found.append(int(entry))
    return found
