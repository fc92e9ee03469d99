"""The registry: which handlers an event has."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, overload

from comp_billing import shapes
from comp_billing.models import Event, StripeObject

# With None among the bounds: what a type checker infers from ``obj: Invoice | None`` has it too.
ObjectT = TypeVar("ObjectT", bound=StripeObject | None)
KindT = TypeVar("KindT", bound=StripeObject)

#: ``handler(event, obj, previous)``: the event; the row of its object as it is now (None for
#: objects that are not mirrored); the old values of what an ``*.updated`` event changed. The row is
#: behind the event when Stripe told it in another version of the API, until the worker has fetched
#: the object.
#: ``Handler[Invoice]`` is one that is only ever given invoices.
Handler = Callable[[Event, ObjectT | None, dict[str, Any]], None]

# A name has at least two parts; some have brackets, as in v2.core.account[requirements].updated.
NAME = re.compile(r"[a-z0-9_]+(?:(?:[.\[]|\]\.)[a-z0-9_]+)*\]?\.(?:\*|[a-z0-9_]+)")
EVERYTHING = ".*"


@dataclass(frozen=True)
class Registration:
    """That a handler is to be called for a type of event, or for all that begin alike."""

    name: str
    handler: Handler[Any]
    stored: bool
    model: type[StripeObject] | None = None

    @property
    def is_prefix(self) -> bool:
        return self.name.endswith(EVERYTHING)

    def matches(self, event_type: str) -> bool:
        if self.is_prefix:
            return event_type.startswith(self.name.removesuffix("*"))
        return event_type == self.name

    def callable(self) -> Handler[Any]:
        """The handler; of one for a single kind, a wrapper that passes over all others."""
        return self.handler if self.model is None else _only_about(self.model, self.handler)


_registered: list[Registration] = []
# What handlers_of has answered, until something is registered.
_found: dict[tuple[str, bool], tuple[Handler[Any], ...]] = {}
# Stripe has some hundreds of types. It signs what it sends, but this must not grow for ever.
MAX_FOUND = 4096


@overload
def on(*types: str, stored: bool = ...) -> Callable[[Handler[ObjectT]], Handler[ObjectT]]: ...


@overload
def on(
    *types: str, stored: bool = ..., model: type[KindT]
) -> Callable[[Handler[KindT]], Handler[KindT]]: ...


def on(
    *types: str, stored: bool = False, model: type[StripeObject] | None = None
) -> Callable[[Handler[Any]], Handler[Any]]:
    """Register a handler: ``@on("invoice.paid")``, in a module that ``ready()`` imports.

    A type that ends in ``.*`` stands for all that begin like it, however long: ``customer.*`` is
    ``customer.updated`` and ``customer.subscription.updated``. Its handler can be given objects of
    several kinds; with ``model=Invoice`` it is called for events about invoices only, and ``obj``
    is an ``Invoice`` or None. A handler that several of its types match is called once.

    An in-transaction handler (the default) takes effect exactly once, with the event's row: its
    database writes are committed together or rolled back together; it must do nothing outside the
    database. A stored handler is run by the worker afterwards, outside any transaction, at least
    once: the place for e-mails and calls. The order among handlers is not promised. A handler
    that raises is tried again, up to ``COMP_BILLING["EVENT_MAX_ATTEMPTS"]`` times.

    Raises ValueError for a name that no event can have, TypeError for what cannot be called so.
    ``manage.py check`` warns of names that Stripe's SDK does not know.
    """
    for name in types:
        _check_name(name)
    if not types:
        raise ValueError('Name the events: @on("invoice.paid").')

    def register(handler: Handler[Any]) -> Handler[Any]:
        _check_handler(handler)
        for name in types:
            registration = Registration(name, handler, stored, model)
            if registration not in _registered:
                _registered.append(registration)
        _found.clear()
        return handler

    return register


def handlers_of(event_type: str, *, stored: bool) -> tuple[Handler[Any], ...]:
    """What is to be called for an event of this type. One dictionary look-up, but for the first."""
    found = _found.get((event_type, stored))
    return _find(event_type, stored=stored) if found is None else found


def registrations() -> tuple[Registration, ...]:
    """All of them, in the order of registration."""
    return tuple(_registered)


def unregister(handler: Handler[Any]) -> None:
    """Take a handler out again: for tests, and for hosts that replace a built-in one."""
    _registered[:] = [one for one in _registered if one.handler != handler]
    _found.clear()


def name_of(handler: Handler[Any]) -> str:
    """The dotted path that a handler is known by from one process to the next.

    Those that share one (lambdas, methods of two objects) are numbered as they were registered.
    """
    plain, path = inspect.unwrap(handler), _path_of(handler)
    alike: list[Any] = []
    for one in _registered:
        other = inspect.unwrap(one.handler)
        if other not in alike and _path_of(other) == path:
            alike.append(other)
    number = alike.index(plain) if plain in alike else 0
    return f"{path}#{number + 1}" if number else path


def _path_of(handler: Handler[Any]) -> str:
    plain = inspect.unwrap(handler)
    # A partial's is that of its function.
    named: Any = getattr(plain, "func", plain)
    return f"{named.__module__}.{getattr(named, '__qualname__', type(named).__qualname__)}"


def _find(event_type: str, *, stored: bool) -> tuple[Handler[Any], ...]:
    matching = [one for one in _registered if one.stored == stored and one.matches(event_type)]
    once = {(one.handler, one.model): one for one in matching}
    if len(_found) >= MAX_FOUND:
        _found.clear()
    found = tuple(one.callable() for one in once.values())
    return _found.setdefault((event_type, stored), found)


def _only_about(model: type[StripeObject], handler: Handler[Any]) -> Handler[Any]:
    @wraps(handler)
    def call(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
        kind = shapes.text(event.object_data.get("object"))
        if isinstance(obj, model) or (obj is None and kind == model.kind):
            handler(event, obj, previous)

    return call


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f'Name the events: @on("invoice.paid"), not {name!r}.')
    if not NAME.fullmatch(name):
        raise ValueError(
            f"No event of Stripe's is called {name!r}: write a whole name, such as "
            '"invoice.paid", or a beginning with ".*" after it, such as "invoice.*".'
        )


def _check_handler(handler: Handler[Any]) -> None:
    name = name_of(handler)
    if inspect.iscoroutinefunction(handler):
        raise TypeError(f"{name} is asynchronous: nothing would wait for it.")
    try:
        inspect.signature(handler).bind("event", "obj", "previous")
    except ValueError:
        return  # written in C, and does not tell what it takes
    except TypeError as exc:
        raise TypeError(f"{name} has to take (event, obj, previous): {exc}.") from exc
