"""The registry of handlers: which events a handler is called for, and what cannot be one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from comp_billing import handlers
from comp_billing.handlers import handlers_of, on, registrations, unregister
from comp_billing.models import Event, Invoice
from tests.billing.told import INVOICE, tell


def watch(*arguments: Any) -> None:
    """Do nothing."""


def test_a_handler_is_registered_once_per_type() -> None:
    """Importing its module twice does not call it twice."""
    on("x.y")(on("x.y", "x.z")(watch))
    registered = (handlers_of("x.y", stored=False), handlers_of("x.z", stored=False))
    unregister(watch)
    assert (registered, handlers_of("x.y", stored=False)) == (((watch,), (watch,)), ())


def test_a_handler_runs_in_the_transaction_or_stored(handle: Any) -> None:
    """As it asked for, and not in the other way too."""
    handle("x.y", handler=watch, stored=True)
    assert (handlers_of("x.y", stored=True), handlers_of("x.y", stored=False)) == ((watch,), ())


@pytest.mark.parametrize(
    ("name", "event_type", "called"),
    [
        ("x.*", "x.y", True),
        ("x.*", "x.y.z", True),
        ("x.y.*", "x.y.z", True),
        ("x.y.*", "x.y", False),
        ("x.*", "xx.y", False),
        ("x.*", "x", False),
        ("x.y", "x.y.z", False),
        ("v2.core.account[requirements].*", "v2.core.account[requirements].updated", True),
    ],
)
def test_a_beginning_stands_for_all_that_follow_it(
    handle: Any, name: str, event_type: str, called: bool
) -> None:
    """Whole words, however many."""
    handle(name, handler=watch)
    assert (handlers_of(event_type, stored=False) == (watch,)) is called


def test_a_handler_that_matches_twice_is_called_once(handle: Any) -> None:
    """By a whole name and by beginnings."""
    handle("x.y", "x.*", "x.y.*", handler=watch)
    assert handlers_of("x.y", stored=False) == (watch,)


def test_what_was_looked_up_before_a_registration_is_looked_up_again(handle: Any) -> None:
    """The answer is kept, for the hot path, but not beyond that."""
    before = handlers_of("x.y", stored=False)
    handle("x.*", handler=watch)
    after = handlers_of("x.y", stored=False)
    assert (before, after, handlers_of("x.y", stored=False) is after) == ((), (watch,), True)


def test_types_that_stripe_never_ends_inventing_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is kept of look-ups is bounded."""
    kept: dict[Any, Any] = {}
    monkeypatch.setattr(handlers.registry, "_found", kept)
    monkeypatch.setattr(handlers.registry, "MAX_FOUND", 3)
    found = [handlers_of(f"x.{number}", stored=False) for number in range(10)]
    assert (found, len(kept)) == ([()] * 10, 1)


@pytest.mark.parametrize(
    "name",
    [
        "*",
        ".*",
        "",
        "invoice",
        "invoice*",
        "*.paid",
        "invoice.*.x",
        "Invoice.paid",
        "invoice.paid ",
        "invoice..paid.now",
        ".paid",
        "invoice.",
        "invoice paid",
        "invoice.paid\n",
    ],
)
def test_a_name_that_no_event_can_have_is_refused(name: str) -> None:
    """In words, where it is written; also what would be called for everything."""
    with pytest.raises(ValueError, match="No event of Stripe's is called"):
        on(name)


def test_a_decorator_without_names_is_refused() -> None:
    """With and without its parentheses."""
    with pytest.raises(ValueError, match="Name the events"):
        on()
    with pytest.raises(TypeError, match="Name the events"):
        on(watch)  # type: ignore[arg-type]  # the mistake


def test_a_refused_registration_leaves_nothing_behind() -> None:
    """Not even its good names."""
    before = registrations()
    with pytest.raises(ValueError, match="called 'paid'"):
        on("invoice.paid", "paid")(watch)
    assert registrations() == before


async def wait(event: Event, obj: Any, previous: dict[str, Any]) -> None:
    """Never awaited."""


@pytest.mark.parametrize(
    ("handler", "message"),
    [(wait, "asynchronous"), (lambda event: None, "event, obj, previous")],
)
def test_what_cannot_be_called_with_an_event_is_refused(handler: Any, message: str) -> None:
    """Not when the first event arrives, but at once."""
    with pytest.raises(TypeError, match=message):
        on("x.y")(handler)


def test_what_does_not_tell_its_parameters_is_taken_at_its_word(handle: Any) -> None:
    """Some that are written in C."""
    handle("x.y", handler=min)
    assert handlers_of("x.y", stored=False) == (min,)


@pytest.mark.django_db(transaction=True)
def test_a_handler_for_one_kind_is_given_no_other(handle: Any) -> None:
    """A beginning may be that of events about several kinds of objects."""
    got: list[Any] = []
    handle("invoice.*", handler=lambda event, obj, previous: got.append(obj), model=Invoice)
    tell("invoice.created", INVOICE)
    tell("invoice.upcoming", {"object": "invoice", "customer": "cus_1"}, number=2)
    tell("invoice.happened", {"id": "re_1", "object": "refund"}, number=3)
    assert got == [Invoice.objects.get(), None]


class Desk:
    """Somebody with a handler as a method, who can be called, too."""

    def watch(self, *arguments: Any) -> None:
        """Do nothing."""

    def __call__(self, *arguments: Any) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("handlers_alike", "path"),
    [
        ([lambda *arguments: None, lambda *arguments: None], "<lambda>"),
        ([partial(watch), partial(watch)], "watch"),
        ([Desk().watch, Desk().watch], "Desk.watch"),
        ([Desk(), Desk()], "Desk"),
    ],
)
def test_handlers_of_one_path_are_told_apart(
    handle: Any, handlers_alike: list[Any], path: str
) -> None:
    """Else the second would count as done with the first; two names of one are no two handlers."""
    first, second = handlers_alike
    handle("x.y", "x.z", handler=first)
    handle("x.y", handler=second)
    names = [handlers.name_of(one) for one in handlers_of("x.y", stored=False)]
    assert names == [f"{__name__}.{path}", f"{__name__}.{path}#2"]


def test_a_handler_is_known_by_its_path() -> None:
    """The same in every process, registered or not."""
    assert handlers.name_of(watch) == f"{__name__}.watch"


def test_a_wrapped_handler_keeps_its_name(handle: Any) -> None:
    """That of one kind only is wrapped."""
    handle("x.y", handler=watch, model=Invoice)
    (found,) = handlers_of("x.y", stored=False)
    assert (found is watch, handlers.name_of(found)) == (False, f"{__name__}.watch")
