"""What operators do to runs: each verb answers truthfully what became of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from comp_core import lifecycle, operating
from comp_core.models import Run
from comp_core.operating import VERBS, Done, Result, summary
from tests.core.builders import FAILURE, expire, make_claimed, make_run, status

pytestmark = pytest.mark.django_db(transaction=True)


def queued() -> Run:
    run: Run = make_run()
    return run


def running() -> Run:
    run: Run = make_claimed()
    return run


def stopping() -> Run:
    """A running run whose user has asked to stop it."""
    return lifecycle.cancel(running())


def ended() -> Run:
    run = running()
    assert run.lease_token is not None
    lifecycle.finish(run.pk, run.lease_token, FAILURE)
    return run


def cancelled() -> Run:
    return lifecycle.cancel(queued())


@pytest.mark.parametrize(
    ("verb", "make", "result", "left_as"),
    [
        ("cancel", queued, Result.CANCELLED, "cancelled"),
        ("cancel", cancelled, Result.ENDED, "cancelled"),
        ("cancel", running, Result.ASKED, "running"),
        ("cancel", stopping, Result.ASKED, "running"),
        ("cancel", ended, Result.ENDED, "failed"),
        ("requeue", queued, Result.REQUEUED, "queued"),
        ("requeue", running, Result.REQUEUED, "queued"),
        ("requeue", stopping, Result.BEING_CANCELLED, "running"),
        ("requeue", ended, Result.ENDED, "failed"),
        ("mark_lost", queued, Result.WAITS, "queued"),
        ("mark_lost", running, Result.GIVEN_UP, "lost"),
        ("mark_lost", stopping, Result.GIVEN_UP, "lost"),
        ("mark_lost", ended, Result.ENDED, "failed"),
    ],
)
def test_every_verb_in_every_state(
    verb: str, make: Callable[[], Run], result: Result, left_as: str
) -> None:
    """The answer goes by the database, not by what the caller had read."""
    run = make()
    done = VERBS[verb](run)
    assert (done.result, status(run)) == (result, left_as)


def test_a_mixed_selection_is_told_as_it_went() -> None:
    """Each result is counted, in one sentence."""
    run = queued()
    results = [Result.ASKED, Result.ENDED, Result.ASKED]
    told = summary(Done(run, result) for result in results)
    assert told == "2 runs are being cancelled; 1 run has ended already."


@pytest.mark.parametrize("result", Result)
def test_every_result_has_words(result: Result) -> None:
    """For the summary and for the run itself; only what was moved is told as moved."""
    done = Done(Run(), result)
    assert (bool(done.words), summary([done])[:5]) == (True, "1 run")


def test_the_meaning_of_a_state_is_told_by_the_lease_too() -> None:
    """A run whose worker fell silent is not passed off as running."""
    run = make_claimed()
    before = _meaning(run)
    expire(run)
    assert (before, _meaning(run)) == (
        "A worker is at it and reports every few seconds.",
        "Its worker fell silent; the next maintenance round takes it back.",
    )


def _meaning(run: Run) -> str:
    with_clock = operating.with_clock(Run.objects.filter(pk=run.pk))
    return operating.meaning(with_clock.get())
