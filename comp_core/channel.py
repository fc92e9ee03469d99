"""The child's side of the channel to its parent. Standard library only."""

from __future__ import annotations

import _thread
import os
from time import monotonic, sleep

from comp_core.outputs.encoding import encode, number_word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRESS_SECONDS = 0.1
SHORT_LENGTH = 200


class Channel:
    """JSON lines to the parent."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.lock = _thread.allocate_lock()
        self.next_progress = 0.0
        self.fraction = 0.0
        self.waiting: tuple[Any, Any] | None = None

    def send(self, message: dict[str, Any]) -> None:
        # Not for ever: a signal handler may have interrupted the one who holds the lock.
        held = self.lock.acquire(True, 1)
        try:
            self._write(message)
        finally:
            if held:
                self.lock.release()

    def progress(self, fraction: Any, message: Any = "") -> None:
        """Passed on at most ten times a second, however often the model calls.

        The last report of a burst is passed on when its time has come: the model may be busy with
        something else by then, for hours. A report never fails a run.
        """
        if monotonic() >= self.next_progress:
            self._report(fraction, message)
            return
        begins, self.waiting = self.waiting is None, (fraction, message)
        if begins:
            try:
                _thread.start_new_thread(self._report_later, ())
            except RuntimeError:
                self.waiting = None  # the system starts no more threads

    def _report_later(self) -> None:
        sleep(PROGRESS_SECONDS)
        last, self.waiting = self.waiting, None
        if last is not None:
            self._report(*last)

    def _report(self, fraction: Any, message: Any) -> None:
        # One that meets another thread's, or a signal handler's, is left out.
        if not self.lock.acquire(False):
            return
        try:
            self.next_progress = monotonic() + PROGRESS_SECONDS
            self.fraction = _fraction(fraction, self.fraction)
            words = short(message)
            self._write({"type": "progress", "fraction": self.fraction, "message": words})
        except OSError:
            pass  # the model has closed the channel: its end will say so
        finally:
            self.lock.release()

    def _write(self, message: dict[str, Any]) -> None:
        line = f"{encode(message, '', number_word)}\n".encode("utf-8", "backslashreplace")
        while line:
            line = line[os.write(self.descriptor, line) :]


def _fraction(value: Any, last: float) -> float:
    try:
        number = float(value)
    except Exception:
        return last
    # NaN fails every comparison, this one too.
    return min(max(number, 0.0), 1.0) if abs(number) >= 0 else last


def short(value: Any) -> str:
    try:
        return "" if value is None else str(value)[:SHORT_LENGTH]
    except Exception:
        return ""
