"""What may be told of an error in logs and rows: its kind and its places, never its text.

The text of an error may hold personal data or secrets: an address that a mail server refused, the
values of a row that broke a constraint. Those who need it set the logger to DEBUG.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any


def describe(exc: BaseException) -> str:
    """Kind and place, in one line."""
    frames = traceback.extract_tb(exc.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{_kind(exc)}{_place(ours[-1])}" if ours else _kind(exc)


def log_error(logger: logging.Logger, message: str, *args: Any, exc: BaseException) -> None:
    """Log an error with the places that it came through; its text at DEBUG only."""
    logger.error("%s: %s", message % args, "; caused by ".join(map(_trace, _chain(exc))))
    logger.debug("%s", message % args, exc_info=exc)


def _chain(exc: BaseException) -> list[BaseException]:
    """The error and what it was raised from, the latest first."""
    chain = [exc]
    while len(chain) < 10:
        cause = chain[-1].__cause__
        context = None if chain[-1].__suppress_context__ else chain[-1].__context__
        before = cause or context
        if before is None or before in chain:
            break
        chain.append(before)
    return chain


def _trace(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    return _kind(exc) + "".join(map(_place, reversed(frames)))


def _kind(exc: BaseException) -> str:
    return type(exc).__name__


def _place(frame: traceback.FrameSummary) -> str:
    return f" in {frame.name}, {Path(frame.filename).name}:{frame.lineno}"
