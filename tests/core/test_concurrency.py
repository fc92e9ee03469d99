"""Verbs on one run at the same moment, in every order of what decides."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import Q

from comp_core import lifecycle
from comp_core.conf import conf
from comp_core.db import from_now
from comp_core.lifecycle import Outcome, admission, ending, reaping
from comp_core.models import Run
from comp_core.status import RunStatus
from comp_users.models import Profile
from tests.billing.builders import site
from tests.core.builders import expire, statements
from tests.core.concurrency import Actor, Duel, at_once, duel, errors, on_postgresql, troupe
from tests.core.live import Live, live
from tests.core.scenes import ORDERS, VERBS, Stage, explore, stage, violations

__all__ = ["duel", "live", "site", "stage", "troupe"]

STORM_SECONDS = 5


@on_postgresql
@pytest.mark.slow
@pytest.mark.parametrize(("scene", "first"), ORDERS)
def test_whatever_comes_between(scene: str, first: str, stage: Stage, duel: Duel) -> None:
    """Invariants 1 and 4: held at any of its moments, a verb and any other keep the run whole."""
    assert explore(stage, duel, scene, first) == {}


@on_postgresql
@pytest.mark.parametrize("first", ["claim", "abort overdue"])
def test_a_deadline_that_passes_meanwhile(
    first: str, stage: Stage, duel: Duel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the abort each waiting run is overdue, to the claim none is: one of them has it."""
    monkeypatch.setattr(reaping, "Now", partial(from_now, 2 * conf.QUEUE_DEADLINE_SECONDS))
    seconds = ("claim", "abort overdue", "requeue")
    assert explore(stage, duel, "waiting", first, seconds=seconds) == {}


@on_postgresql
@pytest.mark.parametrize("moment", range(3))
def test_two_claims_take_two_runs(moment: int, stage: Stage, duel: Duel) -> None:
    """A claim passes over the run that another is about to take, and does not wait for it."""
    cases = [stage.case(), stage.case()]
    claims = [case.claim for case in cases]
    wrong = duel.fight(*claims, hold_at=moment, meanwhile=lambda: not_done(duel.second))
    assert (wrong, [len(case.tokens) for case in cases]) == ([], [1, 1])


def not_done(actor: Actor) -> list[str]:
    return [] if actor.played.done() else [f"{actor.name} had to wait"]


@on_postgresql
def test_a_heartbeat_overtaken(stage: Stage, duel: Duel) -> None:
    """Its run is taken over before it is written: the worker learns so, and extends nothing."""
    case = stage.case("silent")
    beat = partial(lifecycle.heartbeat, case.run.pk, case.token, progress=0.5)
    wrong = duel.fight(beat, case.take_over, hold_at=0)
    assert (wrong, duel.first.answer().alive, Run.objects.get().progress) == ([], False, 0)


def test_a_requeue_of_what_is_to_be_cancelled(stage: Stage) -> None:
    """It stays with its worker, and is looked at once: nobody will change that."""
    case = stage.case("silent and to be cancelled")
    with statements() as sql:
        run = lifecycle.requeue(case.run)
    assert (run.status, len(sql)) == ("running", 4)


def finish_without_token(run_id: UUID, token: UUID, outcome: Outcome) -> bool:
    """A mutant: whoever comes may end a running run."""
    running = Q(status=RunStatus.RUNNING)
    return ending.end_run(run_id, running, outcome.status, outcome.values())


@on_postgresql
def test_a_finish_without_token_is_found(
    stage: Stage, duel: Duel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof above sees a worker that ends another's attempt."""
    monkeypatch.setattr(lifecycle, "finish", finish_without_token)
    assert explore(stage, duel, "silent", "succeed", seconds=("take over",)) != {}


@on_postgresql
def test_a_record_after_the_commit_is_found(
    stage: Stage, duel: Duel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees a success that is committed before its usage record."""
    tell = ending._tell_meter
    monkeypatch.setattr(
        ending, "_tell_meter", lambda run: transaction.on_commit(partial(tell, run))
    )
    assert explore(stage, duel, "silent", "succeed", seconds=("take over",)) != {}


@on_postgresql
def test_an_admission_without_lock_is_found(
    stage: Stage, duel: Duel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees two ends that fill the same place."""
    unlocked = SimpleNamespace(select_for_update=lambda **kwargs: Profile.objects)
    monkeypatch.setattr(admission, "Profile", SimpleNamespace(objects=unlocked))
    assert explore(stage, duel, "held", "end the other", seconds=("admit",)) != {}


def storm(stage: Stage, actors: list[Actor], seed: int) -> list[Any]:
    """Random verbs on a few runs at once, round after round; answers the rounds and the first
    that was wrong, with all that there is to play it again."""
    chance = Random(seed)
    stage.spare = 10_000
    end, rounds = time.monotonic() + STORM_SECONDS, 0
    open_cases: list[Any] = []
    while time.monotonic() < end:
        rounds += 1
        open_cases = list(still_open(stage, open_cases, chance))
        chosen = [(chance.choice(list(VERBS)), chance.choice(open_cases)) for _ in actors]
        answers = at_once(actors, [partial(VERBS[verb], case) for verb, case in chosen])
        wrong = errors(answers) + violations(stage, cases=open_cases)
        if wrong:
            return [f"seed {seed}, round {rounds}", [verb for verb, _ in chosen], wrong]
    print(f"seed {seed}: {rounds} rounds of {len(actors)}")  # noqa: T201
    return []


def still_open(stage: Stage, cases: list[Any], chance: Random) -> Iterator[Any]:
    """The runs of the next round: new ones for those that have ended, some of them silent."""
    for case in cases or [None] * 3:
        ended = case is None or Run.objects.get(pk=case.run.pk).is_finished
        found = stage.case(chance=chance) if ended else case
        if chance.random() < 0.3:
            expire(found.run)
        yield found


@pytest.fixture
def seed() -> int:
    """Of this test's choices; ``COMP_TEST_SEED`` repeats one."""
    return int(os.environ.get("COMP_TEST_SEED") or Random().randrange(10**6))


@on_postgresql
@pytest.mark.slow
@pytest.mark.parametrize("limit", [None, 2])
def test_a_storm(limit: int | None, stage: Stage, troupe: list[Actor], seed: int) -> None:
    """Eight threads do anything to three runs of one owner; after each round all is well."""
    stage.allow(limit)
    assert storm(stage, troupe, seed) == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about a database file with one writer")
@pytest.mark.slow
def test_a_storm_in_a_file(live: Live, stage: Stage, troupe: list[Actor], seed: int) -> None:
    """SQLite's writers wait for each other; nobody meets a locked database."""
    assert storm(stage, troupe, seed) == []
