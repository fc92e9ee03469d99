"""The pipe by whose end a model's process learns that its worker is gone.

The worker holds one end and never writes. A process that the worker forks meanwhile, such as one
of a pool, would hold it too and outlive the worker with it: so it lets go of it at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_held: set[int] = set()
# Held while a process forks: none does between the making of a pipe and its entry here.
_lock = threading.RLock()


@contextmanager
def lifeline() -> Iterator[int]:
    """The end for the model's process; it hangs up when the block ends or this process does."""
    with _lock:
        theirs, ours = os.pipe()
        _held.add(ours)
    try:
        yield theirs
    finally:
        with _lock:
            _held.discard(ours)
            os.close(ours)
            os.close(theirs)


def _let_go() -> None:
    """In a process that has just been forked."""
    if _held:
        null = os.open(os.devnull, os.O_WRONLY)
        for descriptor in _held:
            # Replaced, not closed: its number must not become another file's.
            os.dup2(null, descriptor, inheritable=False)
        os.close(null)
    _lock.release()


os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_let_go)
