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
reporter: Callable[[float | None, str], None] | None = None


def progress(fraction: float | None, message: str = "") -> None:
    """Say how much is done, from 0 to 1, with a few words for the user; None: words only.

    Cheap, and safe from any thread. It never raises: what lies outside counts as 0 or 1, and what
    is no number leaves the last fraction as it was.
    """
    if reporter is not None:
        reporter(fraction, message)


def track(iterable: Iterable[T], label: str = "") -> Iterator[T]:
    """Iterate and report the position; items are taken one by one, as they are asked for.

    Without a length there is no end to measure the position by: then only the label is reported.
    """
    total = _length(iterable)
    for done, item in enumerate(iterable):
        progress(done / total if total else None, label)
        yield item
    progress(None if total is None else 1.0, label)


def _length(iterable: Iterable[T]) -> int | None:
    try:
        return len(iterable)  # type: ignore[arg-type]  # most have one
    except Exception:
        return None  # none, or one that is not known or too large to say
