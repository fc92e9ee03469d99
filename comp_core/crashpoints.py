"""Named places at which a fault may be injected: before, inside and after every committed step.

In production nothing is armed, and a point costs a call and a comparison. Tests set ``hook`` and
raise, end the process or cut the connection there (see ``tests/faults``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import transaction

# Called with the name of each point that is passed.
hook: Callable[[str], None] | None = None


def crashpoint(name: str) -> None:
    """A place where this process may die; ``name`` is ``step:place``."""
    if hook is not None:
        hook(name)


@contextmanager
def step(name: str) -> Iterator[None]:
    """A transaction with a crash point at each of its ends.

    ``name:begin`` stands before it, ``name:written`` when everything is written and nothing is
    committed, ``name:committed`` after the commit and what was registered for it.
    """
    crashpoint(f"{name}:begin")
    with transaction.atomic():
        yield
        crashpoint(f"{name}:written")
    crashpoint(f"{name}:committed")
