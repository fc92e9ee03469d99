"""All processes of one run: the model's own, and whatever it has started, wherever that went."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

LINUX = sys.platform.startswith("linux")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# A run's own processes have new numbers, unless the system has been through all of them since.
SAME_NUMBERS_SECONDS = 5.0
# How long processes may take to go that have been sent SIGKILL, or may go on starting others.
KILL_SECONDS = 2.0
MARK = "COMP_RUN_MARK"


@dataclass(frozen=True)
class _Stat:
    state: str
    parent: int
    group: int
    started: str
    resident_bytes: int


class Family:
    """Made before the model's process, the leader, is started.

    A process belongs to the run that is in the leader's group, is the child of another one of
    the run, has the run's mark in its environment, or works in the run's directory; and having
    been seen so once, whatever it does afterwards. So what leaves the group, as daemons do, is
    found too; only what leaves group, parent, environment and directory at once, between two
    looks, is not. Other systems than Linux know the leader, its group and its descendants only.
    """

    def __init__(self, *, mark: str, directory: str) -> None:
        self.mark = f"{MARK}={mark}".encode()
        self.directory = directory
        self.leader = 0
        self.made = time.monotonic()
        self.ours: dict[int, str] = {}
        self.others = set(_numbers())

    def begin(self, leader: int) -> None:
        """The model's process has this number."""
        self.leader = leader
        self.others.discard(leader)

    def resident_bytes(self) -> int:
        """Resident memory of all; what several share counts for each of them."""
        if not LINUX:
            return _resident_bytes_of_tree(self.leader)
        return sum(stat.resident_bytes for _, stat in self._living())

    def proportional_bytes(self) -> int:
        """Resident memory of all; what several share counts once. Slower than the above."""
        if not LINUX:
            return self.resident_bytes()
        return sum(_proportional_bytes(pid, stat) for pid, stat in self._living())

    def signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.leader, number)

    def kill(self) -> None:
        """SIGKILL for all, and again for what they started meanwhile, until nothing is left."""
        self.signal_group(signal.SIGKILL)
        if not LINUX:
            return
        if time.monotonic() - self.made > SAME_NUMBERS_SECONDS:
            self.others.clear()
        give_up = time.monotonic() + KILL_SECONDS
        while (left := [pid for pid, _ in self._living()]) and time.monotonic() < give_up:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)

    def _living(self) -> Iterator[tuple[int, _Stat]]:
        numbers = set(_numbers())
        # Numbers are used again: what is remembered of one goes with its process.
        self.others &= numbers
        stats = {pid: stat for pid in numbers - self.others if (stat := _stat(pid))}
        self.ours = {
            pid: started
            for pid, started in self.ours.items()
            if pid in stats and stats[pid].started == started
        }
        for pid, stat in stats.items():
            if stat.state in "ZX":  # only waiting to be reaped
                continue
            ours = self._is_ours(pid, stat)
            if ours:
                self.ours[pid] = stat.started
                yield pid, stat
            elif ours is False:
                self.others.add(pid)

    def _is_ours(self, pid: int, stat: _Stat) -> bool | None:
        """None: it cannot be told yet, such as in the middle of an ``exec``."""
        if self.leader in (pid, stat.group) or pid in self.ours or stat.parent in self.ours:
            return True
        try:
            environment = _read(pid, "environ")
            if self.mark in environment:
                return True
            directory = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            return False  # another user's, or gone
        if directory.startswith(self.directory):
            return True
        return False if environment else None


def _numbers() -> list[int]:
    if not LINUX:
        return []
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _read(pid: int, name: str) -> bytes:
    # Not open(): its buffers take longer than all the rest, and this is done for each process.
    descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, 131_072):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _stat(pid: int) -> _Stat | None:
    try:
        # The second field is the command in parentheses, which may itself have some.
        fields = _read(pid, "stat").rpartition(b") ")[2].decode("ascii", "replace").split()
        return _Stat(
            state=fields[0],
            parent=int(fields[1]),
            group=int(fields[2]),
            started=fields[19],
            resident_bytes=int(fields[21]) * PAGE_BYTES,
        )
    except (OSError, IndexError, ValueError):
        return None


def _proportional_bytes(pid: int, stat: _Stat) -> int:
    try:
        for line in _read(pid, "smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        pass  # older kernels have no such file
    return stat.resident_bytes


def _resident_bytes_of_tree(pid: int) -> int:
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total
