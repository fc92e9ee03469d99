"""The demonstration's folder: one demonstration at a time, and none leaves processes behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from demo.exceptions import DemoError, FolderTaken

STOP_SECONDS = 10


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the folder. Raises FolderTaken while another demonstration does.

    The operating system lets go when the demonstration ends, in whatever way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderTaken(folder) from error
        yield


def remember(folder: Path, pids: Iterable[int]) -> None:
    """Write down which processes run for this folder; the time of birth tells reused ids apart."""
    born = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            born[str(pid)] = psutil.Process(pid).create_time()
    _list_of(folder).write_text(json.dumps(born))


def end_leftovers(folder: Path) -> bool:
    """End the processes of a demonstration that was killed; answers whether there were any."""
    try:
        born = json.loads(_list_of(folder).read_text())
    except (FileNotFoundError, ValueError):
        return False
    left = [process for pid, time in born.items() if (process := _same(int(pid), time))]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=STOP_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=STOP_SECONDS)
    return bool(left)


def _same(pid: int, born: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return process if process.create_time() == born else None
    except psutil.NoSuchProcess:
        return None


def _list_of(folder: Path) -> Path:
    return folder / "processes.json"


def require_readable(file: Path) -> None:
    """Raise DemoError, saying why, when there is no such file or it cannot be read."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise DemoError(f"The file {file} cannot be read: {error.strerror}.") from error
