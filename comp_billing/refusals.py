"""What is refused at the door, told in a bounded number of lines: anybody can send anything."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

SECONDS_BETWEEN_LINES = 60


@dataclass
class RefusalLog:
    """One line at once, then at most one in SECONDS_BETWEEN_LINES, with the number left out.

    Per process. Reasons must be words of ours: nothing of a request that nobody has signed belongs
    into a log.
    """

    logger: logging.Logger
    _next_at: float = field(default=float("-inf"), init=False)
    _untold: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def note(self, reason: str) -> None:
        with self._lock:
            now = time.monotonic()
            if now < self._next_at:
                self._untold += 1
                return
            self._next_at, untold, self._untold = now + SECONDS_BETWEEN_LINES, self._untold, 0
        self.logger.warning("Webhook refused: %s (%d more since the last line)", reason, untold)

    def forget(self) -> None:
        """Start afresh: the next refusal is told at once."""
        with self._lock:
            self._next_at, self._untold = float("-inf"), 0
