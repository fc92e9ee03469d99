"""How a model says how far it is. Standard library only; does nothing outside a run."""

from __future__ import annotations

# As in comp_core.outputs: nothing is imported that a run would have to wait for.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["progress", "track"]

# Set by the process that executes a run, which thins the calls out by time.
reporter: Callable[[float, str], None] | None = None


def progress(fraction: float, message: str = "") -> None:
    """Say how much is done, from 0 to 1, with a few words for the user."""
    if reporter is not None:
        reporter(fraction, message)


def track(iterable: Iterable[T], label: str = "") -> Iterator[T]:
    """Iterate and report the position; without a length there is no end to measure it by."""
    total: int = getattr(iterable, "__len__", lambda: 0)()
    for done, item in enumerate(iterable):
        if total:
            progress(done / total, label)
        yield item
    if total:
        progress(1.0, label)
