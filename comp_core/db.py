"""The database's clock, and patience with a database that is busy or away for a moment."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, close_old_connections, transaction
from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now

T = TypeVar("T")

logger = logging.getLogger("comp_core")


def from_now(seconds: float) -> Any:
    """An expression for a moment by the database's clock; negative seconds lie in the past."""
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


def each_value(rows: Any, field: str) -> Iterator[Any]:
    """The values of a column, each once, in their order.

    One access for each to an index that begins with the column, however many rows have it; asked
    for DISTINCT values, a database reads them all.
    """
    ordered = rows.order_by(field).values_list(field, flat=True)
    value = ordered.first()
    while value is not None:
        yield value
        value = ordered.filter(**{f"{field}__gt": value}).first()


def after_commit(function: Callable[..., object], *args: Any) -> None:
    """Call a function once the transaction at hand is committed; at once when there is none.

    What is committed has happened: an error is logged, and the caller never hears of it. (Django's
    ``robust`` promises as much, but its log asks every function for a name, and a partial has
    none.)
    """

    def call() -> None:
        try:
            function(*args)
        except Exception:
            name = getattr(function, "__qualname__", function)
            logger.exception("%s failed after the commit.", name)

    transaction.on_commit(call)


def patient(seconds: float) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Repeat a function while the database refuses or is away, for so many seconds.

    Only for functions that are safe to repeat, called outside transactions.
    """

    def wrap(function: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(function)
        def repeat(*args: Any, **kwargs: Any) -> T:
            end, pause = time.monotonic() + seconds, 0.05
            while True:
                try:
                    return function(*args, **kwargs)
                except (OperationalError, InterfaceError) as error:
                    if time.monotonic() + pause > end:
                        raise
                    logger.warning("%s: %s; trying again.", function.__name__, error)
                close_old_connections()
                time.sleep(pause)
                pause = min(pause * 2, 2.0)

        return repeat

    return wrap
