"""The stand-in's time: the wall clock and an offset that tests and the demo move forward."""

import time
from collections.abc import Callable

from comp_billing.testing.standin.periods import add_months, moment
from comp_billing.testing.standin.store import Store


class Clock:
    """Time that can be advanced; what falls due on the way is carried out in order."""

    def __init__(self, store: Store, perform: Callable[[str, str], None]) -> None:
        self._store = store
        self._perform = perform
        self._held: int | None = None
        self._wall: Callable[[], float] = time.time

    def stop(self, *, at: int | None = None) -> None:
        """Time stands still, now or at a moment given, but for being advanced: what is done between
        two advances is done within one second."""
        stopped = float(at) if at is not None else time.time()
        self._wall = lambda: stopped

    @property
    def offset(self) -> float:
        """Seconds that this clock is ahead of the wall clock."""
        return float(self._store.setting("clock_offset", "0"))

    def now(self) -> int:
        """The stand-in's time in seconds since the Unix epoch."""
        return self._held if self._held is not None else int(self._wall() + self.offset)

    def schedule(self, at: int, action: str, target: str) -> None:
        """An action to be carried out when the clock reaches `at`; once, however often asked."""
        row = (at, action, target)
        known = "SELECT 1 FROM agenda WHERE at = ? AND action = ? AND target = ?"
        if not self._store.rows(known, *row):
            self._store.run("INSERT INTO agenda (at, action, target) VALUES (?, ?, ?)", *row)

    def catch_up(self, until: int | None = None) -> int:
        """Whatever is due carried out at its own moment, in order; how many actions that was."""
        limit = until if until is not None else self.now()
        done = 0
        while due := self._store.rows(
            "SELECT * FROM agenda WHERE at <= ? ORDER BY at, seq LIMIT 1", limit
        ):
            self._held = max(due[0]["at"], self._held or 0)
            try:
                with self._store.transaction():
                    self._store.run("DELETE FROM agenda WHERE seq = ?", due[0]["seq"])
                    self._perform(due[0]["action"], due[0]["target"])
            finally:
                self._held = None
            done += 1
        return done

    def advance(self, *, seconds: int = 0, months: int = 0, to: int | None = None) -> int:
        """The clock moved forward, never back; how many actions fell due on the way."""
        start = self.now()
        target = to if to is not None else start + seconds
        if months:
            target = int(add_months(moment(target), months).timestamp())
        if target < start:
            raise ValueError("The clock cannot be turned back.")
        done = self.catch_up(target)
        self._store.set("clock_offset", repr(self.offset + target - start))
        return done
