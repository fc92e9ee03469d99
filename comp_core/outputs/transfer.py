"""From and into a slow storage without losing the lease; no file is read twice for its digest."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connections

from comp_core.conf import conf

# A storage that takes nothing for so long hangs: then the lease may go, and the run starts again.
STALLED_SECONDS = 300
CHUNK_BYTES = 2**20

logger = logging.getLogger("comp_core")


class Keeper:
    """Calls ``beat`` every ``HEARTBEAT_SECONDS`` from a thread of its own, inside a ``with``.

    Beats between files, or between reads, would not do: a storage may read all there is and then
    send it for minutes, and may read in threads of its own. Without ``moved`` being called for
    ``STALLED_SECONDS`` it falls silent, so that a storage that hangs does not keep a run for ever.
    """

    def __init__(self, beat: Callable[[], object]) -> None:
        self.beat = beat
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._repeat, name="comp_core.keeper", daemon=True)
        self.moved()

    def moved(self) -> None:
        """Something was read, or a file is done."""
        self.moved_at = time.monotonic()

    def __enter__(self) -> Keeper:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.thread.join()

    def _repeat(self) -> None:
        try:
            while not self.done.wait(conf.HEARTBEAT_SECONDS):
                if time.monotonic() - self.moved_at < STALLED_SECONDS:
                    self._beat()
        finally:
            connections.close_all()  # this thread's own

    def _beat(self) -> None:
        try:
            self.beat()
        except Exception:
            logger.exception("The lease could not be kept while files were on their way.")


class HashedFile(io.FileIO):
    """A file that is hashed while storage reads it, from wherever and however often it does."""

    def __init__(self, path: Path, *, moved: Callable[[], None]) -> None:
        super().__init__(path, "r")
        self._path, self._moved = path, moved
        self._digest, self._hashed = hashlib.sha256(), 0

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        data = super().read(-1 if size is None else size) or b""
        self._take(start, data)
        return data

    def readall(self) -> bytes:
        start = self.tell()
        data = super().readall() or b""
        self._take(start, data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        start = self.tell()
        number = super().readinto(buffer) or 0
        self._take(start, bytes(memoryview(buffer)[:number]))
        return number

    def _take(self, start: int, data: bytes) -> None:
        """Hash what continues what is hashed already; the rest was seen, or comes later."""
        self._moved()
        if start <= self._hashed < start + len(data):
            self._digest.update(data[self._hashed - start :])
            self._hashed = start + len(data)

    def sha256(self) -> str:
        """The digest of the whole file: what was not read yet is read now. Some storages close."""
        with self._path.open("rb") as rest:
            rest.seek(self._hashed)
            while data := rest.read(CHUNK_BYTES):
                self._digest.update(data)
                self._hashed += len(data)
        return self._digest.hexdigest()
