"""Random histories: what happens in an account, and how the site learns of it, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from unittest import mock

import stripe
from django.db import transaction
from django.utils import timezone
from hypothesis import strategies as st

from comp_billing import mirror, stripe_api
from comp_billing.mirror import known
from comp_billing.models import Event, Sync, SyncPage
from comp_billing.testing import StandIn, StandInClient
from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from tests.mirror.account import Account, NothingThere, State, letters
from tests.mirror.actions import ACTIONS, BEGINNING
from tests.mirror.site import MOVES, Site
from tests.mirror.truth import divergences

Step = tuple[str, int, int]
LONGEST = 28
NUMBERS = st.integers(0, 5)
# So that several things happen in one second, much of it to the same few objects.
NAMES = [*ACTIONS, *MOVES, *MOVES, *["second", "deliver all", "work"] * 2]


@dataclass(frozen=True)
class History:
    """Steps one after another, the order in which the rest arrives, and how many seconds the
    site's own clock is ahead."""

    steps: list[Step]
    order: list[int]
    skew: int

    def __str__(self) -> str:
        steps = "".join(f"\n    {step!r}," for step in self.steps)
        return f"History(\n  steps=[{steps}\n  ],\n  order={self.order},\n  skew={self.skew},\n)"


HISTORIES = st.builds(
    History,
    steps=st.lists(
        st.tuples(st.sampled_from(NAMES), NUMBERS, NUMBERS), min_size=8, max_size=LONGEST
    ),
    order=st.lists(st.integers(0, 30), max_size=12),
    skew=st.sampled_from([7200, -7200]),
)


@dataclass
class Outcome:
    """What a history has shown: ``found`` diverges, ``counts`` says how much has happened."""

    history: History
    found: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def play(history: History) -> Outcome:
    """The history played on an empty database."""
    outcome = Outcome(history)
    with _staged(history) as site:
        for step in history.steps:
            outcome.counts[step[0]] += _took(site, step)
        outcome.found += _ended(site, history)
        outcome.counts["events"] += Event.objects.count()
        outcome.counts["histories"] += 1
    return outcome


def _took(site: Site, step: Step) -> bool:
    name, n, m = step
    site.listen()
    try:
        if name in ACTIONS:
            ACTIONS[name](site.account, n, m)
        else:
            MOVES[name](site, n, m)
    # Nothing to do it to, or Stripe refuses it.
    except (NothingThere, ApiError, stripe.StripeError):
        return False
    return True


def _ended(site: Site, history: History) -> list[str]:
    if not site.rest(history.order):
        return ["the worker never comes to rest"]
    found = divergences(site.account, listed=False)
    site.read_everything()
    if not site.rest([]):
        return [*found, "the worker never comes to rest after the lists"]
    return [*found, *(f"after the lists: {one}" for one in divergences(site.account, listed=True))]


@contextmanager
def _staged(history: History) -> Iterator[Site]:
    standin = StandIn()
    account = Account(standin, state=_beginning())
    site = Site(account, skew=history.skew)
    empty()
    try:
        with (
            mock.patch.object(ids, "letters", letters(1)),
            mock.patch.object(timezone, "now", site.now),
            stripe_api.use_http_client(StandInClient(standin)),
        ):
            yield site
    finally:
        standin.close()


@cache
def _beginning() -> State:
    """The account at the beginning of every history, made once."""
    standin = StandIn()
    account = Account(standin)
    with mock.patch.object(ids, "letters", letters(0)):
        for name, n, m in BEGINNING:
            ACTIONS[name](account, n, m)
    state = account.state()
    standin.close()
    return state


def empty() -> None:
    """No row of Stripe's is left."""
    with transaction.atomic():
        for model in (SyncPage, Sync, Event, *reversed(mirror.KINDS.values())):
            model._base_manager.all()._raw_delete("default")
    known.forget()
