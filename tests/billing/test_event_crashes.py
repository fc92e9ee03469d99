"""Death at every point of ingest and of processing: effects in the database take place exactly
once, effects outside at least once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from comp_billing import events, webhooks
from comp_billing.models import Customer, Event
from comp_core import crashpoints
from tests.billing.deliveries import event

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no connection that could be cut"
)


class Died(BaseException):
    """The process ends here."""


class Once:
    """Does something at the first call only."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action: Callable[[], Any] | None = action

    def __call__(self) -> None:
        action, self.action = self.action, None
        if action is not None:
            action()


def die() -> None:
    raise Died


def cut() -> None:
    """The database ends our connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def deliver() -> bool:
    return webhooks.ingest(webhooks.event_of(event()))


def work() -> None:
    """Two rounds of a worker, at moments at which everything is due."""
    for _round in range(2):
        past = timezone.now() - timedelta(seconds=1)
        Event.objects.filter(state__in=events.DUE).update(next_attempt_at=past)
        events.process_due_events()


class Effects:
    """What an in-transaction and a stored handler do; ``inside`` and ``outside`` are called in the
    middle of it."""

    def __init__(self, handle: Any) -> None:
        self.sent: list[str] = []
        self.inside: Callable[[], None] = lambda: None
        self.outside: Callable[[], None] = lambda: None
        handle("customer.updated", handler=self.write)
        handle("customer.updated", handler=self.send, stored=True)

    def write(self, event: Event, obj: Any, previous: Any) -> None:
        Group.objects.create(name=f"{event.pk} {Group.objects.count()}")
        self.inside()

    def send(self, event: Event, obj: Any, previous: Any) -> None:
        self.sent.append(event.pk)
        self.outside()

    def seen(self) -> tuple[Any, ...]:
        """States of the events, effects inside, effects outside, the mirror."""
        states = list(Event.objects.values_list("state", flat=True))
        emails = list(Customer.objects.values_list("email", flat=True))
        return states, Group.objects.count(), len(self.sent), emails


@pytest.fixture
def effects(handle: Any) -> Effects:
    return Effects(handle)


def before(dies: Callable[[], None], real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        dies()
        return real(*arguments, **options)

    return call


def after(dies: Callable[[], None], real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        answer = real(*arguments, **options)
        dies()
        return answer

    return call


INGEST: dict[str, tuple[str, Callable[..., Any]]] = {
    "before the insert": ("_insert", before),
    "after the insert": ("_insert", after),
    "before the mirror": ("mirror_object", before),
    "after the mirror": ("mirror_object", after),
    "before the commit": ("apply", after),
    "after the commit": ("_with_repeats", after),
}


@pytest.mark.parametrize("point", INGEST)
def test_death_during_ingest(effects: Effects, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe, unanswered, delivers again; and once more."""
    name, where = INGEST[point]
    monkeypatch.setattr(webhooks, name, where(Once(die), getattr(webhooks, name)))
    with pytest.raises(Died):
        deliver()
    again = [deliver(), deliver()]
    work()
    is_late = point == "after the commit"
    assert (again, effects.seen()) == (
        [not is_late, False],
        (["processed"], 1, 1, ["a@b.c"]),
    )


def test_death_in_the_middle_of_a_handler_of_ingest(effects: Effects) -> None:
    """What it had written is undone with the event."""
    effects.inside = Once(die)
    with pytest.raises(Died):
        deliver()
    nothing = effects.seen()
    deliver()
    work()
    assert (nothing, effects.seen()) == (([], 0, 0, []), (["processed"], 1, 1, ["a@b.c"]))


def fail() -> None:
    raise ValueError


# How often the stored handler is called in the end: twice where its death came between the effect
# and the mark.
WORKER = {
    "event_claim:committed": 1,
    "event_apply:begin": 1,
    "event_apply:written": 1,
    "event_apply:committed": 1,
    "event_stored:begin": 1,
    "event_stored:returned": 2,
    "event_done:begin": 2,
    "event_done:committed": 1,
}


@pytest.mark.parametrize("point", WORKER)
def test_death_of_a_worker(effects: Effects, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At an event whose handlers have both to run, for the first one failed when it came."""
    effects.inside = Once(fail)
    deliver()
    dies = Once(die)
    monkeypatch.setattr(crashpoints, "hook", lambda name: dies() if name == point else None)
    with pytest.raises(Died):
        work()
    work()
    assert effects.seen() == (["processed"], 1, WORKER[point], ["a@b.c"])


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_death_in_the_middle_of_a_handler_of_the_worker(effects: Effects, place: str) -> None:
    """Inside the transaction all is undone; outside, the effect may take place twice."""
    effects.inside = Once(fail)
    deliver()
    setattr(effects, place, Once(die))
    with pytest.raises(Died):
        work()
    work()
    assert effects.seen() == (["processed"], 1, {"inside": 1, "outside": 2}[place], ["a@b.c"])


def test_an_event_that_ends_its_worker_every_time_is_given_up(effects: Effects) -> None:
    """Otherwise it would end a worker every five minutes for ever."""
    effects.outside = die
    deliver()
    Event.objects.update(attempts=11)
    with pytest.raises(Died):
        work()
    work()
    row = Event.objects.get()
    assert (row.state, row.error, row.next_attempt_at, len(effects.sent)) == (
        "dead",
        events.DIED,
        None,
        1,
    )


@on_postgresql
def test_a_connection_that_is_cut_during_ingest(effects: Effects) -> None:
    """Ingest begins anew on another one: Stripe notices nothing."""
    effects.inside = Once(cut)
    told = deliver()
    work()
    assert (told, effects.seen()) == (True, (["processed"], 1, 1, ["a@b.c"]))


@on_postgresql
@pytest.mark.parametrize("place", ["inside", "outside"])
def test_a_connection_that_is_cut_under_a_worker(effects: Effects, place: str) -> None:
    """The round ends; a later one, on another connection, does what is left."""
    effects.inside = Once(fail)
    deliver()
    setattr(effects, place, Once(cut))
    try_to_work()
    work()
    assert effects.seen() == (["processed"], 1, {"inside": 1, "outside": 2}[place], ["a@b.c"])


def try_to_work() -> None:
    """A round as the maintenance has it: an error is logged, and the connection looked at."""
    try:
        work()
    except (OperationalError, InterfaceError):
        close_old_connections()
