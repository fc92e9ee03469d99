"""Where Stripe must not be called from: an open transaction, or a web request.

A slow answer of Stripe's would hold database locks in the one and a visitor in the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections

from comp_billing.exceptions import CalledInTransaction, CalledInWebRequest

_serving: ContextVar[bool] = ContextVar("comp_billing_serving", default=False)
_transaction_allowed: ContextVar[bool] = ContextVar("comp_billing_in_transaction", default=False)


def enter_request(**kwargs: Any) -> None:
    """Receiver of Django's ``request_started``."""
    _serving.set(True)


def leave_request(**kwargs: Any) -> None:
    """Receiver of Django's ``request_finished``."""
    _serving.set(False)


@contextmanager
def open_transaction_allowed() -> Iterator[None]:
    """For tests that run inside a transaction of the test framework. Nowhere else."""
    token = _transaction_allowed.set(True)
    try:
        yield
    finally:
        _transaction_allowed.reset(token)


def refuse_open_transaction() -> None:
    """Raise CalledInTransaction if any database connection of this thread is in one."""
    if _transaction_allowed.get():
        return
    if any(connection.in_atomic_block for connection in connections.all(initialized_only=True)):
        raise CalledInTransaction


def refuse_web_request() -> None:
    """Raise CalledInWebRequest while this thread serves a page."""
    if _serving.get():
        raise CalledInWebRequest
